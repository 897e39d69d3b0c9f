"""What goes back to a platform: our scores in its column, no other cell changed, and the pages."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from platform_downloads import (
    CLASS,
    LAYOUTS,
    LESSON,
    Student,
    canvas,
    gradebook_of,
    moodle,
    one_each,
    roster_of,
    save_as_zip,
)

from course_lib.cli import main
from course_lib.grading.records import JUDGED, LATE, MANUAL, write_grades
from course_lib.platforms import PlatformError
from course_lib.platforms.collecting import collect
from course_lib.platforms.handing_back import TO, hand_back
from course_lib.platforms.known import WITH_GRADEBOOK

OTHER = "03_causal_masking"
POINTS = {s.login: 2.5 + n for n, s in enumerate(CLASS)}
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row(student, lesson, component, points, most, basis=JUDGED, comment=""):
    about = {"diagnosis": "=HYPERLINK()", "sandbox": "bubblewrap", "seconds": 0.1}
    about |= {"basis": basis, "comment": comment, "note": ""}
    names = {"student": student, "lesson": lesson, "component": component}
    return {**names, "points": points, "max_points": most, **about}


def grade(folder, students, *, login=None, lesson=LESSON):
    """What `course grade` leaves in a folder, as far as handing back looks at it."""
    rows = []
    for student in students:
        points = POINTS[(login or login_of)(student)]
        rows += [
            row(student, lesson, "softmax", 1.0, 4.0, comment="=cmd"),
            row(student, lesson, "attention", points, 6.0, MANUAL),
            row(student, lesson, "late penalty", -1.0, 0.0, LATE),
        ]
        page = folder / "feedback" / student / lesson / f"{lesson}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<p>{student}</p>")
    write_grades(folder / "grades_long.csv", rows)
    return folder


@pytest.fixture(params=WITH_GRADEBOOK)
def handed_in(request, tmp_path):
    """A class collected from a platform and graded."""
    platform = request.param
    source = save_as_zip(LAYOUTS[platform][1](one_each()), tmp_path / "download.zip")
    roster = tmp_path / "roster.csv"
    roster.write_bytes(roster_of(platform))
    submitted = tmp_path / "submitted"
    report = collect([source], submitted, roster=roster)
    students = [line.rpartition(" ")[0] for line in report.collected]
    assert len(students) == len(CLASS)
    grades = grade(tmp_path / "grades", students)
    return platform, grades, submitted


def addressed(*logins):
    """Students whose folders are named after what Moodle's worksheet says."""
    return [student.address for student in CLASS if not logins or student.login in logins]


def login_of(student):
    return student.partition("@")[0]


def saved(tmp_path, content):
    path = tmp_path / "gradebook.csv"
    path.write_bytes(content)
    return path


