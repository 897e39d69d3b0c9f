"""How far a training run is: a bar in a terminal of any width, elsewhere a line a checkpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

WIDEST_BAR, NARROWEST_BAR = 24, 5
TIME_WIDTH = len("0:00:00")


@contextmanager
def progress_bar(quiet: bool, console: Console | None = None) -> Iterator[Callable]:
    """A function that hears of every step of a run.

    The bar begins with the first step: what is printed before that stands above it.

    Args:
        console: where it is drawn; by default stderr.
    """
    console = console or Console(stderr=True)
    if quiet or not console.is_terminal:
        yield (lambda progress: None) if quiet else _tell_when_saved
        return
    middle = BarColumn()
    bar = Progress(
        TextColumn("{task.description}"), middle, TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(), console=console, transient=True, redirect_stdout=False,
    )  # fmt: skip
    tasks = []

    def told(progress) -> None:
        step = f"step {progress.step}/{progress.n_steps}"
        room = console.width - len(step) - TIME_WIDTH - 3  # a space between any two of the four
        said = _fitting(_parts(progress), room)
        rest = room - len(said)
        middle.bar_width = min(WIDEST_BAR, rest) if rest >= NARROWEST_BAR else 0
        shown = {"completed": progress.step, "total": progress.n_steps, "said": said}
        if not tasks:  # a run that is resumed begins where it is, or the time left would be wrong
            tasks.append(bar.add_task(step, **shown))
            bar.start()
        bar.update(tasks[0], description=step, **shown)

    try:
        yield told
    finally:
        bar.stop()


def _tell_when_saved(progress) -> None:
    if progress.is_saved:
        said = " · ".join(_parts(progress))
        click.echo(f"step {progress.step}/{progress.n_steps} · {said}", err=True)


def _parts(progress) -> list[str]:
    """What is to be said of a step, the most important first."""
    parts = [f"loss {progress.loss:.3f}"]
    if progress.validation is not None:
        parts.append(f"validation {progress.validation:.3f}")
    return [*parts, f"{progress.tokens_per_second:,.0f} tokens/s"]


def _fitting(parts: list[str], room: int) -> str:
    """As many of the parts, from the first on, as fit."""
    while parts and len(" · ".join(parts)) > room:
        parts = parts[:-1]
    return " · ".join(parts)
