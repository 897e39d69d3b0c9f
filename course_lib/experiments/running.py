"""Run experiments: every arm under every seed, on all cores, each run noted as soon as it is over.

A run that was stopped goes on where it was: what is noted under `_build/experiments/` is not run
again, as long as the code that it depends on is the same. When the last run of an experiment is
over, its record is written.
"""

import datetime
import importlib
import json
import os
import pkgutil
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import course_lib
from course_lib.did_you_mean import did_you_mean

from . import evidence
from .experiment import Experiment
from .fingerprint import fingerprint
from .page_code import BOOK, page_of
from .records import FOLDER, Recorded, read_record, write_record

NOTES = BOOK.parent / "_build" / "experiments"


class UnknownExperiment(LookupError):
    """There is no experiment of that name."""


@dataclass(frozen=True)
class Done:
    """One run that is over."""

    experiment: str
    arm: str
    seed: int
    seconds: float
    n_done: int
    n_all: int


def experiments() -> dict[str, Experiment]:
    """Every experiment by name, in the order of the lessons, then by name."""
    found = {}
    here = importlib.import_module(__package__)
    for room in sorted(pkgutil.iter_modules(here.__path__), key=lambda module: module.name):
        if not room.name.startswith("lesson_"):
            continue
        package = importlib.import_module(f"{__package__}.{room.name}")
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            if hasattr(loaded, "EXPERIMENT"):  # others hold what experiments share
                found[module.name] = loaded.EXPERIMENT
    return found


def chosen(names: Sequence[str]) -> dict[str, Experiment]:
    """The experiments of these names, or all.

    Raises:
        UnknownExperiment: there is none of that name.
    """
    there = experiments()
    for name in names:
        if name not in there:
            raise UnknownExperiment(
                f"no experiment is called {name!r}. {did_you_mean(name, there)} "
                "`course experiments --list` says what each is about."
            )
    return {name: there[name] for name in names or there}


def is_current(name: str, experiment: Experiment, folder: Path = FOLDER) -> bool:
    """Whether the committed record was made by the code that stands here, with all its seeds."""
    record = read_record(name, folder)
    return (
        record is not None
        and record["fingerprint"] == fingerprint(experiment)
        and {arm: len(runs) for arm, runs in record["arms"].items()}
        == dict.fromkeys(experiment.arms, experiment.seeds)
    )


def run_all(
    wanted: dict[str, Experiment],
    *,
    n_workers: int | None = None,
    notes: Path = NOTES,
    folder: Path = FOLDER,
) -> Iterator[Done]:
    """Run what is not noted yet of `wanted`, and write a record as soon as an experiment is whole.

    Args:
        n_workers: how many processes; as many as there are cores where it is None.
        notes: where runs are noted as they end.
        folder: where the records go.
    """
    notes.mkdir(parents=True, exist_ok=True)
    prints = {name: fingerprint(experiment) for name, experiment in wanted.items()}
    noted = {name: _noted(notes / f"{name}-{prints[name]}.jsonl") for name in wanted}
    todo = [
        (name, arm, seed)
        for name, experiment in wanted.items()
        for arm, seed in experiment.tasks
        if (arm, seed) not in noted[name]
    ]
    n_all = sum(len(experiment.tasks) for experiment in wanted.values())
    n_done = n_all - len(todo)

    def close(name: str) -> None:
        experiment = wanted[name]
        if all(task in noted[name] for task in experiment.tasks):
            write_record(name, _record(experiment, prints[name], noted[name]), folder)

    for name in wanted:
        close(name)
    if not todo:
        return
    pool = ProcessPoolExecutor(n_workers or os.cpu_count(), get_context("spawn"))
    try:
        running = {pool.submit(run_one, *task): task for task in todo}
        for future in as_completed(running):
            name, arm, seed = running[future]
            run = future.result()
            noted[name][arm, seed] = run
            with open(notes / f"{name}-{prints[name]}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"arm": arm, **run}) + "\n")
            n_done += 1
            yield Done(name, arm, seed, run["seconds"], n_done, n_all)
            close(name)
    finally:
        pool.shutdown(cancel_futures=True)


def run_one(name: str, arm: str, seed: int) -> dict:
    """One run: its seed, how long it took, and what was seen. In a process of its own."""
    import torch

    torch.set_num_threads(1)  # the cores are shared out among the runs
    experiment = experiments()[name]
    page = page_of(experiment.lesson, experiment.uses, experiment.bugs)
    started = time.process_time()  # of this core alone, whatever else the machine does
    seen = experiment.run(page, seed, **experiment.arms[arm])
    seconds = time.process_time() - started
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "seen": {measure: _plain(value) for measure, value in seen.items()},
    }


