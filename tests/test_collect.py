"""From what a learning platform gives to what `course grade` reads: nobody lost, nothing unsaid."""

import csv
import json
import os
from functools import partial

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_downloads import (
    CLASS,
    LAYOUTS,
    LESSON,
    NOTEBOOK,
    Handed,
    Student,
    as_csv,
    canvas,
    folders,
    gradescope,
    moodle,
    nbgrader_inbound,
    notebook,
    one_each,
    roster_of,
    save_as_folder,
    save_as_zip,
    zipped,
)

from course_lib.cli import main
from course_lib.grading.classroom import students_of
from course_lib.grading.rules import ClassRules
from course_lib.grading.submission import read_submission
from course_lib.platforms import PlatformError
from course_lib.platforms.collected import read_collected
from course_lib.platforms.collecting import collect
from course_lib.platforms.known import PLATFORMS
from course_lib.platforms.people import squashed

CAPSTONE = "12_capstone"
ADA = CLASS[0]


@pytest.fixture
def submitted(tmp_path):
    return tmp_path / "submitted"


def download(tmp_path, files, name="download.zip"):
    return save_as_zip(files, tmp_path / "downloads" / name)


def taken(submitted):
    """The notebooks that lie there, by student and lesson."""
    found = submitted.glob("*/*/*.ipynb")
    return {(p.parents[1].name, p.parent.name): p.read_bytes() for p in found}


def roster(tmp_path, platform, students=CLASS, encoding="utf-8"):
    path = tmp_path / "roster.csv"
    path.write_bytes(roster_of(platform, students).decode().encode(encoding))
    return path


# --- layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_class_arrives_from_every_layout(layout, kind, tmp_path, submitted):
    platform, lay_out = LAYOUTS[layout]
    files = lay_out(one_each())
    if kind == "zip":
        source = download(tmp_path, files)
    else:
        source = save_as_folder(files, tmp_path / "downloads")
    report = collect([source], submitted, roster=roster(tmp_path, platform))
    assert report.platforms == [platform]
    assert report.not_understood == []
    assert report.missing == []
    assert len(report.collected) == len(CLASS)
    assert sorted(taken(submitted).values()) == sorted(notebook(s.login) for s in CLASS)
    assert len(students_of(submitted)) == len(CLASS)
    by_login = {student: json.loads(text)["cells"][0]["source"] for (student, _), text
                in taken(submitted).items()}  # fmt: skip
    if platform not in ("moodle", "gradescope"):  # whose lists have no logins
        assert all(student == login for student, login in by_login.items())
    for path in submitted.glob("*/*/*.ipynb"):
        assert read_submission(path).reason == ""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_a_list_everybody_has_a_folder_too_and_the_same_in_every_run(
    layout, tmp_path, submitted
):
    _, lay_out = LAYOUTS[layout]
    source = download(tmp_path, lay_out(one_each()))
    collect([source], submitted)
    before = taken(submitted)
    assert len(before) == len(CLASS)
    assert set(students_of(submitted)) == {student for student, _ in before}
    report = collect([source], submitted)
    assert (report.collected, report.replaced, report.kept) == ([], [], [])
    assert len(report.unchanged) == len(CLASS)
    assert taken(submitted) == before


def test_what_was_downloaded_stays_as_it_is(tmp_path, submitted):
    source = save_as_folder(moodle(one_each()), tmp_path / "downloads")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    collect([source], submitted)
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_the_command_knows_every_platform():
    choices = {option.name: option.type.choices for option in main.commands["collect"].params
               if option.name == "platform"}  # fmt: skip
    assert list(choices["platform"]) == list(PLATFORMS)


def test_what_looks_like_nothing_known_is_an_error_that_says_what_was_seen(tmp_path, submitted):
    source = download(tmp_path, {"homework.ipynb": notebook()})
    with pytest.raises(PlatformError, match=r"begins with homework\.ipynb.*--from"):
        collect([source], submitted)
    assert not submitted.exists()


def test_what_looks_like_two_platforms_is_an_error_that_says_which(tmp_path, submitted):
    files = {**moodle(one_each()), **gradescope(one_each())}
    with pytest.raises(PlatformError, match=r"like moodle and like gradescope.*--from"):
        collect([download(tmp_path, files)], submitted)


