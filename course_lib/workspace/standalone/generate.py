"""Given by the course: let a trained model write.

python generate.py --prompt "mia is a "
python generate.py --model letters.safetensors --n-new 200 --temperature 0.5 --seed 1
"""

import argparse
import sys
from pathlib import Path

import torch
from my_transformer.cache import generate_cached
from my_transformer.generation import generate
from saved import load

HERE = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description="Let a trained model write.")
    add = parser.add_argument
    add("--model", type=Path, default=HERE / "model.safetensors", help="what train.py wrote")
    add("--prompt", help="where the text begins; by default a new line, if the model knows one")
    add("--n-new", type=int, default=200, help="tokens to write")
    add("--temperature", type=float, default=0.8, help="0 takes the likeliest")
    add("--top-k", type=int, help="choose among this many")
    add("--top-p", type=float, help="choose among those that make up this share")
    add("--seed", type=int, help="repeat a text")
    add("--device", default="cpu", help="such as cpu or cuda")
    return parser.parse_args()


def beginning(tokenizer) -> str:
    """Where a text may begin: with a new line, or with the first token that there is."""
    every = tokenizer.decode(list(range(tokenizer.vocab_size)))
    return "\n" if "\n" in every else tokenizer.decode([0])


def main() -> None:
    """Write one text."""
    asked = arguments()
    if not asked.model.exists():
        sys.exit(f"{asked.model} is not there: make it with  python train.py")
    model, tokenizer = load(asked.model)
    model.to(asked.device)
    generator = torch.Generator(asked.device)
    generator.seed() if asked.seed is None else generator.manual_seed(asked.seed)
    prompt = beginning(tokenizer) if asked.prompt is None else asked.prompt
    ids = torch.tensor([tokenizer.encode(prompt)], device=asked.device)
    fits = ids.shape[1] + asked.n_new <= model.config.context_length
    write = generate_cached if fits else generate  # a cache cannot slide along a longer text
    ids = write(
        model,
        ids,
        asked.n_new,
        temperature=asked.temperature,
        top_k=asked.top_k,
        top_p=asked.top_p,
        generator=generator,
    )
    print(tokenizer.decode(ids[0].tolist()))


if __name__ == "__main__":
    try:
        main()
    # An AssertionError is torch's, where it was built without the device that was asked for.
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        sys.exit(f"error: {error}")
