"""A learner's own commands: status, solution, reset, submit, update and lab."""

import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.lessons.exercises import lesson_names, require_exercise
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace.folder import WorkspaceError
from course_lib.workspace.lab import notebook_to_open
from course_lib.workspace.next_step import lesson_called, lessons, next_lesson, next_step
from course_lib.workspace.promote import promote
from course_lib.workspace.reset import reset
from course_lib.workspace.screen import PLAIN, PRETTY, every_part, screen, signs_for
from course_lib.workspace.start import start
from course_lib.workspace.submit import submit
from course_lib.workspace.update import HANDED_OUT, handed_out, merge, update, written

MASKING = "03_causal_masking"
RIGHT = to_learner(component_source("masking", "causal_mask")).strip()


@pytest.fixture
def desk(tmp_path):
    return start(tmp_path / "my desk")


def pass_mask(desk, source=RIGHT):
    promote(desk, "causal_mask", "masking", source)


def course(desk, *words):
    return CliRunner().invoke(main, [*words, "-C", str(desk)])


def read(desk, lesson=MASKING):
    return json.loads((desk / f"{lesson}.ipynb").read_text("utf-8"))


def write(desk, notebook, lesson=MASKING):
    (desk / f"{lesson}.ipynb").write_text(json.dumps(notebook), "utf-8")


def cell_of(notebook, name):
    return next(cell for cell in notebook["cells"] if cell["id"] == name)


def answer(desk, component, source):
    """Type a solution into its cell and save."""
    lesson = require_exercise(component).lesson
    notebook = read(desk, lesson)
    (cell,) = (
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("course", {}).get("component") == component
        and cell["metadata"]["course"]["role"] == "answer"
    )
    cell["source"] = source
    write(desk, notebook, lesson)


# --- status -----------------------------------------------------------------------------------


def test_the_status_fits_a_narrow_screen_and_says_what_comes_next(desk):
    pass_mask(desk)
    lines = screen(lessons(desk), PRETTY)
    assert len(lines) <= 36
    assert max(map(len, lines)) <= 60
    assert "03 causal masking          ■□□□□□   1 of 6  2 of 13 points" in lines
    assert any("✓ causal_mask " in line for line in lines)
    assert lines[-1] == "Next: pairwise_dots, in 00_warm_up.ipynb: course lab"


def test_a_sign_says_what_a_colour_would(desk):
    (desk / "my_transformer" / "norm.py").write_text("def (", "utf-8")
    (row,) = (line for line in every_part(lessons(desk), PLAIN) if " LayerNorm " in line)
    assert row.split() == ["!", "LayerNorm", "broken"]


@pytest.mark.parametrize(
    ("encoding", "signs"), [("utf-8", PRETTY), ("cp1252", PLAIN), (None, PLAIN), ("no such", PLAIN)]
)
def test_a_terminal_gets_signs_that_it_can_show(encoding, signs):
    assert signs_for(encoding) is signs
    "".join(vars(PLAIN).values()).encode("ascii")


def test_every_part_is_listed_and_the_json_is_the_same_list(desk):
    rows = json.loads(course(desk, "status", "--json").stdout)
    listed = course(desk, "status", "--all").stdout
    assert len(rows) == 58 + 4
    assert all(f" {row['component']} " in listed for row in rows)


def test_who_is_done_is_told_to_take_it_along(desk):
    assert next_step(lessons(desk)).endswith("course lab")
    done = [one for one in lessons(desk) if not one.first_open]
    assert next_step(done).endswith("course export")


def test_what_comes_after_a_lesson_is_the_next_one_and_then_what_was_left_out(desk):
    found = lessons(desk)
    assert next_lesson(found) is found[0]
    assert next_lesson(found, after=found[2]) is found[3]
    assert next_lesson(found, after=found[-1]) is found[0]


# --- lab --------------------------------------------------------------------------------------


def test_lab_opens_the_next_exercise_or_the_lesson_asked_for(desk):
    assert notebook_to_open(desk, None).name == "00_warm_up.ipynb"
    for name in ("3", "03", MASKING):
        assert notebook_to_open(desk, name).name == f"{MASKING}.ipynb"
    with pytest.raises(WorkspaceError, match="no lesson is called 'masking'"):
        notebook_to_open(desk, "masking")
    (desk / "00_warm_up.ipynb").unlink()
    with pytest.raises(WorkspaceError, match="To bring it back: course update"):
        notebook_to_open(desk, None)


