"""`course collect`: from what a platform gave to the folders that `course grade` reads."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import write_atomically
from ..grading.records import as_cell
from ..own_files import lies_there, shown
from . import PlatformError
from .archives import Refused
from .collected import Collected, hash_of, read_collected, write_collected
from .downloads import Download, open_download
from .handed_in import Arrival, Submission, open_arrival
from .known import PLATFORMS, platform_of
from .people import ANY, CANVAS, EMAIL, LOGIN, MOODLE, SIS, NotFound, People, Person, folder_name
from .placing import lying_there, place
from .roster import read_roster

TIMES = "times.csv"
NEW, NEWER, SAME, KEPT = "new", "newer", "same", "kept"


@dataclass
class Report:
    """What there is to say of a run, each thing as a sentence or a name."""

    platforms: list[str] = field(default_factory=list)
    collected: list[str] = field(default_factory=list)  # student and lesson, for the first time
    replaced: list[str] = field(default_factory=list)  # by a newer one, or as it was asked for
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # what lies there stays, and why
    older: list[str] = field(default_factory=list)  # how many older ones there were of somebody
    missing: list[str] = field(default_factory=list)  # on the list, with nothing handed in
    not_understood: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # files that no grade depends on
    times: int = 0  # how many submissions have a time that the platform noted


def collect(
    sources: Sequence[Path],
    submitted: Path,
    *,
    platform: str | None = None,
    lesson: str | None = None,
    roster: Path | None = None,
    key: str | None = None,
    replace: bool = False,
) -> Report:
    """Put what lies in `sources` where `course grade --submitted` looks for it.

    Of several submissions of a lesson the newest is taken, where the platform says which it is;
    otherwise that of the later source. The sources are not changed.

    Args:
        platform: who laid them out; found out where it can be.
        lesson: what they are about, where names of files do not say it.
        roster: the class's list, as a CSV.
        key: its column that folders are named after.
        replace: take also what may be older than, or was changed by hand in, what lies there.

    Raises:
        PlatformError: nothing can be collected.
    """
    if key is not None and roster is None:
        raise PlatformError("--key names a column of --roster: give that too")
    _must_not_hold_one_another(sources, submitted)
    collected = read_collected(submitted)
    on_list = read_roster(roster, key) if roster is not None else {}
    report, run = Report(), _Run(submitted, collected, on_list, replace)
    for source in sources:
        download = open_download(source)
        name = platform or platform_of(download)
        report.platforms.append(name)
        run.take(download, name, report)
    try:
        try:
            run.write(lesson, report)
        finally:  # what was placed is on record, however the run ends
            write_collected(submitted, collected)
        report.times = _write_times(submitted, collected)
    except OSError as error:
        raise PlatformError(f"{submitted} cannot be written to: {error.strerror}") from None
    lessons = [lesson] if lesson else sorted(run.lessons)
    report.missing = _missing(submitted, [one for one in on_list if one not in run.told], lessons)
    return report


@dataclass(frozen=True)
class _Found:
    """A submission that may be taken."""

    arrival: Arrival
    submission: Submission
    platform: str
    source: int  # which of the sources it was in


def _newest(found: Sequence[_Found]) -> _Found:
    """The newest that a platform has; of several platforms, that of the later source."""
    of_platform: dict[str, _Found] = {}
    for one in found:
        other = of_platform.get(one.platform, one)
        is_later = (one.submission.order, one.source) >= (other.submission.order, other.source)
        of_platform[one.platform] = one if is_later else other
    return max(of_platform.values(), key=lambda one: one.source)


class _Run:
    """One run: who is who in it, and what arrived from whom; one student is opened at a time."""

    def __init__(self, submitted: Path, collected: Collected, on_list: Mapping, replace: bool):
        self.submitted, self.collected, self.replace = submitted, collected, replace
        self.on_list = People(on_list) if on_list else None
        self.lessons: set[str] = set()
        self.told: set[str] = set()  # of whom something was handed in, and not all was understood
        self._arrivals: dict[str, list[tuple[Arrival, str, int]]] = {}
        self._n_sources = 0

    def take(self, download: Download, platform: str, report: Report) -> None:
        """Find out whose each file of a download is."""
        understood = PLATFORMS[platform].understand(download)
        self._n_sources += 1
        report.not_understood += [f"{what}: {why}" for what, why in download.refused]
        report.not_understood += understood.problems
        report.left += understood.left
        by_student: dict[str, list[Arrival]] = {}
        for arrival in understood.arrivals:
            try:
                by_student.setdefault(self._student(arrival.person), []).append(arrival)
            except NotFound as reason:
                report.not_understood.append(
                    f"{shown(arrival.label)}: {reason}: give a --roster that says who it is"
                )
        for student, arrivals in by_student.items():
            if len({str(sorted(arrival.person.ids.items())) for arrival in arrivals}) > 1:
                both = " and ".join(shown(arrival.label) for arrival in arrivals)
                report.not_understood.append(
                    f"{both}: both would be {student}: give a --roster that tells them apart"
                )
                continue
            self._note(student, arrivals[-1].person)
            theirs = self._arrivals.setdefault(student, [])
            theirs += [(arrival, platform, self._n_sources) for arrival in arrivals]

    def write(self, lesson: str | None, report: Report) -> None:
        """Put the newest of each student and lesson where it belongs."""
        for student in sorted(self._arrivals):
            for named, found in sorted(self._opened(student, lesson, report).items()):
                self.lessons.add(named)
                newest = _newest(found)
                what, why = self._write(student, named, newest)
                text = shown(f"{student} {named}")
                if len(found) > 1:
                    report.older.append(f"{text}: {len(found) - 1}")
                said = {NEW: report.collected, NEWER: report.replaced, SAME: report.unchanged}
                said.get(what, report.kept).append(f"{text}: {why}" if why else text)

    def _opened(self, student: str, lesson: str | None, report: Report) -> dict[str, list[_Found]]:
        """What a student handed in, by lesson."""
        by_lesson: dict[str, list[_Found]] = {}
        for arrival, platform, source in self._arrivals[student]:
            opened, label = open_arrival(arrival, lesson), shown(arrival.label)
            report.not_understood += [f"{label}: {problem}" for problem in opened.problems]
            self.told |= {student} if opened.problems else set()
            report.left += [f"{label}: {file}" for file in opened.left]
            for submission in opened.submissions:
                found = _Found(arrival, submission, platform, source)
                by_lesson.setdefault(submission.lesson, []).append(found)
        return by_lesson

    def _student(self, person: Person) -> str:
        """The folder of whose submission it is.

        Raises:
            NotFound: the class's list does not have them, or has several.
        """
        if self.on_list is not None:
            return self.on_list.find(person)
        lasting = {kind: text for kind, text in person.ids.items() if kind != MOODLE}
        try:
            return People(self.collected.people).find(Person(lasting) if lasting else person)
        except NotFound:
            return folder_name(_called(person))

    def _note(self, student: str, person: Person) -> None:
        """Put what is known now of somebody on record; Moodle's numbers stand with a lesson."""
        listed = self.on_list.people[student] if self.on_list is not None else Person()
        before = self.collected.people.get(student, Person())
        ids = {**before.ids, **person.ids, **listed.ids}
        ids.pop(MOODLE, None)
        names = dict.fromkeys((*listed.names, *person.names, *before.names))
        self.collected.people[student] = Person(
            {kind: _as_text(text) for kind, text in ids.items()}, tuple(map(_as_text, names))
        )

    def _write(self, student: str, lesson: str, found: _Found) -> tuple[str, str]:
        files = found.submission.files()
        try:
            there = lying_there(self.submitted, student, lesson)
        except Refused as reason:
            return KEPT, str(reason)
        now, before = hash_of(files), hash_of(there)
        entry = self.collected.entries.get((student, lesson), {})
        if there and now != before and not self.replace:
            reason = self._against(found, entry, before, student, lesson)
            if reason:
                return KEPT, f"{reason}; --replace takes what was downloaded"
        if now != before:
            place(self.submitted, student, lesson, files)
        self.collected.entries[student, lesson] = {
            "platform": found.platform,
            "order": list(found.submission.order),
            "sha256": now,
            "when": found.arrival.when,
            "is_late": found.arrival.is_late,
            "back": found.submission.back,
            "ids": {kind: _as_text(text) for kind, text in found.arrival.person.ids.items()},
        }
        if now == before:
            return SAME, ""
        return (NEWER, "a newer one replaces what lay there") if there else (NEW, "")

    def _against(
        self, found: _Found, entry: Mapping, before: str, student: str, lesson: str
    ) -> str:
        """Why what was found does not take the place of what lies there; empty if it does."""
        if entry.get("sha256") != before:
            return "what lies there was not collected, or was changed since"
        order = self.collected.order_of(student, lesson, found.platform)
        if order is None or not found.submission.order:
            return "it differs from what lies there, and which is newer is not known"
        if list(found.submission.order) < order:
            return "what lies there is newer"
        return ""