def cells(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


SCORE = {"canvas": "02 Self-attention (4711)", "moodle": "Grade", "gradescope": "Total Score"}


def test_scores_stand_in_the_platforms_column_and_nothing_else_has_changed(handed_in, tmp_path):
    platform, grades, submitted = handed_in
    content = gradebook_of(platform)
    out = tmp_path / "out"
    written = hand_back(grades, out, to=platform, submitted=submitted,
                        gradebook=saved(tmp_path, content), lesson=LESSON,
                        column=SCORE["canvas"] if platform == "canvas" else None)  # fmt: skip
    after = (out / "gradebook.csv").read_bytes()
    assert (tmp_path / "gradebook.csv").read_bytes() == content
    rows, was = cells(after), cells(content)
    column = rows[0].index(SCORE.get(platform, "score"))
    n_before = 2 if platform == "canvas" else 1
    assert [r[column] for r in rows[n_before:]] == [f"{POINTS[s.login]:g}" for s in CLASS]
    assert [[*r[:column], *r[column + 1 :]] for r in rows] == [
        [*r[:column], *r[column + 1 :]] for r in was
    ]
    assert rows[:n_before] == was[:n_before]
    assert written.filled.scores == len(CLASS)
    assert not written.filled.without
    assert not written.filled.not_there
    again = hand_back(grades, tmp_path / "again", to=platform, submitted=submitted, lesson=LESSON,
                      gradebook=out / "gradebook.csv", column=written.filled.heading)  # fmt: skip
    assert again.filled.replaced == []
    assert (tmp_path / "again" / "gradebook.csv").read_bytes() == after


def test_every_page_is_in_the_zip_under_a_name_that_leads_back(handed_in, tmp_path):
    platform, grades, submitted = handed_in
    written = hand_back(grades, tmp_path / "out", to=platform, submitted=submitted)
    assert written.pages == len(CLASS)
    with zipfile.ZipFile(tmp_path / "out" / "feedback.zip") as archive:
        pages = {name: archive.read(name).decode() for name in archive.namelist()}
    assert len(pages) == len(CLASS)
    assert list(pages) == sorted(pages)
    for name, page in pages.items():
        assert len(name.encode()) <= 255
        student = login_of(re.fullmatch("<p>(.*)</p>", page)[1])
        (who,) = (s for s in CLASS if s.login == student)
        assert taken_back(platform, name) == who.number
    content = (tmp_path / "out" / "feedback.zip").read_bytes()
    hand_back(grades, tmp_path / "again", to=platform, submitted=submitted)
    assert (tmp_path / "again" / "feedback.zip").read_bytes() == content


def taken_back(platform, name):
    """Whose page it is, as the platform finds it out from the name."""
    parts = name.split("_")
    if platform == "canvas":  # the first two parts that are numbers: a user's and a file's
        user, file = [part for part in parts if part.isdigit()][:2]
        assert int(file) // 10_000 == int(user)
        return int(user)
    if platform == "moodle":  # at most five parts: name, participant, kind, plugin, file
        _, number, kind, plugin, file = name.split("_", 4)
        assert (kind, plugin, file) == ("assignfeedback", "file", f"{LESSON}.html")
        return int(number) - 9000
    if platform == "gradescope":
        return int(parts[1]) // 10
    (student,) = (s for s in CLASS if name == f"cs-hw2-{s.login}_{LESSON}.html")
    return student.number


def test_folders_named_by_hand_are_found_by_the_list_and_else_nothing_is_written(tmp_path):
    grades = grade(tmp_path / "grades", [student.login for student in CLASS])
    path = saved(tmp_path, gradebook_of("moodle"))
    with pytest.raises(PlatformError, match="got 7 rows of others: say who is who"):
        hand_back(grades, tmp_path / "out", to="moodle", gradebook=path)
    assert not (tmp_path / "out").exists()
    roster = tmp_path / "roster.csv"
    roster.write_bytes(roster_of("classroom50"))
    written = hand_back(grades, tmp_path / "out", to="moodle", gradebook=path, roster=roster)
    assert written.filled.scores == len(CLASS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_keeps_its_encoding(encoding, tmp_path):
    grades = grade(tmp_path / "grades", addressed())
    content = gradebook_of("moodle").decode().encode(encoding)
    hand_back(grades, tmp_path / "out", to="moodle", gradebook=saved(tmp_path, content))
    after = (tmp_path / "out" / "gradebook.csv").read_bytes()
    assert after[:2] == content[:2]
    assert after.decode(encoding).count("\r\n") == content.decode(encoding).count("\r\n")


def test_what_stood_there_is_said_and_an_excuse_stays(tmp_path):
    grades = grade(tmp_path / "grades", ["ada", "jose", "blaise"])
    content = gradebook_of("canvas", CLASS[:4], {"ada": "9.00", "jose": "EX", "blaise": "4.5"})
    written = hand_back(grades, tmp_path / "out", to="canvas", column="02 Self-attention",
                        gradebook=saved(tmp_path, content))  # fmt: skip
    assert written.filled.replaced == ["ada: 9.00 is now 2.5"]
    assert written.filled.left == ["jose: EX"]
    assert written.filled.without == ["du Châtelet, Émilie 🦉"]
    rows = cells((tmp_path / "out" / "gradebook.csv").read_bytes())
    assert [r[6] for r in rows[2:]] == ["2.5", "EX", "4.5", ""]


def test_who_has_a_score_and_no_row_is_said(tmp_path):
    grades = grade(tmp_path / "grades", ["ada", "jose"])
    path = saved(tmp_path, gradebook_of("classroom50", CLASS[:1]))
    written = hand_back(grades, tmp_path / "out", to="classroom50", gradebook=path)
    assert written.filled.not_there == ["jose"]


def test_scores_out_of_other_points_are_refused_or_scaled(tmp_path):
    grades = grade(tmp_path / "grades", addressed())
    path = saved(tmp_path, gradebook_of("moodle", most="100.00"))
    with pytest.raises(
        PlatformError, match=r"out of 100 in 'Grade', and ours are out of 10.*--scale"
    ):
        hand_back(grades, tmp_path / "out", to="moodle", gradebook=path)
    assert not (tmp_path / "out").exists()
    hand_back(grades, tmp_path / "out", to="moodle", gradebook=path, scale=True)
    rows = cells((tmp_path / "out" / "gradebook.csv").read_bytes())
    assert [r[4] for r in rows[1:]] == [f"{10 * POINTS[s.login]:g}" for s in CLASS]


def test_a_column_that_is_not_there_or_twice_is_an_error_that_names_those_that_are(tmp_path):
    grades = grade(tmp_path / "grades", ["ada"])
    path = saved(tmp_path, gradebook_of("canvas"))
    with pytest.raises(PlatformError, match=r"--column, one of 'Warm-up \(77\)', '02 Self-att"):
        hand_back(grades, tmp_path / "out", to="canvas", gradebook=path, column="Self")
    path = saved(tmp_path, gradebook_of("moodle"))
    with pytest.raises(PlatformError, match=r"one column 'Total Score', got Identifier"):
        hand_back(grades, tmp_path / "out", to="gradescope", gradebook=path)


def test_of_several_submissions_on_classroom50_the_newest_has_the_score(tmp_path):
    grades = grade(tmp_path / "grades", ["ada"])
    lines = gradebook_of("classroom50", CLASS[:1]).decode().splitlines()
    rows = [line.replace(",10,,", f",10,2026-11-{day}T08:00:00Z,") for line in lines[1:]
            for day in (29, 30, 28)]  # fmt: skip
    path = saved(tmp_path, "\r\n".join([lines[0], *rows]).encode())
    hand_back(grades, tmp_path / "out", to="classroom50", gradebook=path, roster=path)
    found = cells((tmp_path / "out" / "gradebook.csv").read_bytes())
    assert [r[5] for r in found[1:]] == ["", "2.5", ""]


def test_the_grades_of_github_classroom_are_filled_too(tmp_path):
    grades = grade(tmp_path / "grades", ["ada"])
    headings = "assignment_name,github_username,roster_identifier,points_awarded,points_available"
    rows = [headings.split(","), ["hw2", "Ada", "S101", "0", "10"]]
    lines = ['"' + '","'.join(row) + '"\n' for row in rows]
    path = saved(tmp_path, "".join(lines).encode())
    hand_back(grades, tmp_path / "out", to="classroom50", gradebook=path)
    after = (tmp_path / "out" / "gradebook.csv").read_bytes()
    assert after.splitlines()[1] == b'"hw2","Ada","S101","2.5","10"'


def test_two_rows_of_one_student_are_refused(tmp_path):
    grades = grade(tmp_path / "grades", addressed("ada"))
    content = gradebook_of("moodle", [CLASS[0], CLASS[0]])
    with pytest.raises(PlatformError, match="got two for ada@"):
        hand_back(grades, tmp_path / "out", to="moodle", gradebook=saved(tmp_path, content))


def test_moodles_numbers_are_those_of_the_lesson(tmp_path):
    """Moodle counts the participants of each assignment anew, so one number is two people."""
    twins = [Student("Ada", "L", "a", 1), Student("Bo", "M", "b", 2)]
    names = tmp_path / "names.csv"
    names.write_text("Username,Full name\na,Ada L\nb,Bo M\n")
    submitted = tmp_path / "submitted"
    crossed = [Student("Ada", "L", "a", 2), Student("Bo", "M", "b", 1)]
    for lesson, students in ((LESSON, twins), (OTHER, crossed)):
        source = save_as_zip(moodle(one_each(students, f"{lesson}.ipynb")), tmp_path / "d.zip")
        collect([source], submitted, roster=names)
    POINTS.update(a=3.0, b=4.0)
    grades = grade(tmp_path / "grades", ["a", "b"])
    nameless = re.sub(rb"(Ada L|Bo M|[ab]@example.org)", b"", gradebook_of("moodle", twins))
    hand_back(grades, tmp_path / "out", to="moodle", gradebook=saved(tmp_path, nameless),
              submitted=submitted)  # fmt: skip
    rows = cells((tmp_path / "out" / "gradebook.csv").read_bytes())
    assert [r[4] for r in rows[1:]] == ["3", "4"]


# --- tables of our own -------------------------------------------------------------------------


def own(tmp_path, **options):
    out = tmp_path / "out"
    hand_back(tmp_path / "grades", out, to="csv", **options)
    return {
        name: cells((out / name).read_bytes()) for name in ("grades_wide.csv", "grades_long.csv")
    }


WILD = ["=1+1", "+a", "-b", "@c", "d,e", 'f"g', "h\ni", "ada 🦉", "n" * 200]


def test_wide_and_long_say_the_same_and_no_cell_is_run_by_a_spreadsheet(tmp_path):
    rows = [row(student, lesson, "softmax", n + 0.25, 9.0, comment="=cmd")
            for n, student in enumerate(WILD) for lesson in (LESSON, OTHER)]  # fmt: skip
    write_grades(tmp_path / "grades" / "grades_long.csv", rows)
    tables = own(tmp_path)
    wide, long = tables["grades_wide.csv"], tables["grades_long.csv"]
    assert wide[0] == ["student", LESSON, f"{LESSON} out of", OTHER, f"{OTHER} out of",
                       "total", "total out of"]  # fmt: skip
    assert len(wide) == len(WILD) + 1
    assert len(long) == 2 * len(WILD) + 1
    assert not [c for table in (wide, long) for r in table for c in r if c.startswith(FORMULA)]
    called = {r[0].removeprefix("'"): r for r in wide[1:]}
    for n, student in enumerate(WILD):
        points, most = f"{n + 0.25:g}", "9"
        assert called[student][1:] == [points, most, points, most, f"{2 * n + 0.5:g}", "18"]
    header = long[0]
    for line in long[1:]:
        found = dict(zip(header, line, strict=True))
        assert called[found["student"].removeprefix("'")][1] == found["points"]


def test_a_lesson_that_somebody_has_no_grade_in_is_empty_in_wide(tmp_path):
    rows = [row("ada", LESSON, "softmax", 1.0, 4.0), row("bo", OTHER, "mask", 2.0, 5.0)]
    write_grades(tmp_path / "grades" / "grades_long.csv", rows)
    assert own(tmp_path)["grades_wide.csv"][1:] == [
        ["ada", "1", "4", "", "", "1", "4"], ["bo", "", "", "2", "5", "2", "5"],
    ]  # fmt: skip


def test_without_names_nothing_says_who_anybody_is_and_all_runs_agree(tmp_path):
    rows = [row(student, LESSON, "softmax", 1.0, 4.0, comment=f"well done, {student}")
            for student in ("ada", "bo")]  # fmt: skip
    write_grades(tmp_path / "grades" / "grades_long.csv", rows)
    first = own(tmp_path, anonymous=True)
    text = json.dumps(first)
    assert "ada" not in text
    assert not (tmp_path / "out" / "feedback.zip").exists()
    assert "well done" not in text
    assert "HYPERLINK" not in text
    called = [r[0] for r in first["grades_wide.csv"][1:]]
    assert len(set(called)) == 2
    assert {r[0] for r in first["grades_long.csv"][1:]} == set(called)
    assert own(tmp_path, anonymous=True) == first
    (tmp_path / "grades" / "anonymous.key").unlink()
    assert own(tmp_path, anonymous=True) != first


def test_pages_for_no_platform_have_the_names_of_students_and_lessons(tmp_path):
    grade(tmp_path / "grades", ["ada", "jose"])
    own(tmp_path)
    with zipfile.ZipFile(tmp_path / "out" / "feedback.zip") as archive:
        assert archive.namelist() == [f"{name}_{LESSON}.html" for name in ("ada", "jose")]
        assert archive.read(f"jose_{LESSON}.html") == b"<p>jose</p>"


def test_pandas_reads_the_tables_as_we_do(tmp_path):
    pandas = pytest.importorskip("pandas")  # is no part of the course
    grade(tmp_path / "grades", list(POINTS))
    wide = own(tmp_path)["grades_wide.csv"]
    frame = pandas.read_csv(tmp_path / "out" / "grades_wide.csv")
    assert list(frame.columns) == wide[0]
    assert [f"{points:g}" for points in frame["total"]] == [r[-2] for r in wide[1:]]


# --- what is asked wrongly, and the command ----------------------------------------------------


@pytest.mark.parametrize(("options", "why"), [
    ({"to": "canvas"}, "--to canvas needs --gradebook"),
    ({"to": "canvas", "anonymous": True}, "--anonymous is for --to csv"),
    ({"to": "csv", "scale": True}, "--scale is for what a platform takes back"),
    ({"to": "csv", "gradebook": Path("x.csv")}, "--gradebook is for what a"),
    ({"to": "csv", "lesson": OTHER}, f"got {OTHER}: there are {LESSON}"),
    ({"to": "moodle", "gradebook": Path("none.csv")}, "none.csv cannot be read"),
    ({"to": "moodle", "gradebook": Path("none.csv"), "lesson": OTHER}, f"got {OTHER}: there are"),
    ({"to": "moodle", "submitted": Path("none")}, "was collected from moodle"),
])  # fmt: skip
def test_what_cannot_be_done_is_said(options, why, tmp_path):
    grade(tmp_path / "grades", ["ada"])
    with pytest.raises(PlatformError, match=why):
        hand_back(tmp_path / "grades", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_grades_is_an_error(tmp_path):
    with pytest.raises(PlatformError, match="--grades must be a folder that course grade wrote"):
        hand_back(tmp_path, tmp_path / "out", to="csv")


def test_a_file_is_never_written_over_the_one_it_was_made_from(tmp_path):
    grades = grade(tmp_path / "grades", addressed("ada"))
    path = saved(tmp_path, gradebook_of("moodle"))
    before = path.read_bytes()
    with pytest.raises(PlatformError, match="--out must be another folder"):
        hand_back(grades, tmp_path, to="moodle", gradebook=path)
    with pytest.raises(PlatformError, match="--out must be another folder"):
        hand_back(grades, grades, to="csv")
    assert path.read_bytes() == before


def test_pages_of_others_are_told_and_left_out(tmp_path):
    grades, submitted = tmp_path / "grades", tmp_path / "submitted"
    for platform, lay_out, some in (("c", canvas, CLASS[:1]), ("m", moodle, CLASS[1:2])):
        source = save_as_zip(lay_out(one_each(some)), tmp_path / f"{platform}.zip")
        collect([source], submitted)
    students = sorted(path.name for path in submitted.iterdir() if path.is_dir())
    grade(grades, students, login=lambda student: "ada")
    (grades / "feedback" / "lovelaceada_101" / LESSON / f"{LESSON}.html").unlink()
    written = hand_back(grades, tmp_path / "out", to="canvas", submitted=submitted)
    assert written.pages == 0
    assert set(written.without_page) == {
        f"{students[0]}: collected from moodle",
        f"lovelaceada_101: there is no page of feedback for {LESSON}",
    }


def test_the_command_says_what_it_wrote(tmp_path):
    grades = grade(tmp_path / "grades", addressed("ada", "eve"))
    path = saved(tmp_path, gradebook_of("moodle", scores={"ada": "1"}))
    words = ["hand-back", "--grades", str(grades), "--to", "moodle", "--gradebook", str(path),
             "--out", str(tmp_path / "out"), "--lesson", "2"]  # fmt: skip
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "2 scores in the column 'Grade'." in done.output
    assert "Another score stood there: ada@example.org: 1 is now 2.5" in done.output
    assert " 1 other cells begin as a formula does" in done.output  # eve is called =1+1
    done = CliRunner().invoke(main, [*words, "--json"])
    assert json.loads(done.stdout)["filled"]["scores"] == 2
    done = CliRunner().invoke(main, [*words[:-2], "--lesson", "3"])
    assert done.exit_code == 2


def test_the_command_offers_what_there_is():
    (option,) = (one for one in main.commands["hand-back"].params if one.name == "to")
    assert tuple(option.type.choices) == TO
