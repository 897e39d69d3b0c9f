"""Downloads as learning platforms lay them out, made up: what `course collect` has to read.

`CLASS` is a class with names as people have them. Each maker takes what students handed in, as
`Handed` things, and lays it out as its platform does; `roster_of` and `gradebook_of` are what the
platform exports beside it.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LESSON = "02_self_attention"
NOTEBOOK = f"{LESSON}.ipynb"


@dataclass(frozen=True)
class Student:
    """Somebody in a class, as platforms know them."""

    first: str
    last: str
    login: str
    number: int  # the platform's; the school's is `S` and this
    email: str = ""

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def address(self) -> str:
        return self.email or f"{self.login}@example.org"


CLASS = (
    Student("Ada", "Lovelace", "ada", 101),
    Student("José María", "de la Cruz, Jr.", "jose", 102),
    Student('Blaise "B."', "Pascal", "blaise", 103),
    Student("Émilie 🦉", "du Châtelet", "emilie", 104),
    Student("=1+1", "@Formula", "eve", 105),
    Student("N" * 120, "M" * 79, "long", 106),
    Student("李", "明", "liming", 107),
)


@dataclass(frozen=True)
class Handed:
    """What a student handed in at a time: files by their paths."""

    student: Student
    files: Mapping[str, bytes] = field(default_factory=dict)
    at: int = 1  # later is greater
    is_late: bool = False


def notebook(mark: str = "") -> bytes:
    """A notebook with one cell; the mark makes it differ from others."""
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": mark}
    tree = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(tree).encode()


def one_each(students: Iterable[Student] = CLASS, name: str = NOTEBOOK) -> list[Handed]:
    """A notebook of each, all of them different."""
    return [Handed(student, {name: notebook(student.login)}) for student in students]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


# --- downloads ---------------------------------------------------------------------------------


def canvas(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`lovelaceada_LATE_101_5011_name.ipynb`: all at the top, and only each one's newest."""
    found = {}
    for one in handed:
        name = f"{one.student.last}, {one.student.first}".lower()
        name = "".join(c for c in name if c.isalnum() or c == "_")[:80]
        late = "_LATE" if one.is_late else ""
        for n, (path, content) in enumerate(one.files.items()):
            file = one.student.number * 10_000 + one.at * 100 + n
            original = path.replace("/", "_")
            found[f"{name}{late}_{one.student.number}_{file}_{original}"] = content
    return found


def moodle(handed: Iterable[Handed], ending: str = "") -> dict[str, bytes]:
    """`Ada Lovelace_9101_assignsubmission_file/name.ipynb`; before Moodle 4.1 with one `_` more."""
    found = {}
    for one in handed:
        name = _as_moodle_cleans(one.student.name)[:150]
        folder = f"{name}_{9000 + one.student.number}_assignsubmission_file{ending}"
        found |= {f"{folder}/{path}": content for path, content in one.files.items()}
    return found


def moodle_flat(handed: Iterable[Handed]) -> dict[str, bytes]:
    """The same, where Moodle was asked for no folders."""
    found = moodle(handed, ending="_")
    return {path.replace("/", "", 1): content for path, content in found.items()}