def _as_text(name: str) -> str:
    """A name as it can stand in a file: a folder's name may hold bytes that are no text."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _called(person: Person) -> str:
    """What somebody's folder is named after where there is no list."""
    said = next((person.ids[kind] for kind in (LOGIN, EMAIL, SIS, ANY) if kind in person.ids), None)
    number = person.ids.get(CANVAS) or ("" if person.names else person.ids.get(MOODLE, ""))
    return said or "_".join(filter(None, [*person.names[:1], number]))


def _must_not_hold_one_another(sources: Iterable[Path], submitted: Path) -> None:
    place_of = submitted.resolve()
    for source in sources:
        inside = source.resolve()
        if place_of == inside or inside in place_of.parents or place_of in inside.parents:
            raise PlatformError(
                f"--submitted must be a folder apart from what was downloaded, "
                f"got {submitted} and {source}"
            )


def _missing(submitted: Path, students: Iterable[str], lessons: Sequence[str]) -> list[str]:
    """Who of some students has handed in nothing of a lesson, by this run or an earlier one."""
    return [
        f"{student} {lesson}"
        for lesson in lessons
        for student in students
        if not lies_there(submitted / student / lesson, top=submitted)
    ]


def _write_times(submitted: Path, collected: Collected) -> int:
    """Write the times that platforms noted as a table that `ClassRules.times` reads."""
    rows = [
        (student, lesson, entry["when"])
        for (student, lesson), entry in sorted(collected.entries.items())
        if entry.get("when")
    ]
    if rows or (submitted / TIMES).exists():
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("student", "lesson", "time"))
        table.writerows([as_cell(cell) for cell in row] for row in rows)
        write_atomically(submitted / TIMES, text.getvalue())
    return len(rows)