# --- solution ---------------------------------------------------------------------------------


def test_a_solution_is_for_who_has_one(desk):
    refused = course(desk, "solution", "causal_mask")
    assert refused.exit_code == 2
    assert "not yours yet" in refused.output
    assert "--anyway" in refused.output
    assert course(desk, "solution", "causal_mask", "--anyway").stdout.strip() == RIGHT


def test_a_wrong_answer_is_told_what_is_wrong_and_not_shown_ours(desk):
    with (desk / "my_transformer" / "masking.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n\ndef causal_mask(n_queries, n_keys=None, *, device=None):\n    return None\n"
        )
    refused = course(desk, "solution", "causal_mask")
    assert refused.exit_code == 2
    assert "is not right yet" in refused.output
    assert "torch" not in refused.output


def test_a_right_answer_sees_ours_as_a_change_of_its_own(desk):
    pass_mask(desk, RIGHT.replace("n_keys = n_queries", "n_keys = n_queries  # as many"))
    lines = course(desk, "solution", "causal_mask").stdout.splitlines()
    assert lines[:2] == ["--- yours", "+++ ours"]
    assert [line[0] for line in lines[2:] if line[0] in "+-"] == ["-", "+"]


# --- reset ------------------------------------------------------------------------------------


def test_a_reset_borrows_again_and_keeps_both_texts(desk):
    before = (desk / "my_transformer" / "masking.py").read_text("utf-8")
    pass_mask(desk)
    answer(desk, "causal_mask", "def causal_mask(n): ...  # a second try")
    done = reset(desk, "causal_mask")
    assert [path.read_text("utf-8").strip() for path in done.kept] == [
        RIGHT,
        "def causal_mask(n): ...  # a second try",
    ]
    assert (desk / "my_transformer" / "masking.py").read_text("utf-8").strip() == before.strip()
    cell = cell_of(read(desk), "causal-mask")
    assert cell["source"] == require_exercise("causal_mask").stub
    assert reset(desk, "causal_mask").kept == ()  # again: nothing to do


def test_a_reset_touches_no_other_part_and_nothing_written_by_hand(desk):
    pass_mask(desk)
    mine = "\n\ndef padding_mask(lengths):\n    return lengths  # by hand\n"
    path = desk / "my_transformer" / "masking.py"
    path.write_text(path.read_text("utf-8") + mine, "utf-8")
    reset(desk, "causal_mask")
    assert path.read_text("utf-8").endswith(mine)
    with pytest.raises(
        WorkspaceError, match=r"masking.py defines padding_mask in line \d+, by hand"
    ):
        reset(desk, "padding_mask")


def test_a_component_that_nobody_knows_is_wrong_usage(desk):
    for command in ("reset", "solution"):
        answered = course(desk, command, "causal_musk")
        assert answered.exit_code == 2
        assert "Did you mean causal_mask?" in answered.output


# --- submit -----------------------------------------------------------------------------------


def test_an_archive_holds_the_notebook_as_saved_and_a_receipt_says_so(desk):
    answer(desk, "causal_mask", RIGHT)
    answer(desk, "padding_mask", "%%time\ndef padding_mask(x): return x")
    now = datetime(2026, 11, 29, 12, 30, 5, tzinfo=UTC)
    receipt = submit(desk, MASKING, now=now)
    assert receipt.archive.name == f"{MASKING}-2026-11-29-12-30-05.zip"
    assert receipt.sha256 == hashlib.sha256(receipt.archive.read_bytes()).hexdigest()
    with zipfile.ZipFile(receipt.archive) as archive:
        assert archive.namelist() == list(receipt.files) == [f"{MASKING}/{MASKING}.ipynb"]
        assert archive.read(receipt.files[0]) == (desk / f"{MASKING}.ipynb").read_bytes()
    assert receipt.unchecked == ("causal_mask", "padding_mask")  # nothing has passed here
    assert receipt.unanswered[0] == "masked_softmax"
    kept = receipt.archive.with_suffix(".txt").read_text("utf-8")
    assert receipt.sha256 in kept
    assert kept.startswith("Not answered: masked_softmax, ")
    assert submit(desk, MASKING, now=now).archive.name.endswith("05-2.zip")


def test_the_capstone_takes_the_package_along(desk):
    receipt = submit(desk, "12_capstone")
    assert "12_capstone/my_transformer/masking.py" in receipt.files
    assert not any(".history" in name for name in receipt.files)


