"""Writing with a GPT-2 of 124M parameters in bfloat16: after a prompt the likeliest tokens.

What must be read from memory for each token is every weight that it meets, once for all rows, and
the keys and values of the positions before it, for each row. The share of the card is that, over
the time, over the bytes that the card moves at best.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from course_lib.models.bench.peers import Shape, difference
from course_lib.models.bench.workloads import AGREE, n_read

from .attempts import attempt
from .forms import FUSED, PACKAGE, STEP_BY_STEP, THEIRS, Forms, make_forms, random_ids, shape_for
from .sections import Run
from .timing import seconds_for, spread

N_PROMPT, N_NEW = 256, 256
MOST_ROUNDS, FEWEST_ROUNDS, ENOUGH = 5, 3, 6  # after so many seconds the fewest are enough
EAGER_LIMIT, COMPILED_LIMIT = 30, 70  # seconds for one arm
ARMS = {  # how Hugging Face's `generate` is told; ours has its own caches
    STEP_BY_STEP: None,
    FUSED: None,
    f"{THEIRS}, eager": {},
    f"{THEIRS}, static cache": {"cache_implementation": "static", "disable_compile": True},
    f"{THEIRS}, static cache, compiled": {"cache_implementation": "static"},
}


def rows(run: Run, *, batch_size: int) -> Iterator[dict]:
    shape = shape_for(run.is_small)
    n_prompt, n_new = (9, 8) if run.is_small else (N_PROMPT, N_NEW)
    forms = make_forms(shape)
    prompt = random_ids(shape, batch_size, n_prompt).to(run.device)
    n_bytes = _bytes_read(forms.models[FUSED], shape, batch_size, n_prompt, n_new)
    about = {"name": "setting", "n_rows": batch_size, "n_prompt": n_prompt, "n_new": n_new}
    yield about | {"dtype": "bfloat16", "bytes_per_text": n_bytes}
    yield attempt({"name": "agreement"}, lambda: _agreement(forms, prompt, run), EAGER_LIMIT)
    for name, told in ARMS.items():
        limit = COMPILED_LIMIT if name.endswith("compiled") else EAGER_LIMIT
        arm = (forms, name, told, prompt, n_new)
        yield attempt({"name": name}, lambda arm=arm: _write(*arm, run), limit)


def _bytes_read(model: nn.Module, shape: Shape, n_rows: int, n_prompt: int, n_new: int) -> int:
    """The weights once for each token; keys and values of all before it, for each row."""
    n_weights = n_new * n_read(model)
    n_cached = sum(n_prompt + number for number in range(n_new))
    return 2 * (n_weights + n_cached * n_rows * 2 * shape.n_layers * shape.d_model)


def _model(forms: Forms, name: str, run: Run) -> nn.Module:
    return forms.get(name).to(run.device, torch.bfloat16)


@torch.inference_mode()
def _agreement(forms: Forms, prompt: Tensor, run: Run) -> dict:
    """How far our logits after the prompt are from theirs, in units of their spread."""
    decoder = PACKAGE.decoder(_model(forms, FUSED, run), *prompt.shape)
    theirs = _model(forms, THEIRS, run)
    apart = difference(
        decoder.feed(prompt), theirs(input_ids=prompt, use_cache=False).logits[:, -1]
    )
    return {
        "apart": apart,
        "tolerance": AGREE[torch.bfloat16],
        "agrees": apart <= AGREE[torch.bfloat16],
    }


def _write(
    forms: Forms, name: str, told: dict | None, prompt: Tensor, n_new: int, run: Run
) -> dict:
    if told is None:
        write = _ours(_model(forms, name, run), prompt, n_new)
    else:
        write = _theirs(_model(forms, THEIRS, run), told, prompt, n_new, run)
    texts, times = [], []
    first = seconds_for(lambda: texts.append(write()), run.device)
    if name.endswith("compiled"):
        write()  # the second run may still record
    while len(times) < FEWEST_ROUNDS or (len(times) < MOST_ROUNDS and sum(times) < ENOUGH):
        times.append(seconds_for(write, run.device))
    _must_be_whole(texts[0], prompt, n_new)
    return {
        "first_seconds": first,
        "seconds": spread(times),
        "tokens_per_second": spread([len(prompt) * n_new / seconds for seconds in times]),
    }


def _ours(model: nn.Module, prompt: Tensor, n_new: int) -> Callable[[], Tensor]:
    """By the package's cache step by step, by our decoder for a fused model."""
    decoder = PACKAGE.decoder(model, len(prompt), prompt.shape[1] + n_new)

    @torch.inference_mode()
    def write() -> Tensor:
        decoder.reset()
        ids = [prompt]
        for _ in range(n_new):
            ids.append(decoder.feed(ids[-1]).argmax(dim=-1, keepdim=True))
        return torch.cat(ids, dim=1)

    return write


def _theirs(model, told: dict, prompt: Tensor, n_new: int, run: Run) -> Callable[[], Tensor]:
    told = dict(told)
    if run.device == "cpu" and told and not told.get("disable_compile"):
        told["compile_config"] = _compile_on_a_cpu()
    model.generation_config.eos_token_id = None  # no token ends a text before the others do
    model.generation_config.pad_token_id = 0
    mask = torch.ones_like(prompt)

    def write() -> Tensor:
        return model.generate(
            prompt, attention_mask=mask, max_new_tokens=n_new, do_sample=False, **told
        )

    return write


def _compile_on_a_cpu():
    """What makes `generate` compile without a card, by the compiler's first half alone."""
    from transformers import CompileConfig

    config = CompileConfig(backend="eager", mode=None)
    config._compile_all_devices = True
    return config


def _must_be_whole(text: Tensor, prompt: Tensor, n_new: int) -> None:
    wanted = (len(prompt), prompt.shape[1] + n_new)
    if tuple(text.shape) != wanted:
        raise ValueError(f"the text must have the shape {wanted}, got {tuple(text.shape)}.")
