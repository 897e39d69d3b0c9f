"""Who is who: a person as one file names them, found among those whom another file names."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..grading.records import as_cell
from ..own_files import shown

# What identifies somebody, the surest first. Each platform counts its people for itself, Moodle
# anew in each assignment. A login may be an e-mail address, and is one on many platforms. What a
# teacher wrote on a folder may be any of these.
CANVAS, MOODLE, SIS, LOGIN, EMAIL, ANY = "canvas", "moodle", "sis", "login", "email", "any"
IDS = (CANVAS, MOODLE, SIS, LOGIN, EMAIL, ANY)
_NAME, _EVERY = "name", "every"  # how somebody may be found besides: by name, by one id of any kind
_FOR_GOOD = (CANVAS, SIS)  # numbers that somebody has once, in every file
_LONGEST = 120  # bytes of a folder's name


class NotFound(Exception):
    """Nobody is meant, or more than one may be; the text says which."""


@dataclass(frozen=True)
class Person:
    """What is known of somebody.

    Args:
        ids: by kind, of `IDS`.
        names: as they may be written: `Ada Lovelace`, `Lovelace, Ada`.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return next(iter([*self.names, *self.ids.values()]), "somebody without a name")


class People:
    """The people of a class, by the name of their folder."""

    def __init__(self, people: Mapping[str, Person]):
        self.people = dict(people)
        self._found: dict[tuple[str, str], set[str]] = {}
        for key, person in self.people.items():
            for kind, text in _marks(person):
                self._found.setdefault((kind, text), set()).add(key)
                if kind in IDS:
                    self._found.setdefault((_EVERY, text), set()).add(key)

    def find(self, person: Person) -> str:
        """Whose folder it is.

        Raises:
            NotFound: nobody's, or it could be that of several.
        """
        for kind, text in _marks(person):
            kinds = {ANY: [_EVERY], _NAME: [_NAME]}.get(kind, [kind, ANY])
            keys = {
                key
                for each in kinds
                for key in self._found.get((each, text), ())
                if not _are_two(person, self.people[key])
            }
            if len(keys) == 1:
                return keys.pop()
            if keys:
                raise NotFound(f"{shown(str(person))} could be any of {', '.join(sorted(keys))}")
        raise NotFound(f"nobody is found who could be {shown(str(person))}")


def _are_two(one: Person, other: Person) -> bool:
    """Whether a number says that they are two people, whatever their names."""
    both = [kind for kind in _FOR_GOOD if one.ids.get(kind) and other.ids.get(kind)]
    return any(one.ids[kind].casefold() != other.ids[kind].casefold() for kind in both)


def _marks(person: Person) -> list[tuple[str, str]]:
    """All by which somebody may be found, the surest first."""
    ids = [(kind, person.ids[kind].strip().casefold()) for kind in IDS if person.ids.get(kind)]
    ids = [(EMAIL if kind == LOGIN else kind, text) for kind, text in ids if text]
    return list(dict.fromkeys([*ids, *((_NAME, form) for form in _forms(person))]))


def _forms(person: Person) -> list[str]:
    """Their names, as letters alone: `Lovelace, Ada` is `lovelaceada` and `adalovelace`."""
    written = []
    for name in person.names:
        last, comma, first = name.partition(",")
        written += [name, first + last] if comma else [name]
    return [form for form in dict.fromkeys(map(squashed, written)) if form]


def squashed(name: str) -> str:
    """A name as platforms write it into the names of files: letters and digits, without accents."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in plain if c.isalnum()) or "".join(plain.split())


def folder_name(key: str) -> str:
    """A folder's name for somebody; no two people have the same.

    It is the key itself where that can be the name of a folder that `course grade` takes for a
    student's, and where no spreadsheet runs it as a formula. Otherwise it ends in a part of its
    hash.

    >>> folder_name("ada@example.org")
    'ada@example.org'
    >>> folder_name("../ada")
    '_..-ada-60088279'
    """
    name = re.sub(r"[\\/]", "-", "".join(c if c.isprintable() else "-" for c in key)).strip()
    name = f"_{name}" if name.startswith(".") or as_cell(name) != name else name
    name = name.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").strip()
    if name and name == key and name != "__MACOSX":
        return name
    of_all = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name or '_'}-{of_all}"