def test_files_called_after_students_are_taken_when_it_is_said(tmp_path, submitted):
    files = {"ada.ipynb": notebook("1"), "jose.zip": zipped({NOTEBOOK: notebook("2")})}
    source = download(tmp_path, files)
    report = collect([source], submitted, platform="folders", lesson=LESSON)
    assert report.not_understood == []
    assert taken(submitted) == {("ada", LESSON): notebook("1"), ("jose", LESSON): notebook("2")}


@pytest.mark.parametrize("name", ["..", "."])
def test_a_download_may_not_hold_the_folder_that_is_written_to(name, tmp_path):
    source = save_as_folder(folders(one_each()), tmp_path / "downloads")
    with pytest.raises(PlatformError, match="apart from"):
        collect([source], source / "ada" / name)


# --- lessons -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "02_self_attention (1).ipynb", "02_self_attention-1.ipynb", "02_Self_Attention.IPYNB",
    "02-self-attention.ipynb", "ada - 02 self attention.ipynb", "my/02_self_attention/work.ipynb",
])  # fmt: skip
def test_a_lesson_is_known_by_the_name_of_file_or_folder(name, tmp_path, submitted):
    source = download(tmp_path, moodle([Handed(ADA, {name: notebook("1")})]))
    assert collect([source], submitted).not_understood == []
    assert taken(submitted) == {("Ada Lovelace", LESSON): notebook("1")}


def test_a_notebook_that_names_no_lesson_is_taken_when_the_lesson_is_given(tmp_path, submitted):
    source = download(tmp_path, moodle([Handed(ADA, {"homework.ipynb": notebook("1")})]))
    report = collect([source], submitted)
    (line,) = report.not_understood
    assert "homework.ipynb: its name says no lesson: say which it is with --lesson" in line
    assert report.left == []
    assert taken(submitted) == {}
    assert collect([source], submitted, lesson=LESSON).not_understood == []
    assert taken(submitted) == {("Ada Lovelace", LESSON): notebook("1")}


def test_a_notebook_of_another_lesson_is_not_taken_for_the_one_that_is_given(tmp_path, submitted):
    source = download(tmp_path, moodle([Handed(ADA, {"03_causal_masking.ipynb": notebook()})]))
    report = collect([source], submitted, lesson=LESSON)
    (line,) = report.not_understood
    assert f"no notebook of {LESSON} is in it, but 03_causal_masking.ipynb" in line
    assert taken(submitted) == {}


def test_several_lessons_of_one_download_go_each_to_its_place(tmp_path, submitted):
    files = {NOTEBOOK: notebook("2"), "03_causal_masking.ipynb": notebook("3")}
    collect([download(tmp_path, folders([Handed(ADA, files)]))], submitted)
    assert taken(submitted) == {
        ("ada", LESSON): notebook("2"), ("ada", "03_causal_masking"): notebook("3"),
    }  # fmt: skip


def test_two_notebooks_of_one_lesson_are_said_and_not_chosen_from(tmp_path, submitted):
    files = {f"a/{NOTEBOOK}": notebook("1"), f"b/{NOTEBOOK}": notebook("2")}
    report = collect([download(tmp_path, moodle([Handed(ADA, files)]))], submitted)
    (line,) = report.not_understood
    assert f"a/{NOTEBOOK}, b/{NOTEBOOK}" in line
    assert taken(submitted) == {}


# --- the capstone ------------------------------------------------------------------------------