def gradescope(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`assignment_12_export/submission_101/name.ipynb`, and who it is in a file beside them."""
    top, found, about = "assignment_12_export", {}, []
    for one in handed:
        folder = f"submission_{one.student.number}{one.at}"
        found |= {f"{top}/{folder}/{path}": content for path, content in one.files.items()}
        about += [
            f"{folder}:",
            "  :submitters:",
            f"  - :name: {json.dumps(one.student.name, ensure_ascii=False)}",
            f"    :sid: S{one.student.number}",
            f"    :email: {one.student.address}",
            f"  :created_at: 2026-11-30 08:0{one.at}:00.936612000 Z",
            "  :score: 0.0",
            "  :status: !ruby/object:Something processed",
            "  :history: []",
        ]
    return {f"{top}/submission_metadata.yml": "\n".join(about).encode(), **found}


def classroom50(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`cs-hw2-ada/name.ipynb` in a folder, and `scores.csv` beside the repositories."""
    top, found = "cs-hw2_submissions_2026_11_30_T_08_00_00", {}
    heading = "username first_name last_name email section score max_score datetime submission_tag"
    rows = [[*heading.split(), "submitted_by", "review_url", "late", "override"]]
    for one in handed:
        s = one.student
        folder = f"cs-hw2-{s.login}"
        found |= {f"{top}/{folder}/{path}": content for path, content in one.files.items()}
        found[f"{top}/{folder}/.git/HEAD"] = b"ref: refs/heads/main"
        found[f"{top}/{folder}/.classroom50.yaml"] = b'classroom: "cs"\nassignment: "hw2"\n'
        time, late = f"2026-11-30T08:0{one.at}:00Z", "true" if one.is_late else "false"
        who = [s.login, s.first, s.last, s.address, "1"]
        rows.append([*who, "", "", time, "submit/1", s.login, "", late, "false"])
    found[f"{top}/scores.csv"] = as_csv(rows)
    return found


def github_classroom(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`hw2-submissions/hw2-ada/name.ipynb`, and nothing beside the repositories."""
    return {
        f"hw2-submissions/hw2-{one.student.login}/{path}": content
        for one in handed
        for path, content in one.files.items()
    }


def nbgrader_inbound(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`inbound/ada+02_self_attention+TIME UTC+random/name.ipynb`, as an exchange holds them."""
    found = {}
    for one in handed:
        time = f"2026-11-30 08:0{one.at}:00.123456 UTC"
        folder = f"inbound/{one.student.login}+{LESSON}+{time}+aBc"
        found |= {f"{folder}/{path}": content for path, content in one.files.items()}
        found[f"{folder}/timestamp.txt"] = time.encode()
    return found


def nbgrader_submitted(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`submitted/ada/02_self_attention/name.ipynb`."""
    return {
        f"submitted/{one.student.login}/{LESSON}/{path}": content
        for one in handed
        for path, content in one.files.items()
    }


def folders(handed: Iterable[Handed]) -> dict[str, bytes]:
    """`ada/name.ipynb`."""
    return {
        f"{one.student.login}/{path}": content
        for one in handed
        for path, content in one.files.items()
    }


LAYOUTS = {
    "canvas": ("canvas", canvas),
    "moodle": ("moodle", moodle),
    "moodle before 4.1": ("moodle", lambda handed: moodle(handed, ending="_")),
    "moodle without folders": ("moodle", moodle_flat),
    "gradescope": ("gradescope", gradescope),
    "classroom50": ("classroom50", classroom50),
    "github classroom": ("classroom50", github_classroom),
    "nbgrader inbound": ("nbgrader", nbgrader_inbound),
    "nbgrader submitted": ("nbgrader", nbgrader_submitted),
    "folders": ("folders", folders),
}


def save_as_zip(files: Mapping[str, bytes], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(files))
    return path


def save_as_folder(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# --- what is exported beside them --------------------------------------------------------------


def roster_of(platform: str, students: Iterable[Student] = CLASS) -> bytes:
    """The class's list, with the headings and in the order that each platform has."""
    if platform in ("canvas", "moodle"):
        return gradebook_of(platform, students)
    if platform == "gradescope":
        rows = [["First Name", "Last Name", "SID", "Email", "Sections"]]
        rows += [[s.first, s.last, f"S{s.number}", s.address, ""] for s in students]
    elif platform == "classroom50":
        rows = [["username", "first_name", "last_name", "email", "section", "github_id", "role"]]
        rows += [[s.login, s.first, s.last, s.address, "1", str(s.number), ""] for s in students]
    else:
        rows = [["Username", "Full name"], *([s.login, s.name] for s in students)]
    return as_csv(rows)


def gradebook_of(
    platform: str,
    students: Iterable[Student] = CLASS,
    scores: Mapping[str, str] | None = None,
    most: str = "10",
) -> bytes:
    """What a platform exports to be filled; `scores` stand there already, by login."""
    scores = scores or {}
    if platform == "canvas":
        who = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        columns = ["Warm-up (77)", "02 Self-attention (4711)", "Current Score", "Notes"]
        rows = [[*who, *columns]]
        rows.append(["    Points Possible", "", "", "", "", "5.00", most, "(read only)", ""])
        for s in students:
            who = [f"{s.last}, {s.first}", str(s.number), f"S{s.number}", s.login, "Group A, early"]
            rows.append([*who, "4.50", scores.get(s.login, ""), "90.00", '"odd", she said'])
    elif platform == "moodle":
        who = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade"]
        dates = ["Last modified (submission)", "Last modified (grade)"]
        rows = [[*who, "Grade can be changed", *dates, "Feedback comments"]]
        for s in students:
            who = [f"Participant {9000 + s.number}", s.name, s.address, "Submitted for grading"]
            dates = ["Monday, 30 November 2026, 8:00 AM", "-"]
            grade = [scores.get(s.login, ""), most, "Yes"]
            rows.append([*who, *grade, *dates, "<p>so far,\r\nso good</p>"])
    elif platform == "gradescope":
        who = ["First Name", "Last Name", "SID", "Email", "Sections"]
        rows = [[*who, "Total Score", "Max Points", "Status", "Submission ID"]]
        for s in students:
            who = [s.first, s.last, f"S{s.number}", s.address, ""]
            rows.append([*who, scores.get(s.login, ""), most, "Graded", str(s.number)])
    else:
        who = ["username", "first_name", "last_name", "email", "section"]
        rows = [[*who, "score", "max_score", "datetime", "submission_tag"]]
        for s in students:
            who = [s.login, s.first, s.last, s.address, "1"]
            rows.append([*who, scores.get(s.login, ""), most, "", ""])
    return as_csv(rows)


def as_csv(rows: Iterable[Iterable[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _as_moodle_cleans(name: str) -> str:
    """Without what cannot stand in the name of a file, as Moodle's clean_filename does it."""
    return "".join(c for c in name.replace("_", " ") if c not in '/\\:*?"<>|')