def test_what_cannot_be_handed_in_is_refused(desk):
    (desk / f"{MASKING}.ipynb").write_text("{", "utf-8")
    with pytest.raises(WorkspaceError, match="no notebook that can be read"):
        submit(desk, MASKING)
    (desk / f"{MASKING}.ipynb").unlink()
    assert course(desk, "submit", "3").exit_code == 2


@pytest.mark.slow
def test_what_is_submitted_earns_in_class_what_it_earned_here(desk, tmp_path):
    answer(desk, "causal_mask", RIGHT)
    with zipfile.ZipFile(submit(desk, MASKING).archive) as archive:
        archive.extractall(tmp_path / "submitted" / "ada")
    words = ["grade", "--submitted", "submitted", "--out", "grades", "--json"]
    graded = subprocess.run(
        [sys.executable, "-m", "course_lib", *words], cwd=tmp_path, capture_output=True, text=True
    )
    points = {row["component"]: row["points"] for row in json.loads(graded.stdout)["grades"]}
    assert float(points["causal_mask"]) == require_exercise("causal_mask").points
    assert float(points["padding_mask"]) == 0


# --- update -----------------------------------------------------------------------------------


def test_an_update_of_what_is_up_to_date_touches_nothing(desk):
    before = {path: path.stat().st_mtime_ns for path in desk.rglob("*") if path.is_file()}
    assert update(desk) == []
    assert {path: path.stat().st_mtime_ns for path in desk.rglob("*") if path.is_file()} == before


def older(desk, change):
    """Let the desk hold a lesson as an earlier release had it; `change` makes it from ours."""
    notebook = handed_out(MASKING)
    notebook["metadata"]["course"]["release"] = "0123456789ab"
    change(notebook)
    for path in (desk / f"{MASKING}.ipynb", desk / HANDED_OUT / f"{MASKING}.ipynb"):
        path.write_text(written(notebook), "utf-8")


def test_an_update_brings_what_the_course_changed_and_keeps_what_they_wrote(desk):
    def change(notebook):
        cell_of(notebook, "setup-masking")["source"] = "import math"
        cell_of(notebook, "text-02")["source"] = "An older sentence."
        cell_of(notebook, "causal-mask")["source"] = "def causal_mask(n):\n    ...  # an older stub"

    older(desk, change)
    notebook = read(desk)
    cell_of(notebook, "causal-mask")["source"] = RIGHT
    cell_of(notebook, "causal-mask")["outputs"] = []
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "source": "1 + 1", "outputs": []}
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, "text-02")) + 1, own)
    write(desk, notebook)
    before = (desk / f"{MASKING}.ipynb").read_text("utf-8")

    (done,) = update(desk)
    after, ours = read(desk), handed_out(MASKING)
    assert done.kept == ["causal-mask"]
    assert (desk / done.copy).read_text("utf-8") == before
    assert cell_of(after, "causal-mask")["source"] == RIGHT
    assert cell_of(after, "causal-mask")["metadata"] == cell_of(ours, "causal-mask")["metadata"]
    for name in ("setup-masking", "text-02", "opening"):
        assert cell_of(after, name)["source"] == cell_of(ours, name)["source"]
    names = [cell["id"] for cell in after["cells"]]
    assert names[names.index("mine") - 1] == "text-02"
    assert [name for name in names if name != "mine"] == [cell["id"] for cell in ours["cells"]]
    assert after["metadata"]["course"] == ours["metadata"]["course"]
    assert update(desk) == []


def test_a_cell_that_the_course_dropped_goes_unless_it_was_made_theirs():
    new = {"metadata": {"course": {}}, "cells": [_cell("a", "1")]}
    base = {"metadata": {}, "cells": [_cell("a", "1"), _cell("b", "2"), _cell("c", "3")]}
    theirs = {"metadata": {}, "cells": [_cell("a", "1"), _cell("b", "2"), _cell("c", "3 + 3")]}
    merged, kept = merge(base, theirs, new)
    assert [(cell["id"], cell["source"]) for cell in merged["cells"]] == [
        ("a", "1"),
        ("c", "3 + 3"),
    ]
    assert kept == ["c"]


def test_a_cell_that_they_threw_away_stays_away_until_the_course_changes_it():
    base = {"metadata": {}, "cells": [_cell("a", "1"), _cell("b", "2")]}
    theirs = {"metadata": {}, "cells": [_cell("a", "1")]}
    for text, there in (("2", False), ("4", True)):
        new = {"metadata": {"course": {}}, "cells": [_cell("a", "1"), _cell("b", text)]}
        merged, _ = merge(base, theirs, new)
        assert ("b" in [cell["id"] for cell in merged["cells"]]) is there