MODULES = {"model.py": b"x = 1\n", "block.py": b"y = 2\n"}
PACKAGE_FORMS = {
    "as course submit packs it": {
        "12_capstone-2026-11-30.zip": zipped({
            f"{CAPSTONE}/{CAPSTONE}.ipynb": notebook("c"),
            **{f"{CAPSTONE}/my_transformer/{name}": text for name, text in MODULES.items()},
        }),
    },
    "beside the notebook": {
        f"{CAPSTONE}.ipynb": notebook("c"),
        **{f"my_transformer/{name}": text for name, text in MODULES.items()},
    },
    "the package zipped beside it": {
        f"{CAPSTONE}.ipynb": notebook("c"), "my_transformer.zip": zipped(MODULES),
    },
    "the folder of the package zipped": {
        f"{CAPSTONE}.ipynb": notebook("c"),
        "my_transformer (1).zip": zipped({f"my_transformer/{n}": t for n, t in MODULES.items()}),
    },
    "the whole workspace zipped": {
        "my-course.zip": zipped({
            f"my-course/{CAPSTONE}.ipynb": notebook("c"),
            f"my-course/{NOTEBOOK}": notebook("2"),
            "my-course/course.toml": b"",
            "__MACOSX/._x": b"", "my-course/.DS_Store": b"",
            "my-course/.ipynb_checkpoints/12_capstone-checkpoint.ipynb": notebook("old"),
            **{f"my-course/my_transformer/{name}": text for name, text in MODULES.items()},
        }),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "form"),
    [
        (layout, form)
        for layout in ("canvas", "moodle", "folders")
        for form in PACKAGE_FORMS
        if (layout, form) != ("canvas", "beside the notebook")  # Canvas takes no folders
    ],
)
def test_a_package_comes_along_in_every_form(form, layout, tmp_path, submitted):
    source = download(tmp_path, LAYOUTS[layout][1]([Handed(ADA, PACKAGE_FORMS[form])]))
    report = collect([source], submitted, lesson=CAPSTONE)
    assert report.not_understood == []
    (path,) = submitted.glob(f"*/{CAPSTONE}/{CAPSTONE}.ipynb")
    assert path.read_bytes() == notebook("c")
    found = {each.name: each.read_bytes() for each in (path.parent / "my_transformer").iterdir()}
    assert found == MODULES
    assert read_submission(path).package.reason == ""


def test_a_module_that_is_gone_in_the_newer_package_is_gone(tmp_path, submitted):
    old = {f"{CAPSTONE}.ipynb": notebook("c"), "my_transformer.zip": zipped(MODULES)}
    new = old | {"my_transformer.zip": zipped({"model.py": b"x = 2\n"})}
    collect([download(tmp_path, canvas([Handed(ADA, old)]))], submitted)
    collect([download(tmp_path, canvas([Handed(ADA, new, at=2)]))], submitted)
    (package,) = submitted.glob(f"*/{CAPSTONE}/my_transformer")
    assert {each.name: each.read_bytes() for each in package.iterdir()} == {"model.py": b"x = 2\n"}


def test_modules_without_their_folder_are_said(tmp_path, submitted):
    files = {f"{CAPSTONE}.ipynb": notebook("c"), "model.py": b"", "block.py": b""}
    report = collect([download(tmp_path, canvas([Handed(ADA, files)]))], submitted)
    (line,) = report.not_understood
    assert "lie in no folder my_transformer, and are not taken: model.py, block.py" in line
    assert len(taken(submitted)) == 1


def test_a_module_with_a_name_that_no_disk_holds_concerns_nobody(tmp_path, submitted):
    files = {f"{CAPSTONE}.ipynb": notebook("c"), "p.zip": zipped({
        "my_transformer/model.py": b"", f"my_transformer/{'m' * 300}.py": b"",
        "my_transformer/.py": b"",
    })}  # fmt: skip
    collect([download(tmp_path, moodle([Handed(ADA, files), *one_each(CLASS[1:])]))], submitted)
    assert len(taken(submitted)) == len(CLASS)
    (package,) = submitted.glob("*/*/my_transformer")
    assert [path.name for path in package.iterdir()] == ["model.py"]


# --- again, and newer --------------------------------------------------------------------------


@pytest.mark.parametrize("lay_out", [canvas, gradescope, nbgrader_inbound])
def test_the_newest_of_several_counts_in_whatever_order_they_come(lay_out, tmp_path, submitted):
    old, new = (Handed(ADA, {NOTEBOOK: notebook(mark)}, at=at) for mark, at in (("o", 1), ("n", 2)))
    both = download(tmp_path, {**lay_out([new]), **lay_out([old])}) if lay_out != gradescope else (
        download(tmp_path, lay_out([new, old])))  # fmt: skip
    report = collect([both], submitted)
    assert list(taken(submitted).values()) == [notebook("n")]
    said = "\n".join([*report.older, *report.left])
    assert f"{LESSON}: 1" in said or f": {NOTEBOOK}" in said


