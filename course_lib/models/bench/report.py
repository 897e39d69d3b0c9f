"""From workloads to a table, a JSON file and a picture."""

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from .machine import describe_machine, product_rate, read_rate
from .timing import take_turns
from .workloads import Workload


@dataclass(frozen=True)
class Row:
    """One workload, measured."""

    name: str
    about: str
    dtype: str
    ours_tokens_per_second: float
    theirs_tokens_per_second: float
    ratio: float
    quartiles: tuple[float, float]
    difference: float
    limited_by: str
    share_of_limit: float
    rounds: int
    point: tuple[str, int] | None


def measure(
    chosen: Iterable[Workload],
    device: torch.device,
    *,
    rounds: int,
    ours: str = "ours",
    say: Callable[[Row], None] = lambda row: None,
) -> dict:
    """All workloads measured in turn, with the machine and its limits, as plain data.

    Args:
        ours: how the report calls the model that is not the peer's.
    """
    dtypes = ["float32", "bfloat16"]
    products = {name: product_rate(device, getattr(torch, name)) for name in dtypes}
    memory = read_rate(device)
    rows = []
    for workload in chosen:
        both = workload.prepare(device)
        timing = take_turns(both.ours, both.theirs, device, rounds=rounds)
        seconds = statistics.median(timing.ours)
        kind, needed = both.limit
        most = memory if kind == "memory" else products[workload.dtype.split(" ")[0]]
        row = Row(
            name=workload.name,
            about=workload.about,
            dtype=workload.dtype,
            ours_tokens_per_second=both.n_tokens / seconds,
            theirs_tokens_per_second=both.n_tokens / statistics.median(timing.theirs),
            ratio=timing.ratio,
            quartiles=timing.spread,
            difference=both.difference,
            limited_by=kind,
            share_of_limit=needed / seconds / most,
            rounds=rounds,
            point=workload.point,
        )
        rows.append(row)
        say(row)
    return {
        "ours": ours,
        "machine": describe_machine(device),
        "products_per_second": products,
        "memory_bytes_per_second": memory,
        "peer": _peer(),
        "rows": [vars(row) for row in rows],
    }


def _peer() -> str:
    import transformers

    return f"transformers {transformers.__version__}, GPT2LMHeadModel, sdpa"


def as_markdown(measured: dict) -> str:
    """The table that stands in the README."""
    machine = measured["machine"]
    where = machine.get("gpu") or f"{machine['processor']}, {machine['threads']} threads"
    lines = [
        f"| workload | dtype | {measured['ours']}, tokens/s | Hugging Face, tokens/s "
        "| ratio (quartiles) | share of the limit |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in measured["rows"]:
        low, high = row["quartiles"]
        lines.append(
            f"| {row['about']} | {row['dtype']} | {_rate(row['ours_tokens_per_second'])} "
            f"| {_rate(row['theirs_tokens_per_second'])} | {row['ratio']:.2f} ({low:.2f} to "
            f"{high:.2f}) | {row['share_of_limit']:.0%} of {row['limited_by']} |"
        )
    products = ", ".join(
        f"{rate / 1e9:,.0f} GFLOP/s in {name}"
        for name, rate in measured["products_per_second"].items()
    )
    memory = measured["memory_bytes_per_second"] / 1e9
    lines += [
        "",
        f"On {where}, {machine['memory_gib']} GiB; torch {machine['torch']}; {measured['peer']}. "
        f"Limits measured in the same run: products {products}; memory {memory:,.1f} GB/s.",
    ]
    return "\n".join(lines)


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def write_report(measured: dict, out: Path) -> list[Path]:
    """`bench.json`, `bench.md`, `bench.png`, and `growth.png` if lengths were timed, in `out`."""
    from course_lib import plots

    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"bench.{kind}" for kind in ("json", "md", "png")]
    paths[0].write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(as_markdown(measured) + "\n", encoding="utf-8")
    ratios = {row["name"]: row["ratio"] for row in measured["rows"]}
    picture = plots.bars(ratios, xlabel="times as fast as Hugging Face's", show="{:.2f}".format)
    picture.savefig(paths[2], dpi=120)
    growth = _growth(measured["rows"])
    if growth:
        paths.append(out / "growth.png")
        plots.curves(
            {name: list(points.values()) for name, points in growth.items()},
            x=list(next(iter(growth.values()))),
            xlabel="tokens before it", ylabel="milliseconds for one token",
            log_x=True, log_y=True,
        ).savefig(paths[-1], dpi=120)  # fmt: skip
    return paths


def _growth(rows: list[dict]) -> dict[str, dict[int, float]]:
    """Milliseconds for one token by length, for both, with and without a cache.

    Empty unless each curve has the same lengths, two or more.
    """
    curves: dict = {}
    for row in rows:
        if row["point"]:
            curve, length = row["point"]
            for who in ("ours", "theirs"):
                points = curves.setdefault(f"{who}, {curve}", {})
                points[length] = 1000 / row[f"{who}_tokens_per_second"]
    lengths = {tuple(points) for points in curves.values()}
    is_whole = len(lengths) == 1 and len(lengths.pop()) > 1
    return curves if is_whole else {}
