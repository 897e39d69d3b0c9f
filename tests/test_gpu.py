"""`make gpu` keeps what it has measured, whatever goes wrong, and the pages show its record."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.gpu import pages, tables
from course_lib.gpu.running import measure
from course_lib.gpu.sections import LIMIT, SECTIONS, Section

ROOT = Path(__file__).resolve().parent.parent
STATES = {"measured", "partly", "skipped", "failed"}


def run_small(out: Path, *sections: str) -> tuple[dict, str]:
    """The record of a trial on the CPU, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.gpu", "--small", "--out", str(out), *sections],
        capture_output=True, text=True, env=environment, timeout=900, cwd=out.parent,
    )  # fmt: skip
    log = out / "gpu.log"
    assert done.returncode == 0, done.stderr + (log.read_text("utf-8") if log.exists() else "")
    return json.loads(
        (out / "gpu.json").read_text("utf-8"), parse_constant=pytest.fail
    ), done.stdout


@pytest.mark.slow
def test_a_trial_measures_every_section(tmp_path):
    record, printed = run_small(tmp_path / "out")
    assert list(record["sections"]) == [section.name for section in SECTIONS]
    for name, found in record["sections"].items():
        assert found["state"] == "measured", (name, found["reason"])
        errors = [row for row in found["rows"] if "error" in row]
        assert not errors, name
        assert not [row for row in found["rows"] if row.get("agrees") is False], name
    assert all(row["passed"] for row in record["sections"]["components"]["rows"])
    for name in tables.BLOCKS:
        assert tables.block(record, name) in printed
    assert "nan" not in printed


def test_a_trial_of_one_section_is_a_record_with_reasons_for_the_rest(tmp_path):
    record, printed = run_small(tmp_path / "out", "machine")
    assert list(record["sections"]) == ["machine"]
    assert record["sections"]["machine"]["state"] == "measured"
    assert record["is_small"]
    assert "Not measured (training: it was not asked for)." in printed


def test_an_unknown_section_gets_a_suggestion(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.gpu", "--small", "trainin"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Did you mean training?" in done.stderr


@pytest.mark.parametrize(
    ("how", "state", "reason", "names"),
    [
        ("hangs", "partly", "its share of the time", ["first"]),
        ("fails", "partly", "RuntimeError: the card is on fire", ["first"]),
        ("dies", "partly", "ended with status 11", ["first"]),
        ("lacks", "skipped", "needs a_package_that_nobody_has", ["first"]),
        ("is_infinite", "measured", "", ["first", "second"]),
        ("has_a_slow_row", "measured", "", ["first", "second", "third"]),
        ("starts_again", "measured", "", ["first", "second"]),
        ("never_gets_on", "partly", "a fresh process got no further", ["first"]),
    ],
)
def test_what_goes_wrong_is_written_down_and_keeps_the_rest(
    how, state, reason, names, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    seconds = 8 if how == "hangs" else 60
    wrong = Section("wrong", "goes wrong", "gpu_sections", seconds, {"how": how})
    record = measure([wrong], "cpu", is_small=True, out=tmp_path, say=str)
    found = record["sections"]["wrong"]
    assert (found["state"], [row["name"] for row in found["rows"]]) == (state, names)
    assert reason in found["reason"]
    wrong_rows = [row["name"] for row in found["rows"] if "error" in row]
    assert wrong_rows == (["second"] if how in ("is_infinite", "has_a_slow_row") else [])
    assert json.loads((tmp_path / "gpu.json").read_text("utf-8")) == record


def test_a_section_for_which_no_time_is_left_says_so(tmp_path):
    record = measure(SECTIONS, "cpu", is_small=True, out=tmp_path, limit=3, say=str)
    assert {found["state"] for found in record["sections"].values()} == {"skipped"}
    assert "no time left" in tables.as_text(record)


def test_the_sections_fit_into_eight_minutes():
    assert LIMIT < 8 * 60
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)


def test_the_pages_show_the_record_and_nothing_else():
    record = pages.committed()
    for name in pages.PAGES:
        text = (ROOT / name).read_text("utf-8")
        assert pages.PLACE.search(text), name
        assert pages.filled(text, record) == text, "run: python -m course_lib.gpu.pages"


def test_a_record_that_is_committed_was_measured_on_a_card():
    record = pages.committed()
    if record is None:
        assert tables.block(record, "training") == tables.NOT_YET
        return
    assert record["device"] == "cuda"
    assert not record["is_small"]
    assert list(record["sections"]) == [section.name for section in SECTIONS]
    assert {found["state"] for found in record["sections"].values()} <= STATES
    assert all(
        found["reason"] for found in record["sections"].values() if found["state"] != "measured"
    )


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import course_lib.models.terminal
from course_lib.checks import all_checks
from course_lib.cli import main
from course_lib.gpu import components, decoding, equality, limits, running, tables, training
from course_lib.gpu.forms import TINY, make_forms
assert all_checks()
forms = make_forms(TINY)
assert len(forms.models) == 2
assert "transformers" in forms.missing
"""


def test_the_script_needs_no_library_that_only_the_book_and_the_grader_need():
    absent = {"pooch", "jupytext", "nbformat", "nbgrader", "nbclient", "IPython", "matplotlib"}
    absent |= {"transformers"}
    script = WITHOUT.replace("{ABSENT}", repr(absent))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
