"""The records that are committed, a file an experiment, and what the pages show of them.

A learner's notebook draws them too: so nothing here needs more than numpy.
"""

import json
from pathlib import Path

import numpy as np

from course_lib.files import write_atomically

from .experiment import Runs, spread

FOLDER = Path(__file__).with_name("records")
WIDTH = 76  # characters that a page shows beside its sidebars


class Recorded(Runs):
    """What the seeds of one experiment gave, for a page to print and to draw."""

    def __init__(self, record: dict):
        super().__init__(
            {arm: [run["seen"] for run in runs] for arm, runs in record["arms"].items()}
        )
        self.record = record
        self.n_seeds = len(next(iter(record["arms"].values())))

    def curves(self, measure: str) -> dict[str, np.ndarray]:
        """For each arm that has it, the measure under every seed: (n_seeds, n_points)."""
        return {arm: self[arm, measure] for arm in self.arms if self.has(arm, measure)}

    def table(self, *measures: str, shown: str | None = None) -> str:
        """The measures of every arm as text: the median over the seeds, and the range.

        Side by side, or one below the other where that is wider than a page shows.

        Args:
            shown: how a number is printed; what the experiment says where it is None.
        """
        measures = measures or tuple(m for m in self.measures if self._is_number(m))
        cells = {
            (arm, measure): self.cell(arm, measure, shown) if self.has(arm, measure) else ""
            for arm in self.arms
            for measure in measures
        }
        rows = [["", *measures]]
        rows += [[arm, *(cells[arm, measure] for measure in measures)] for arm in self.arms]
        lines = _in_columns(rows)
        if max(map(len, lines)) > WIDTH:
            lines = []
            for measure in measures:
                rows = [
                    [f"  {arm}", cells[arm, measure]] for arm in self.arms if self.has(arm, measure)
                ]
                lines += [f"{measure}:", *_in_columns(rows)]
        head = f"{self.n_seeds} seeds: the median, and from the smallest to the largest"
        return "\n".join([head, *lines])

    def cell(self, arm: str, measure: str, shown: str | None = None) -> str:
        """One entry of the table: "0.93 (0.75 to 1)"."""
        shown = shown or self.record["formats"].get(measure, "{:.3g}")
        values = self[arm, measure]
        return f"{shown.format(np.median(values))} ({spread(values, shown)})"

    def _is_number(self, measure: str) -> bool:
        arm = next(arm for arm in self.arms if self.has(arm, measure))
        return self[arm, measure].ndim == 1


def _in_columns(rows: list[list[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def recorded(name: str) -> Recorded:
    """What was recorded of an experiment.

    Raises:
        LookupError: there is no record of that name.
    """
    record = read_record(name)
    if record is None:
        raise LookupError(f"an experiment must be recorded to be shown, got {name!r}.")
    return Recorded(record)


def read_record(name: str, folder: Path = FOLDER) -> dict | None:
    """The record of an experiment as it is committed; None where there is none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def write_record(name: str, record: dict, folder: Path = FOLDER) -> Path:
    """Write the record of an experiment, a line a run, so that a change of one reads as one."""
    head = {key: value for key, value in record.items() if key != "arms"}
    lines = ["{"]
    lines += [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    lines.append(' "arms": {')
    arms = list(record["arms"].items())
    for number, (arm, runs) in enumerate(arms):
        lines.append(f"  {json.dumps(arm)}: [")
        lines += [f"   {json.dumps(run)}{',' * (run is not runs[-1])}" for run in runs]
        lines.append("  ]" + "," * (number + 1 < len(arms)))
    lines += [" }", "}", ""]
    path = folder / f"{name}.json"
    write_atomically(path, "\n".join(lines))
    return path
