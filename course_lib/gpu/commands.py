"""`course train` and `course generate` as a reader types them.

On the card, on the CPU beside it, and a run that goes from one to the other and back.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

from course_lib.models import checkpoint
from course_lib.models.settings import TrainSettings
from course_lib.models.training import train

from .attempts import attempt
from .forms import PACKAGE
from .sections import Run
from .timing import spread

PROMPT = "mia is a "
DEFAULT: dict = {}
LARGER = {  # a model that gives a card some work
    "d_model": 512, "n_heads": 8, "n_layers": 8, "context_length": 256,
    "max_lr": 1e-3, "min_lr": 1e-4,
}  # fmt: skip
SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 1, "context_length": 16, "batch_size": 8}
SETTLED = 0.5  # the rate is taken over the last half of the steps, which no compilation slows down
LONGEST = 60  # seconds for one command


def rows(run: Run) -> Iterator[dict]:
    n_steps, n_more = (8, 4) if run.is_small else (400, 20)
    default, larger = (SMALL, SMALL) if run.is_small else (DEFAULT, LARGER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def trained(called: str, size: dict, device: str, n_steps: int) -> dict:
            about = {"name": f"train, {called}, {device}", "size": called, "device": device}
            out = folder / f"{called}-{device}"
            return attempt(about, lambda: _train(out, device, n_steps, size), LONGEST)

        yield trained("default", default, run.device, n_steps)
        yield from _typed(folder / f"default-{run.device}", run, n_steps, n_more)
        if run.device != "cpu":
            yield trained("default", default, "cpu", n_more)
        yield trained("larger", larger, run.device, n_steps)


def _train(out: Path, device: str, n_steps: int, size: dict) -> dict:
    """A run in this process, which hears when each step was done."""
    settings = TrainSettings(n_steps=n_steps, device=device, save_every=n_steps, **size)
    times, losses, said = [], [], []

    def told(progress) -> None:
        times.append(time.perf_counter())
        losses.append(progress.loss)

    started = time.perf_counter()
    outcome = train(settings, PACKAGE, out, say=said.append, told=told)
    seconds = time.perf_counter() - started
    steps = [after - before for before, after in pairwise(times[:-1])]
    settled = steps[int(len(steps) * SETTLED) :]  # the last step, which validates and saves, is out
    n_tokens = settings.batch_size * settings.context_length
    given = asdict(settings)
    return {
        "said": said,
        "n_parameters": _n_parameters(out),
        "settings": {name: given[name] for name in (*SMALL, "dtype", "compile", "n_steps")},
        "n_steps": outcome.step,
        "seconds": seconds,
        "first_step_seconds": times[0] - started,
        "first_loss": losses[0],
        "last_loss": outcome.loss,
        "validation_loss": outcome.validation,
        "tokens_per_second": spread([n_tokens / one for one in settled]),
    }


def _n_parameters(out: Path) -> int:
    return sum(tensor.numel() for tensor in checkpoint.load(out).weights.values())


def _typed(out: Path, run: Run, n_steps: int, n_more: int) -> Iterator[dict]:
    """The commands themselves, on the run that the first training has left."""
    n_new = 20 if run.is_small else 200
    write = ["generate", "--model", str(out), "--prompt", PROMPT, "--n-new", str(n_new)]

    def sample() -> dict:
        (text,) = _course(*write, "--device", run.device, "--seed", "1")
        return {"text": text["prompt"] + text["text"]}

    def same() -> dict:
        texts = {
            device: _course(*write, "--device", device, "--temperature", "0")[0]["text"]
            for device in ("cpu", run.device)
        }
        return {"agrees": len(set(texts.values())) == 1, "texts": texts}

    def resume(device: str, step: int) -> dict:
        told = ["--resume", "--device", device, "--n-steps", str(step)]
        return _course("train", "--out", str(out), *told)

    yield attempt({"name": "generate", "device": run.device}, sample, LONGEST)
    yield attempt({"name": "generate, the likeliest, both"}, same, LONGEST)
    steps = {"cpu": n_steps + n_more, run.device: n_steps + 2 * n_more}
    for device, step in steps.items():
        about = {"name": f"resume, {device}", "device": device}
        yield attempt(about, lambda d=device, s=step: resume(d, s), LONGEST)


def _course(*words: str):
    """What a command answers in JSON.

    Raises:
        RuntimeError: it failed; the text is what it said.
    """
    command = [sys.executable, "-m", "course_lib", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, env=os.environ)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RuntimeError(f"course {words[0]}: {said[-1] if said else done.returncode}")
    return json.loads(done.stdout)