def _plain(value: object) -> object:
    """A number or a list of numbers, to five digits: more are noise, and fill the records."""
    array = np.asarray(value, dtype=float)
    rounded = [float(f"{number:.5g}") for number in array.ravel()]
    return rounded[0] if array.ndim == 0 else np.reshape(rounded, array.shape).tolist()


def _noted(path: Path) -> dict[tuple[str, int], dict]:
    """The runs that are noted in a file; a line that was cut off is none."""
    found = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            run = json.loads(line)
        except ValueError:
            continue
        found[run.pop("arm"), run["seed"]] = run
    return found


def _record(experiment: Experiment, made_by: str, noted: dict[tuple[str, int], dict]) -> dict:
    import torch

    arms = {arm: [noted[arm, seed] for seed in range(experiment.seeds)] for arm in experiment.arms}
    return {
        "lesson": experiment.lesson,
        "fingerprint": made_by,
        "date": datetime.date.today().isoformat(),
        "seconds": round(sum(run["seconds"] for runs in arms.values() for run in runs)),
        "course_lib": course_lib.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}, one thread a run",
        "formats": dict(experiment.formats),
        "arms": arms,
    }


def differences(name: str, experiment: Experiment, again: dict, folder: Path = FOLDER) -> list[str]:
    """In what a record that was made again does not bear out the one that is committed.

    The claims must hold of it, and the median of each arm must lie where the seeds lay that are on
    record, or no further away than they lie from each other.
    """
    new, old = Recorded(again), Recorded(read_record(name, folder))
    found = [
        f"no longer holds: {claim.says(new)}" for claim in experiment.claims if not claim.holds(new)
    ]
    for arm in old.arms:
        for measure in old.measures:
            if not old.has(arm, measure) or old[arm, measure].ndim > 1:
                continue
            before, now = old[arm, measure], float(np.median(new[arm, measure]))
            margin = np.ptp(before) / 2 + 1e-3 * np.abs(before).max()
            if not before.min() - margin <= now <= before.max() + margin:
                found.append(
                    f"{arm}, {measure}: the median is {now:.4g}, on record are "
                    f"{before.min():.4g} to {before.max():.4g}"
                )
    return found


def bring_up_to_date(
    wanted: dict[str, Experiment], n_workers: int | None, say: Callable[[str], None]
) -> list[str]:
    """Run those whose record is not of this code, fill the page; the claims that do not hold."""
    old = {name: e for name, e in wanted.items() if not is_current(name, e)}
    _tell(run_all(old, n_workers=n_workers), say)
    say(f"{len(old)} of {len(wanted)} experiments were run, the records of the others stand.")
    if evidence.write_page(experiments()):
        say("book/evidence.md shows the records now.")
    return [line for name, e in wanted.items() for line in refuted(name, e)]


def refuted(name: str, experiment: Experiment, folder: Path = FOLDER) -> list[str]:
    """The claims of an experiment that its record does not bear out."""
    runs = Recorded(read_record(name, folder))
    return [
        f"{name}: the record does not bear out: {claim.says(runs)}"
        for claim in experiment.claims
        if not claim.holds(runs)
    ]


def run_again(
    wanted: dict[str, Experiment], n_workers: int | None, say: Callable[[str], None]
) -> list[str]:
    """Run all of `wanted` anew, beside the records; in what the outcome differs from them."""
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside)
        _tell(run_all(wanted, n_workers=n_workers, notes=folder / "notes", folder=folder), say)
        return [
            f"{name}: {line}"
            for name, experiment in wanted.items()
            for line in differences(name, experiment, read_record(name, folder))
        ]


def _tell(runs: Iterator[Done], say: Callable[[str], None]) -> None:
    """Say what is over, a line a run, with the time that is left."""
    started, first = time.monotonic(), None
    for done in runs:
        first = done.n_done - 1 if first is None else first
        pace = (time.monotonic() - started) / (done.n_done - first)
        left = round(pace * (done.n_all - done.n_done))
        say(
            f"[{done.n_done:4d} of {done.n_all}] {done.experiment}, {done.arm}, seed {done.seed}: "
            f"{done.seconds:.1f} s; about {left // 60} min {left % 60:02d} s left"
        )
