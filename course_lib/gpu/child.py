"""One section in a process of its own: `child MODULE OPTIONS DEVICE SIZE FILE`.

It writes a line of JSON into the file for each row as soon as it has it, and one for the end.
"""

import importlib
import json
import sys
import traceback
from pathlib import Path

from .attempts import Skipped, StartAgain, in_one_line
from .sections import Run


def main(module: str, options: str, device: str, size: str, path: Path) -> None:
    done = frozenset(line["row"]["name"] for line in told(path) if "row" in line)
    run = Run(device, size == "small", done)
    try:
        for row in importlib.import_module(module).rows(run, **json.loads(options)):
            _tell(path, {"row": row})
        end = {"end": "measured"}
    except Skipped as reason:
        end = {"end": "skipped", "reason": str(reason)}
    except StartAgain:
        end = {"end": "again"}
    except Exception as error:  # the other sections go on
        traceback.print_exc()
        is_missing = isinstance(error, ModuleNotFoundError)
        end = {"end": "skipped" if is_missing else "failed", "reason": in_one_line(error)}
    _tell(path, end)


def told(path: Path) -> list[dict]:
    """All whole lines that a section has written so far."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _tell(path: Path, line: dict) -> None:
    try:
        text = json.dumps(line, allow_nan=False)
    except ValueError:  # JSON has no word for nan, and nothing is measured by it
        row = {"name": line["row"]["name"], "error": f"a number is not finite: {line['row']}"}
        text = json.dumps({"row": row})
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5], Path(sys.argv[5]))