def test_a_later_download_brings_what_is_newer_and_says_so(tmp_path, submitted):
    first = download(tmp_path, canvas([Handed(ADA, {NOTEBOOK: notebook("old")})]), "1.zip")
    second = download(tmp_path, canvas([Handed(ADA, {NOTEBOOK: notebook("new")}, at=2)]), "2.zip")
    collect([first], submitted)
    report = collect([second], submitted)
    assert report.replaced == [f"lovelaceada_101 {LESSON}: a newer one replaces what lay there"]
    assert list(taken(submitted).values()) == [notebook("new")]
    report = collect([first], submitted)
    (line,) = report.kept
    assert "what lies there is newer" in line
    assert list(taken(submitted).values()) == [notebook("new")]
    collect([first], submitted, replace=True)
    assert list(taken(submitted).values()) == [notebook("old")]


def test_where_nothing_says_which_is_newer_what_lies_there_stays(tmp_path, submitted):
    first = download(tmp_path, moodle([Handed(ADA, {NOTEBOOK: notebook("1")})]), "1.zip")
    second = download(tmp_path, moodle([Handed(ADA, {NOTEBOOK: notebook("2")})]), "2.zip")
    collect([first], submitted)
    (line,) = collect([second], submitted).kept
    assert "which is newer is not known" in line
    assert "--replace" in line
    assert list(taken(submitted).values()) == [notebook("1")]


def test_of_two_sources_the_later_one_counts_where_nothing_else_says_it(tmp_path, submitted):
    sources = [
        download(tmp_path, moodle([Handed(ADA, {NOTEBOOK: notebook(mark)})]), f"{mark}.zip")
        for mark in "21"
    ]
    collect(sources, submitted)
    assert list(taken(submitted).values()) == [notebook("1")]


def test_of_two_platforms_the_later_source_counts(tmp_path, submitted):
    names = tmp_path / "names.csv"
    names.write_bytes(roster_of("canvas"))
    sources = [
        download(tmp_path, lay_out([Handed(ADA, {NOTEBOOK: notebook(mark)})]), f"{mark}.zip")
        for mark, lay_out in (("c", canvas), ("g", gradescope), ("n", nbgrader_inbound))
    ]
    for last in (sources[0], sources[1], sources[2]):
        both = [*(source for source in sources if source != last), last]
        collect(both, submitted, roster=names, replace=True)
        assert taken(submitted) == {("ada", LESSON): notebook(last.stem)}


@pytest.mark.parametrize("change", ["edited", "put there by hand"])
def test_what_somebody_changed_by_hand_is_not_written_over(change, tmp_path, submitted):
    first, second = (
        download(tmp_path, canvas([Handed(ADA, {NOTEBOOK: notebook(mark)}, at=at)]), f"{at}.zip")
        for mark, at in (("1", 1), ("2", 2))
    )
    if change == "edited":
        collect([first], submitted)
    path = submitted / "lovelaceada_101" / LESSON / NOTEBOOK
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook("mine"))
    (line,) = collect([second], submitted).kept
    assert "was not collected, or was changed since" in line
    assert path.read_bytes() == notebook("mine")


def test_other_files_in_a_students_folder_stay_when_a_newer_one_comes(tmp_path, submitted):
    first, second = (
        download(tmp_path, canvas([Handed(ADA, {NOTEBOOK: notebook(mark)}, at=at)]), f"{at}.zip")
        for mark, at in (("1", 1), ("2", 2))
    )
    collect([first], submitted)
    note = submitted / "lovelaceada_101" / LESSON / "note.txt"
    note.write_text("seen")
    collect([second], submitted)
    assert note.read_text() == "seen"
    assert list(taken(submitted).values()) == [notebook("2")]
    assert not list(submitted.glob(".collecting*"))