def test_a_copy_with_the_id_of_its_cell_stays_behind_it():
    base = {"metadata": {}, "cells": [_cell("a", "1")]}
    theirs = {"metadata": {}, "cells": [_cell("a", "my first"), _cell("a", "my second")]}
    merged, _ = merge(base, theirs, base | {"metadata": {"course": {}}})
    assert [cell["source"] for cell in merged["cells"]] == ["my first", "my second"]


@pytest.mark.parametrize("text", ["7", '{"cells": 7}', '{"metadata": {}, "cells": [7]}', "{"])
@pytest.mark.parametrize("words", [("submit", "3"), ("reset", "causal_mask"), ("update",)])
def test_what_is_no_notebook_is_said_and_nothing_is_changed(desk, words, text):
    pass_mask(desk)
    path, module = desk / f"{MASKING}.ipynb", desk / "my_transformer" / "masking.py"
    path.write_text(text, "utf-8")
    before = module.read_text("utf-8")
    answered = course(desk, *words)
    assert (answered.exit_code, path.read_text("utf-8")) == (2, text)
    assert module.read_text("utf-8") == before
    assert "no notebook that can be read" in answered.output


def test_without_the_notebook_as_handed_out_all_that_differs_is_theirs(desk):
    older(desk, lambda notebook: None)
    (desk / HANDED_OUT / f"{MASKING}.ipynb").unlink()
    answer(desk, "causal_mask", RIGHT)
    (done,) = update(desk)
    assert done.kept == ["causal-mask"]
    assert cell_of(read(desk), "causal-mask")["source"] == RIGHT


def test_a_notebook_whose_cells_lost_their_ids_is_left_alone(desk):
    older(desk, lambda notebook: None)
    notebook = read(desk)
    for cell in notebook["cells"]:
        del cell["id"]
    write(desk, notebook)
    before = (desk / f"{MASKING}.ipynb").read_bytes()
    with pytest.raises(WorkspaceError, match="lost their ids"):
        update(desk)
    assert (desk / f"{MASKING}.ipynb").read_bytes() == before


def test_a_lesson_that_is_not_there_is_added(desk):
    (desk / f"{MASKING}.ipynb").unlink()
    (done,) = update(desk)
    assert done.text == f"{MASKING}: added."
    assert (desk / f"{MASKING}.ipynb").read_text("utf-8") == written(handed_out(MASKING))


def test_a_notebook_of_another_release_says_so_when_it_is_opened(desk, monkeypatch):
    from course_lib.workspace.desk import release_note

    monkeypatch.setenv("JPY_SESSION_NAME", str(desk / f"{MASKING}.ipynb"))
    assert release_note(MASKING) == ""
    older(desk, lambda notebook: None)
    assert "of release 0123456789ab" in release_note(MASKING)
    assert "course update" in release_note(MASKING)


def _cell(name, source):
    return {"id": name, "cell_type": "code", "metadata": {}, "source": source, "outputs": []}


# --- for an assistant -------------------------------------------------------------------------


def test_a_check_in_json_says_where_what_and_how_to_go_on(desk):
    with (desk / "my_transformer" / "masking.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n\ndef causal_mask(n_queries, n_keys=None, *, device=None):\n    return None\n"
        )
    (told,) = json.loads(course(desk, "check", "causal_mask", "--json").stdout)
    lines = (desk / "my_transformer" / "masking.py").read_text("utf-8").splitlines()
    file, line = told["place"].split(":")
    assert file == "my_transformer/masking.py"
    assert lines[int(line) - 1].startswith("def causal_mask")
    assert told["broken"]
    assert told["n_hints"] == len(require_exercise("causal_mask").hints)
    assert told["page"].endswith("#causal_mask")


def test_every_command_is_in_one_part_of_the_help():
    shown = CliRunner().invoke(main, ["--help"]).stdout
    assert shown.index("To learn:") < shown.index("With a model:") < shown.index("To teach")
    for name in main.commands:
        assert shown.count(f"\n  {name} ") == 1, name


def test_the_folder_asks_an_assistant_to_be_a_tutor(desk):
    text = (desk / "AGENTS.md").read_text("utf-8")
    assert "Do not write, complete or correct the body of an exercise" in text
    assert lesson_called("0") == lesson_names()[0]
