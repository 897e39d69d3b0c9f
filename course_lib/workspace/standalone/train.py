"""Given by the course: train the model in this folder on a text, and keep it in one file.

    python train.py
    python train.py --text letters.txt --out letters.safetensors --device cuda --dtype bfloat16

The steps are those of `my_transformer`: its `get_batch`, `learning_rate`, `train_step` and so on.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from my_transformer.model import GPT, GPTConfig, n_parameters
from my_transformer.training import (
    decay_groups,
    evaluate,
    get_batch,
    learning_rate,
    train_step,
)
from saved import make_tokenizer, save

HERE = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description="Train the model in this folder on a text.")
    add = parser.add_argument
    add("--text", type=Path, default=HERE / "stories.txt", help="a file in UTF-8")
    add("--out", type=Path, default=HERE / "model.safetensors", help="where the model goes")
    add("--context-length", type=int, default=64, help="characters that it sees at once")
    add("--d-model", type=int, default=128, help="width of the residual stream")
    add("--n-heads", type=int, default=4, help="attention heads in each block")
    add("--n-layers", type=int, default=4, help="blocks")
    add("--batch-size", type=int, default=32, help="rows of one step")
    add("--n-steps", type=int, default=1000, help="steps of the optimizer")
    add("--max-lr", type=float, default=3e-3, help="learning rate after the warm-up")
    add("--seed", type=int, default=1, help="of the first weights and of the batches")
    add("--device", default="cpu", help="such as cpu or cuda")
    add("--dtype", choices=["float32", "bfloat16"], default="float32", help="to multiply in")
    return parser.parse_args()


def main() -> None:
    """Train, say how it goes, and keep the model."""
    asked = arguments()
    if asked.out.exists():
        sys.exit(f"{asked.out} is there already: name another with --out, or delete it.")
    if not asked.out.resolve().parent.is_dir():
        sys.exit(f"{asked.out} would lie in a folder that is not there: make the folder first.")
    if asked.n_steps < 1:
        sys.exit(f"--n-steps must be at least 1, got {asked.n_steps}.")
    try:
        text = asked.text.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        sys.exit(f"{asked.text} must be text in UTF-8, got another byte at {error.start}.")
    spec = {"kind": "characters", "characters": "".join(sorted(set(text)))}
    tokenizer = make_tokenizer(spec)
    tokens = torch.tensor(tokenizer.encode(text), device=asked.device)
    n_training = len(tokens) * 9 // 10  # the last tenth is held back
    training, held_back = tokens[:n_training], tokens[n_training:]
    if len(held_back) < 2:
        sys.exit(f"{asked.text} must hold more text to train on, got {len(tokens)} characters.")

    torch.manual_seed(asked.seed)
    sizes = {
        "context_length": asked.context_length,
        "d_model": asked.d_model,
        "n_heads": asked.n_heads,
        "n_layers": asked.n_layers,
    }
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **sizes)).to(asked.device)
    print(f"{n_parameters(model):,} parameters on {asked.device}, {len(text):,} characters")
    optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=asked.max_lr, betas=(0.9, 0.99))
    generator = torch.Generator().manual_seed(asked.seed)
    model.train()
    started = time.perf_counter()
    for step in range(asked.n_steps):
        rate = learning_rate(
            step,
            max_lr=asked.max_lr,
            min_lr=asked.max_lr / 10,
            warmup_steps=min(50, asked.n_steps // 20),
            total_steps=asked.n_steps,
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, targets = get_batch(
            training, asked.batch_size, asked.context_length, generator=generator
        )
        loss = train_step(
            model,
            optimizer,
            inputs,
            targets,
            autocast_dtype=torch.bfloat16 if asked.dtype == "bfloat16" else None,
        )
        done = step + 1
        if done == asked.n_steps or done % max(1, asked.n_steps // 10) == 0:
            save(asked.out, model, sizes, spec)  # whoever stops it now keeps this much
            print(f"step {done:5d}  loss {loss:.3f}", flush=True)
    seconds = time.perf_counter() - started
    loss = evaluate(model, held_back, context_length=asked.context_length)
    print(f"loss on the text held back: {loss:.3f}, after {seconds:.1f} s")
    print(f"The model is in {asked.out}.")


if __name__ == "__main__":
    try:
        main()
    # An AssertionError is torch's, where it was built without the device that was asked for.
    except (OSError, ValueError, ArithmeticError, RuntimeError, AssertionError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; what is kept is the model of the last step shown above.")