def test_a_run_that_was_cut_short_is_mended_by_the_next(tmp_path, submitted, monkeypatch):
    source = download(tmp_path, canvas(one_each()))
    placed = []

    def fails_in_the_middle(*args):
        placed.append(args)
        if len(placed) == 3:
            raise KeyboardInterrupt
        return place(*args)

    from course_lib.platforms import collecting
    from course_lib.platforms.placing import place

    monkeypatch.setattr(collecting, "place", fails_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        collect([source], submitted)
    monkeypatch.undo()
    assert len(read_collected(submitted).entries) == 2
    report = collect([source], submitted)
    assert (len(report.unchanged), len(report.collected), report.kept) == (2, len(CLASS) - 2, [])


# --- who is there, and who is not --------------------------------------------------------------


def test_who_is_missing_and_who_is_on_no_list_is_said(tmp_path, submitted):
    source = download(tmp_path, canvas(one_each(CLASS[:3])))
    path = roster(tmp_path, "canvas", CLASS[1:])
    report = collect([source], submitted, lesson=LESSON, roster=path)
    broken = canvas([Handed(CLASS[3], {"x.zip": b"no zip"})])
    again = collect([download(tmp_path, broken, "b.zip")], submitted, lesson=LESSON, roster=path)
    assert again.missing == report.missing[1:]  # something came of that one, and it is said
    assert len(again.not_understood) == 1
    assert report.missing == [f"{s.login} {LESSON}" for s in CLASS[3:]]
    (line,) = report.not_understood
    assert line.startswith("lovelaceada 101: nobody is found who could be lovelaceada")
    assert {student for student, _ in taken(submitted)} == {"jose", "blaise"}
    collect([source], submitted, lesson=LESSON, roster=roster(tmp_path, "canvas"))
    assert {student for student, _ in taken(submitted)} == {"ada", "jose", "blaise"}


def test_two_people_of_one_name_are_told_apart_by_a_number_or_not_at_all(tmp_path, submitted):
    twin = Student("Ada", "Lovelace", "ada2", 201)
    handed = one_each([ADA, twin])
    collect([download(tmp_path, canvas(handed))], submitted,
            roster=roster(tmp_path, "canvas", [ADA, twin]))  # fmt: skip
    assert taken(submitted) == {
        (login, LESSON): notebook(login) for login in ("ada", "ada2")
    }  # by Canvas's numbers
    names = tmp_path / "names.csv"
    names.write_bytes(as_csv([["Username", "Full name"], ["ada", "Ada Lovelace"],
                              ["ada2", "Ada Lovelace"]]))  # fmt: skip
    other = tmp_path / "other"
    report = collect([download(tmp_path, moodle(handed))], other, roster=names)
    assert len(report.not_understood) == 2
    assert all("could be any of ada, ada2" in line for line in report.not_understood)
    report = collect([download(tmp_path, moodle(handed))], other)
    assert all("tells them apart" in line for line in report.not_understood)
    assert taken(other) == {}


def test_folders_whose_names_differ_by_a_sign_are_two_students(tmp_path, submitted):
    students = [Student("A", "B", login, n) for n, login in enumerate(["a-b", "ab", "A.b"])]
    report = collect([download(tmp_path, folders(one_each(students)))], submitted)
    assert report.not_understood == []
    assert {who for who, _ in taken(submitted)} == {"a-b", "ab", "A.b"}


@pytest.mark.parametrize("called", ["S101", "101", "ada", "ADA@example.org", "Lovelace, Ada"])
def test_a_folder_may_be_called_by_anything_that_the_list_says(called, tmp_path, submitted):
    names = tmp_path / "names.csv"
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Email"]]
    rows.append(["Lovelace, Ada", "101", "S101", "ada", "ada@example.org"])
    rows.append(["Other, Some", "102", "S102", "some", "some@example.org"])
    names.write_bytes(as_csv(rows))
    source = download(tmp_path, {f"{called}/{NOTEBOOK}": notebook("1")})
    collect([source], submitted, roster=names)
    assert taken(submitted) == {("ada", LESSON): notebook("1")}


def test_nothing_that_is_there_goes_unsaid(tmp_path, submitted):
    files = {
        **canvas([Handed(ADA, {NOTEBOOK: notebook(), "notes.txt": b"", "plot.png": b""})]),
        **canvas([Handed(CLASS[1], {"essay.docx": b""})]),
        **canvas([Handed(CLASS[2], {"work.rar": b""})]),
        "pascalblaise_103_text.html": b"", "readme.txt": b"",
    }  # fmt: skip
    report = collect([download(tmp_path, files)], submitted)
    said = "\n".join([*report.left, *report.not_understood])
    for word in ("notes.txt", "plot.png", "essay.docx", "work.rar", "_text.html", "readme.txt"):
        assert word in said
    assert len(report.not_understood) == 3


@pytest.mark.parametrize(("platform", "path"), [
    ("canvas", "a_1_2_\x1b[31mx.txt"), ("moodle", "A\x1b[2J_1_assignsubmission_onlinetext/t.html"),
    ("gradescope", "submission_\x1b[2J/x.ipynb"), ("classroom50", "x\x1b[2J/y.ipynb"),
    ("nbgrader", "a\x1b/x.txt"), ("folders", "a\x1b[2J/x.txt"),
])  # fmt: skip
def test_no_name_of_a_file_writes_to_the_terminal(platform, path, tmp_path, submitted):
    source = tmp_path / "downloads"
    save_as_folder({path: b"", "submission_metadata.yml": b'"\\e[2J": {}\n'}, source)
    report = collect([source], submitted, platform=platform)
    said = [*report.not_understood, *report.left]
    assert any("\\x1b" in line or "\\u001b" in line for line in said)
    assert all(line.isprintable() for line in said)


def test_a_name_that_is_written_in_halves_is_read_as_one(tmp_path, submitted):
    files = gradescope([Handed(CLASS[3], {NOTEBOOK: notebook("1")})])
    (name,) = (name for name in files if name.endswith(".yml"))
    files[name] = files[name].replace("🦉".encode(), b"\\ud83e\\udd89")
    files[name] += b'\n"\\ud83e":\n  :submitters: []\n'
    report = collect([download(tmp_path, files)], submitted, roster=roster(tmp_path, "gradescope"))
    assert taken(submitted) == {("emilie@example.org", LESSON): notebook("1")}
    assert len(report.not_understood) == 1


def test_a_group_hands_in_for_each_of_its_members(tmp_path, submitted):
    files = gradescope([Handed(ADA, {NOTEBOOK: notebook("both")})])
    (name,) = (name for name in files if name.endswith(".yml"))
    files[name] = files[name].replace(
        b"  :created_at",
        b"  - :name: Bea\n    :sid: S999\n    :email: bea@example.org\n  :created_at",
    )
    collect([download(tmp_path, files)], submitted)
    both = ("ada@example.org", "bea@example.org")
    assert taken(submitted) == {(student, LESSON): notebook("both") for student in both}


@pytest.mark.parametrize("layout", ["gradescope", "classroom50", "nbgrader inbound"])
def test_times_that_a_platform_notes_are_a_table_that_the_grader_reads(layout, tmp_path, submitted):
    platform, lay_out = LAYOUTS[layout]
    source = download(tmp_path, lay_out([Handed(s, {NOTEBOOK: notebook()}) for s in CLASS]))
    assert collect([source], submitted, roster=roster(tmp_path, platform)).times == len(CLASS)
    rules = ClassRules(submitted, times="times.csv")
    for student in students_of(submitted):
        assert rules.time_of(student, LESSON, "").isoformat() == "2026-11-30T08:01:00"


def test_a_students_own_file_says_no_time(tmp_path, submitted):
    files = {NOTEBOOK: notebook(), "timestamp.txt": b"2020-01-01 00:00:00 UTC"}
    for name, lay_out in {"moodle": moodle, "folders": folders}.items():
        source = download(tmp_path, lay_out([Handed(ADA, files)]), f"{name}.zip")
        assert collect([source], submitted / name).times == 0
        assert not list((submitted / name).rglob("timestamp.txt"))


def test_what_a_platform_calls_late_is_on_record(tmp_path, submitted):
    files = canvas([Handed(ADA, {NOTEBOOK: notebook()}, is_late=True),
                    Handed(CLASS[1], {NOTEBOOK: notebook()})])  # fmt: skip
    collect([download(tmp_path, files)], submitted, roster=roster(tmp_path, "canvas"))
    entries = read_collected(submitted).entries
    assert {who: entry["is_late"] for (who, _), entry in entries.items()} == {
        "ada": True, "jose": False,
    }  # fmt: skip


def test_submissions_without_names_are_kept_apart_by_what_canvas_calls_them(tmp_path, submitted):
    files = {f"anon_x7Qz3_501_{NOTEBOOK}": notebook("1"),
             f"LATE_anon_Ab9Kd_502_{NOTEBOOK}": notebook("2")}  # fmt: skip
    collect([download(tmp_path, files)], submitted)
    assert taken(submitted) == {
        ("anon_x7Qz3", LESSON): notebook("1"), ("anon_Ab9Kd", LESSON): notebook("2"),
    }  # fmt: skip


# --- the command -------------------------------------------------------------------------------


def test_the_command_says_what_was_not_taken_and_ends_with_1(tmp_path, submitted):
    files = canvas([*one_each([ADA]), Handed(CLASS[1], {"x.zip": b"no zip"})])
    source = download(tmp_path, files)
    words = ["collect", str(source), "--submitted", str(submitted), "--lesson", "2"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "1 collected" in done.output
    assert "x.zip: it is no zip archive that can be read" in done.output
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["unchanged"] == [f"lovelaceada_101 {LESSON}"]
    done = CliRunner().invoke(main, [*words[:-1], "99"])
    assert done.exit_code == 2
    assert "no lesson is called '99'" in done.output


def test_no_cell_of_the_table_of_times_is_run_by_a_spreadsheet(tmp_path, submitted):
    wild = [Student("=1+1", "x", "=cmd|'calc'!A0", 1), Student("@a", "b", "-1", 2)]
    collect([download(tmp_path, nbgrader_inbound(one_each(wild)))], submitted)
    with (submitted / "times.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 3
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert {student for student, *_ in rows[1:]} == set(students_of(submitted))


def test_a_folder_that_cannot_be_opened_is_said(tmp_path, submitted, monkeypatch):
    source = save_as_folder(moodle(one_each()), tmp_path / "downloads")
    closed = next(source.iterdir())
    closed.chmod(0)
    if os.geteuid() == 0:  # whoever is root opens every folder
        monkeypatch.setattr(os, "scandir", partial(refusing, closed, os.scandir))
    report = collect([source], submitted)
    closed.chmod(0o700)
    assert report.not_understood == [f"{closed.name}: the folder cannot be opened"]
    assert len(report.collected) == len(CLASS) - 1


def refusing(closed, scandir, folder="."):
    if folder == closed:
        raise PermissionError(13, "Permission denied", str(folder))
    return scandir(folder)


def test_folders_in_folders_without_end_are_said(tmp_path, submitted):
    deep = {"/".join(["x"] * 60) + "/y.txt": b""}
    source = save_as_folder(moodle([Handed(ADA, deep), *one_each(CLASS[1:])]), tmp_path / "d")
    report = collect([source], submitted)
    (line,) = report.not_understood
    assert "more than 50 folders deep" in line
    assert len(report.collected) == len(CLASS) - 1


PEOPLE = st.lists(
    st.tuples(*[st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)] * 2),
    min_size=1, max_size=4, unique_by=lambda names: squashed(" ".join(names)),
)  # fmt: skip


@pytest.mark.parametrize("layout", ["canvas", "moodle", "gradescope", "classroom50"])
def test_whatever_people_are_called_each_arrives_or_is_said(layout, tmp_path_factory):
    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(PEOPLE)
    def each(names):
        folder = tmp_path_factory.mktemp("class")
        students = [Student(*who, f"u{n}", 100 + n) for n, who in enumerate(names)]
        source = save_as_zip(LAYOUTS[layout][1](one_each(students)), folder / "download.zip")
        path = folder / "roster.csv"
        path.write_bytes(roster_of(layout, students))
        report = collect([source], folder / "submitted", roster=path, platform=layout)
        assert len(report.collected) + len(report.not_understood) == len(students)
        marks = {json.loads(text)["cells"][0]["source"]
                 for text in taken(folder / "submitted").values()}  # fmt: skip
        assert len(marks) == len(report.collected)
        if layout != "moodle":  # which says names alone
            assert report.not_understood == report.missing == []

    each()


def test_a_folder_whose_name_is_no_text_is_somebodys_too(tmp_path, submitted):
    folder = tmp_path / "downloads"
    for name in (b"ad\xe9", b"ad\xe8"):
        os.makedirs(os.path.join(os.fsencode(folder), name))
        (folder / os.fsdecode(name) / NOTEBOOK).write_bytes(notebook(repr(name)))
    for _ in range(2):
        report = collect([folder], submitted)
        assert report.not_understood == report.kept == []
        assert len(taken(submitted)) == 2
