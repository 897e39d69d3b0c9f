"""All sections one after the other, each in a process of its own, into one record.

A process of its own gives the card's memory back, ends a compilation that hangs, and keeps an error
of the card, which outlives the call that made it, from the sections after it. The record is written
after each section.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from course_lib.files import write_atomically

from .child import told
from .sections import LIMIT, Section

NEEDED = 15  # seconds without which a section is not begun: Python, torch and the card must start
CHECKOUT = Path(__file__).resolve().parents[2]


def measure(
    sections: Iterable[Section],
    device: str,
    *,
    is_small: bool,
    out: Path,
    limit: float = LIMIT,
    say: Callable[[str], None] = print,
) -> dict:
    """Run the sections and write `gpu.json` and `gpu.log` in `out`; the record, as plain data.

    Args:
        limit: seconds for all of them.
    """
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    when = datetime.now(UTC).isoformat(timespec="minutes")
    record = {"when": when, "device": device, "is_small": is_small, "sections": {}}
    with (out / "gpu.log").open("wb") as log:
        for section in sections:
            left = limit - (time.monotonic() - started)
            if left < NEEDED:
                found = {"state": "skipped", "reason": f"no time left of {limit:g} s", "rows": []}
            else:
                found = _run(section, device, is_small, min(section.seconds, left), log)
            record["sections"][section.name] = {"about": section.about, **found}
            record["seconds"] = round(time.monotonic() - started, 1)
            write_atomically(out / "gpu.json", json.dumps(record, indent=1) + "\n")
            why = f": {found['reason']}" if found["reason"] else ""
            say(f"{section.name:<12} {found['state']:<9} {found.get('seconds', 0):6.1f} s{why}")
    return record


def _run(section: Section, device: str, is_small: bool, seconds: float, log) -> dict:
    """What became of one section: its state, the reason, the seconds, and its rows."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        end: dict = {"end": "again"}
        while end["end"] == "again":
            n_before = len(told(path))
            status = _start(section, device, is_small, path, started + seconds, log)
            lines = told(path)
            end = lines[-1] if len(lines) > n_before and "end" in lines[-1] else {}
            if not end:
                end = {"end": "failed", "reason": _why(status, seconds)}
            elif end["end"] == "again" and len(lines) == n_before + 1:
                end = {"end": "failed", "reason": "a fresh process got no further"}
        rows = [line["row"] for line in told(path) if "row" in line]
    state = "partly" if rows and end["end"] == "failed" else end["end"]
    return {
        "state": state,
        "reason": end.get("reason", ""),
        "seconds": round(time.monotonic() - started, 1),
        "rows": rows,
    }


def _start(section, device, is_small, path, deadline, log) -> int | None:
    """The exit status of one process; None if it had to be ended."""
    size = "small" if is_small else "full"
    told_as = [section.module, json.dumps(section.options), device, size, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_paths()), "HF_HUB_OFFLINE": "1"}
    log.write(f"\n== {section.name}\n".encode())
    log.flush()
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.child", *told_as],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # the compiler's own processes, too
            process.wait()


def _paths() -> list[str]:
    """Where the process finds this package, whatever the folder."""
    return [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]


def _why(status: int | None, seconds: float) -> str:
    if status is None:
        return f"ended after {seconds:.0f} s, its share of the time"
    return f"its process ended with status {status}; gpu.log says more"
