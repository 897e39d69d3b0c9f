"""The record of what was collected, in `collected.json` beside the students' folders.

It says where each submission came from and how a file finds its way back there, so that a second
download can tell what is newer, and `course hand-back` to whom a page goes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..grading.records import read_json, write_json
from .people import Person
from .roster import as_known

RECORD = "collected.json"


@dataclass
class Collected:
    """What is on record of a folder of submissions.

    Args:
        people: who is known, by the name of their folder.
        entries: by student and lesson, what lies there: the platform, its order, its hash, the
            time and lateness that the platform says, and what leads back.
    """

    people: dict[str, Person]
    entries: dict[tuple[str, str], dict]

    def order_of(self, student: str, lesson: str, platform: str) -> list | None:
        """Where what lies there stands among a platform's submissions; None if it does not say."""
        entry = self.entries.get((student, lesson), {})
        return (entry.get("order") or None) if entry.get("platform") == platform else None


def read_collected(submitted: Path) -> Collected:
    """The record of a folder; an empty one where there is none."""
    record = read_json(submitted / RECORD)
    people, students = record.get("people"), record.get("students")
    return Collected(
        as_known(people) if isinstance(people, dict) else {},
        {
            (student, lesson): entry
            for student, lessons in (students if isinstance(students, dict) else {}).items()
            for lesson, entry in lessons.items()
        },
    )


def write_collected(submitted: Path, collected: Collected) -> None:
    """Write the record, whole or not at all."""
    students: dict[str, dict[str, dict]] = {}
    for (student, lesson), entry in sorted(collected.entries.items()):
        students.setdefault(student, {})[lesson] = entry
    people = {
        key: {"ids": dict(person.ids), "names": list(person.names)}
        for key, person in sorted(collected.people.items())
    }
    write_json(submitted / RECORD, {"people": people, "students": students})


def hash_of(files: Mapping[str, bytes]) -> str:
    """One hash of a submission's files and their names."""
    each = (f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256("".join(each).encode("utf-8", "surrogateescape")).hexdigest()
