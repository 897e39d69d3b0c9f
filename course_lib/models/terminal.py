"""The model commands as one sees them: a progress line, a summary, text as it is written."""

import os
import shlex
import sys
from pathlib import Path

import click

from course_lib.did_you_mean import did_you_mean

from . import ModelError, checkpoint, hardware
from .bar import progress_bar
from .generation import Sampling, write
from .settings import read_settings, resumed_settings
from .text import make_tokenizer
from .training import train
from .whose_model import OURS, Package


def train_here(flags, config, out: Path, resume: bool, package: str, *, quiet: bool) -> dict:
    """Train, say how it goes, draw the loss curve; what it came to, as plain data.

    Raises:
        ModelError: the run cannot start or go on.
    """
    is_first = os.environ.get("RANK", "0") == "0"  # of several processes one speaks
    quiet = quiet or not is_first
    saved = checkpoint.load(out) if resume else None
    if not resume and (out / checkpoint.POINTER).exists():
        raise ModelError(f"{out} holds a run already: add --resume, or choose another --out.")
    if saved:
        if config:
            raise ModelError("--resume takes its settings from the checkpoint: leave out --config.")
        settings = resumed_settings(saved.state["settings"], flags)
    else:
        settings = read_settings(config, flags)
    if is_first:
        checkpoint.require_writable(out)
    with progress_bar(quiet) as told:
        outcome = train(
            settings,
            Package(package),
            out,
            resume=saved,
            say=(lambda text: None) if quiet else click.echo,
            told=told,
        )
    picture = _draw_losses(out) if is_first else None
    if not quiet:
        ended = "stopped" if outcome.was_stopped else "done"
        click.echo(
            f"{ended} after {outcome.step} steps and {outcome.seconds:.1f} s: "
            f"loss {outcome.loss:.3f}, validation loss {outcome.validation:.3f}"
        )
        if outcome.was_stopped:
            click.echo(f"Go on:  course train --out {shlex.quote(str(out))} --resume")
        click.echo(f"Losses: {picture}")
        click.echo(f"Write:  course generate --model {shlex.quote(str(out))}")
    return {
        "step": outcome.step,
        "loss": outcome.loss,
        "validation_loss": outcome.validation,
        "seconds": round(outcome.seconds, 3),
        "out": str(out),
        "was_stopped": outcome.was_stopped,
    }


def _draw_losses(out: Path) -> Path:
    """The picture of the losses; where matplotlib is missing, the table it would be made of."""
    try:
        from course_lib import plots
    except ModuleNotFoundError:
        return out / "losses.csv"
    state = checkpoint.load(out).state
    steps, held_back = zip(*state["validations"], strict=True)
    picture = plots.losses(state["losses"], steps, held_back)
    picture.savefig(out / "loss.png", dpi=120)
    return out / "loss.png"


def generate_here(
    model: Path | None,
    gpt2: Path | None,
    package: str,
    *,
    prompt: tuple[str, ...],
    n_new: int,
    samples: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    stop: str | None,
    seed: int | None,
    cache: bool,
    device: str,
    dtype: str,
    attention: str,
    quiet: bool,
) -> list[dict]:
    """Write texts; a single one appears as it is written. Returns them as plain data.

    `past_context` says of each whether the model lost sight of its beginning while it wrote.

    Raises:
        ModelError: the model cannot be read, or cannot go on from a prompt.
    """
    sampling = Sampling(temperature, top_k, top_p)
    whose = Package(package)
    gpt, tokenizer = _read_gpt2(gpt2, whose) if gpt2 else _read_trained(model, whose)
    place = hardware.choose_device(device)
    gpt = whose.run_by(gpt, attention).to(place, hardware.choose_dtype(dtype, place))
    prompts = [one for one in (prompt or ("\n",)) for _ in range(samples)]
    texts, are_past = [""] * len(prompts), [False] * len(prompts)
    is_streamed = len(prompts) == 1 and not quiet
    pieces = write(
        gpt, whose, tokenizer, prompts, n_new,
        sampling=sampling, stop=stop, seed=seed, use_cache=cache,
        say=(lambda text: None) if quiet else (lambda text: click.echo(text, err=True)),
    )  # fmt: skip
    if is_streamed:
        click.echo(prompts[0], nl=False)
    for piece in pieces:
        texts[piece.row] += piece.text
        are_past[piece.row] |= piece.is_past_context
        if is_streamed:
            click.echo(piece.text, nl=False)
            sys.stdout.flush()
    if is_streamed:
        click.echo()
    elif not quiet:
        for number, (start, text) in enumerate(zip(prompts, texts, strict=True), start=1):
            click.secho(f"--- {number} of {len(prompts)}", dim=True)
            click.echo(start + text)
    return [
        {"prompt": start, "text": text, "past_context": is_past}
        for start, text, is_past in zip(prompts, texts, are_past, strict=True)
    ]


def _read_trained(folder: Path, package: Package):
    """The model and the tokenizer of a folder that `course train` wrote."""
    saved = checkpoint.load(folder)
    tokenizer = make_tokenizer(package, saved.state["tokenizer"])
    sizes = {
        name: saved.state["settings"][name]
        for name in ("context_length", "d_model", "n_heads", "n_layers", "bias", "tie_weights")
    }
    model = package.build(vocab_size=tokenizer.vocab_size, **sizes)
    checkpoint.fill(model, saved.weights, str(folder))
    return model.eval(), tokenizer


def _read_gpt2(folder: Path, package: Package):
    from .gpt2 import read_gpt2

    return read_gpt2(folder, package)


def bench_here(
    names: tuple[str, ...], out: Path | None, package: str, rounds: int, device: str, *, quiet: bool
) -> dict:
    """Measure, tell each row as it comes, and write the report; the whole as plain data.

    Raises:
        ModelError: a workload is unknown, the peer is missing, or the two do not agree.
    """
    from .bench.report import measure, write_report
    from .bench.workloads import workloads

    if out:
        checkpoint.require_writable(out)
    place = hardware.choose_device(device)
    every = {workload.name: workload for workload in workloads(place, Package(package))}
    for name in names:
        if name not in every:
            raise ModelError(f"no workload is called {name!r}. {did_you_mean(name, every)}")

    def say(row) -> None:
        low, high = row.quartiles
        click.echo(
            f"{row.name:<24} {row.ratio:5.2f} times as fast ({low:.2f} to {high:.2f}); "
            f"{row.ours_tokens_per_second:,.0f} tokens/s, "
            f"{row.share_of_limit:.0%} of what {row.limited_by} allow"
        )

    chosen = [every[name] for name in names or every]
    ours = "ours" if package == OURS else package
    told = (lambda row: None) if quiet else say
    measured = measure(chosen, place, rounds=rounds, ours=ours, say=told)
    for path in write_report(measured, out) if out else ():
        if not quiet:
            click.echo(path)
    return measured
