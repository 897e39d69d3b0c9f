"""A class's list, as a platform exports it: which column says what of each person."""

import re
from collections.abc import Mapping
from pathlib import Path

from . import PlatformError
from .people import CANVAS, EMAIL, LOGIN, MOODLE, SIS, Person, folder_name
from .tables import Table, read_table

# What the headings of Canvas, Moodle, Gradescope, GitHub Classroom and Classroom 50 say, in lower
# case and with spaces: a number of the platform's or the school's, a login, an address, a name.
_HEADINGS = {
    CANVAS: ("id", "canvas user id"),
    SIS: ("sis user id", "sid", "student id", "id number", "student number"),
    LOGIN: ("sis login id", "username", "user name", "login", "login id", "github username"),
    EMAIL: ("email", "email address", "e mail", "e mail address"),
    "name": ("student", "full name", "name", "student name", "display name"),
    "first": ("first name", "firstname", "given name"),
    "last": ("last name", "lastname", "surname", "family name"),
}
_KINDS = {heading: kind for kind, headings in _HEADINGS.items() for heading in headings}
_KEYS = (LOGIN, EMAIL, SIS, CANVAS, MOODLE)  # what a folder is named after, the best first


class PersonColumns:
    """Which columns of a table say who a row is about."""

    def __init__(self, table: Table):
        kinds = [_kind(heading) for heading in table.headings]
        self._columns = [(number, kind) for number, kind in enumerate(kinds) if kind]
        if not self._columns:
            raise PlatformError(
                f"{table.name} must have a column that says who somebody is, such as Student, "
                f"Full name, Email, Username or SID; got {', '.join(table.headings)}"
            )

    def person(self, row: list[str]) -> Person | None:
        """Who a row is about; None where it is about nobody, as Canvas's Points Possible."""
        said: dict[str, str] = {}
        for number, kind in self._columns:
            text = " ".join(row[number].split())
            if (
                kind == "identifier"
            ):  # Moodle's `Participant 12`; GitHub Classroom's own is any text
                moodles = re.fullmatch(r"Participant\s*(\d+)", text)
                kind, text = (MOODLE, moodles[1]) if moodles else (SIS, text)
            if text:
                said.setdefault(kind, text)
        names = [said["name"]] if "name" in said else []
        first, last = said.get("first", ""), said.get("last", "")
        if first or last:
            names += [f"{first} {last}".strip(), f"{last}, {first}"]
        ids = {kind: said[kind] for kind in _KEYS if kind in said}
        if not ids and (not names or names[0] == "Points Possible"):
            return None
        return Person(ids, tuple(dict.fromkeys(names)))


def read_roster(path: Path, key: str | None = None) -> dict[str, Person]:
    """Everybody on the list, by the name of the folder that is theirs.

    Args:
        key: the heading of the column that folders are named after; without it, the first of
            login, e-mail, school's and platform's number that everybody has, and a name at last.

    Raises:
        PlatformError: it cannot be read, or two people would have one folder.
    """
    table = read_table(path)
    columns = PersonColumns(table)
    rows = [table.row(number) for number in range(len(table))]
    people = [(row, person) for row in rows if (person := columns.person(row))]
    if not people:
        raise PlatformError(f"{path} must list a class, got no person")
    keys = _by_column(table, people, key) if key is not None else _by_kind(people)
    found: dict[str, Person] = {}
    taken: dict[str, str] = {}
    for said, (_, person) in zip(keys, people, strict=True):
        if found.get(folder_name(said)) == person:
            continue  # as in a list of submissions, where somebody has several
        if said.casefold() in taken:
            raise PlatformError(
                f"{path}: what folders are named after must differ for all, got {said!r} for "
                f"{taken[said.casefold()]} and {person}: name another column with --key"
            )
        taken[said.casefold()] = str(person)
        found[folder_name(said)] = person
    return found


def _by_column(table: Table, people: list[tuple[list[str], Person]], key: str) -> list[str]:
    if key not in table.headings:
        raise PlatformError(
            f"--key must be a heading of {table.name}, got {key!r} "
            f"where there are {', '.join(table.headings)}"
        )
    column = table.headings.index(key)
    for row, person in people:
        if not row[column].strip():
            raise PlatformError(f"{table.name}: {person} has nothing in the column {key!r}")
    return [row[column].strip() for row, _ in people]


def _by_kind(people: list[tuple[list[str], Person]]) -> list[str]:
    for kind in _KEYS:
        if all(person.ids.get(kind) for _, person in people):
            return [person.ids[kind] for _, person in people]
    return [str(person) for _, person in people]


def as_known(record: Mapping) -> dict[str, Person]:
    """People as `collected.json` holds them."""
    return {
        key: Person(dict(known.get("ids", {})), tuple(known.get("names", ())))
        for key, known in record.items()
    }


def _kind(heading: str) -> str | None:
    plain = re.sub(r"[\s_-]+", " ", heading).strip().casefold()
    return "identifier" if plain == "identifier" else _KINDS.get(plain)
