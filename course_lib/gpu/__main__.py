"""`python -m course_lib.gpu`, which `make gpu` calls: measure, and print the tables."""

import argparse
import sys
from pathlib import Path

import torch

from course_lib.did_you_mean import did_you_mean
from course_lib.files import write_atomically

from .running import measure
from .sections import LIMIT, SECTIONS
from .tables import as_text


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.gpu",
        description="Measure on one CUDA card what the course promises there, in at most "
        f"{LIMIT // 60 + 1} minutes. Sections: {', '.join(one.name for one in SECTIONS)}.",
    )
    parser.add_argument("sections", nargs="*", help="by name; all by default")
    parser.add_argument(
        "--out", type=Path, default=Path("_build/gpu"), help="where the record goes"
    )
    parser.add_argument("--small", action="store_true", help="try it on the CPU, with tiny sizes")
    told = parser.parse_args()
    known = {one.name: one for one in SECTIONS}
    for name in told.sections:
        if name not in known:
            parser.error(f"no section is called {name!r}. {did_you_mean(name, known)}")
    if not told.small and not torch.cuda.is_available():
        parser.error(
            "it needs a card that torch can use by CUDA; without one, add --small to try it"
        )
    chosen = [known[name] for name in told.sections or known]
    device = "cpu" if told.small else "cuda"
    record = measure(chosen, device, is_small=told.small, out=told.out)
    text = as_text(record)
    write_atomically(told.out / "gpu.md", text + "\n")
    print(f"\n{text}\n\nThe record: {told.out / 'gpu.json'}")
    sys.exit(any(one["state"] == "failed" for one in record["sections"].values()))


if __name__ == "__main__":
    main()
