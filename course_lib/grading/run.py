"""Grade a whole class: `course grade`.

Workers observe and judge submissions, each with a sandbox of its own, and put every result into
`out/results/`. One writer, this thread, records them with nbgrader as they come in. A run that
was interrupted goes on where it stopped, and a later run judges only what has changed.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from ..lessons.exercises import lesson_names, read_exercises, read_package_checks
from . import GradingError
from .classroom import lessons_of, open_folder, students_of
from .gradebook import ClassGradebook
from .judging import checks_version, fresh_seed, judge
from .records import read_json, write_grades, write_json
from .releases import Release, choose
from .results import printable, zero
from .sandbox import Sandbox, SandboxMissing
from .submission import read_submission, rebuild

MISSING = "nothing was handed in"


@dataclass
class Report:
    """What a grading run did; the grades themselves are in `out/grades_long.csv`."""

    students: int
    lessons: list[str]
    judged: int = 0  # submissions run now, not taken from an earlier run
    missing: int = 0
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)  # submissions the grader failed at
    seconds: float = 0.0


def grade_class(
    submitted: Path,
    out: Path,
    *,
    lesson: str | None = None,
    workers: int = 2,
    sandbox: str = "bubblewrap",
    progress: Callable[[int, int, str], None] | None = None,
    student: str | None = None,
    root: Path | None = None,
    again: bool = False,
) -> Report:
    """Grade `submitted/<student>/<lesson>/<lesson>.ipynb`, and write everything below `out`.

    Args:
        lesson: only this one; without it, every lesson that somebody has handed in.
        sandbox: "bubblewrap", or "none" to run submissions without a wall.
        progress: called with how many submissions are done, of how many, and which was last.
        student: only this one; the others' results stay as they are.
        root: the course root, whose `releases/` count; by default the working directory.
        again: judge also what has not changed since it was graded.

    Raises:
        GradingError: there is nothing to grade, or no place to write to.
    """
    if workers < 1:
        raise GradingError(f"workers must be at least 1, got {workers}")
    started = time.perf_counter()
    submitted, out = Path(submitted).resolve(), Path(out).resolve()
    root = Path.cwd() if root is None else Path(root).resolve()
    students = students_of(submitted)
    lessons = lessons_of(submitted, students.values(), lesson)
    if student is not None and student not in students:
        raise GradingError(f"{submitted} holds no student called {student!r}")
    before = open_folder(out, submitted)
    # Everybody in a run meets the same inputs, and an interrupted run is still the same run.
    seed = before["seed"] if before.get("state") == "running" else fresh_seed()
    about = {"state": "running", "seed": seed, "checks": checks_version(), "sandbox": sandbox}
    write_json(out / "run.json", about)

    chosen = students if student is None else {student: students[student]}
    report = Report(students=len(chosen), lessons=lessons)
    work = [
        _Work(name, each, folder / each / f"{each}.ipynb")
        for each in lessons
        for name, folder in chosen.items()
    ]
    _Run(submitted, out, root, about, again, report).grade(work, workers, progress)

    write_grades(out / "grades_long.csv", _rows(out, students))
    report.seconds = round(time.perf_counter() - started, 3)
    write_json(out / "run.json", {**about, "state": "done", **asdict(report)})
    return report


@dataclass(frozen=True)
class _Work:
    """One student's submission of one lesson."""

    student: str
    lesson: str
    path: Path


class _Run:
    """One grading run: workers that judge, one writer that records."""

    def __init__(self, submitted: Path, out: Path, root: Path, about: Mapping, again, report):
        self.submitted, self.out, self.root = submitted, out, root
        self.about, self.again, self.report = about, again, report
        self.new_book = not (out / "gradebook.db").exists()
        self.book = ClassGradebook(out, root=root, results=out / "results")
        self.registered: set[tuple[str, str]] = set()
        self.walls = ExitStack()
        self.own = threading.local()
        self.stopping = False

    def grade(self, work: list[_Work], workers: int, progress) -> None:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the workers are what runs in parallel
        self.walls.callback(torch.set_num_threads, n_threads)
        with self.walls, ThreadPoolExecutor(workers, "worker") as pool:
            futures = {pool.submit(self.judge_one, item): item for item in work}
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    item = futures[future]
                    self.record(item, *future.result())
                    if progress:
                        progress(done, len(work), f"{item.student} {item.lesson}")
            except BaseException:
                self.stopping = True
                pool.shutdown(cancel_futures=True)
                raise

    def judge_one(self, item: _Work) -> tuple[Release, dict, bool]:
        """The release a submission belongs to, its result, and whether it was judged just now."""
        if not os.path.lexists(item.path):
            release, _ = choose(item.lesson, "", self.root)
            zeros = _zeros(release, _what_is_missing(item.path))
            return release, self._keep(item, release, "missing", "", zeros), False
        submission = read_submission(item.path)
        release, note = choose(item.lesson, submission.release, self.root)
        notebook = rebuild(release.notebook, submission, "" if submission.reason else note)
        content = notebook["metadata"]["course"]["grading"]["content"]
        old = read_json(self._path(item))
        expected = self._identity(release, content)
        if not self.again and all(old.get(key) == expected[key] for key in expected):
            return release, old, False
        status = "unreadable" if submission.reason else "graded"
        try:
            components = judge(
                notebook, self._observe, seed=self.about["seed"], sandbox=self.about["sandbox"]
            )
        except (GradingError, CancelledError):
            raise
        except Exception as error:
            status, content = "failed", None
            problem = f"the grader failed ({type(error).__name__}: {error}): grade again"
            components = _zeros(release, problem)
        return release, self._keep(item, release, status, content, components), True

    def record(self, item: _Work, release: Release, result: dict, judged: bool) -> None:
        """Enter one result into nbgrader's record, unless it stands there already."""
        status = result["status"]
        self.report.judged += judged
        self.report.missing += status == "missing"
        self.report.unreadable += status == "unreadable"
        if (item.lesson, release.hash) not in self.registered:
            self.book.register(item.lesson, [release.notebook])
            self.registered.add((item.lesson, release.hash))
        try:
            if status in ("missing", "failed"):
                self.book.record_missing(item.student, item.lesson)
            elif self.new_book or not self.book.holds(item.student, item.lesson, result):
                self.book.record(item.student, item.lesson, item.path)
        except Exception as error:
            problem = f"it could not be recorded ({type(error).__name__}: {error})"
            self.report.problems.append(f"{item.student} {item.lesson}: {problem}")
        if status == "failed":
            problem = result["components"][0]["diagnosis"]
            self.report.problems.append(f"{item.student} {item.lesson}: {problem}")

    def _observe(self, job: dict) -> Mapping:
        """Run a job in this worker's own sandbox, which opens with its first job."""
        if self.stopping:
            raise CancelledError
        if not hasattr(self.own, "wall"):
            try:
                wall = Sandbox(self.about["sandbox"], hide=(self.submitted, self.out, self.root))
                self.own.wall = self.walls.enter_context(wall)
            except SandboxMissing as missing:
                raise GradingError(str(missing)) from None
        reply = self.own.wall.observe(job)
        if self.stopping:
            raise CancelledError  # an interrupt may have reached the sandbox as well
        return reply

    def _identity(self, release: Release, content: str | None) -> dict:
        """What must be the same for an old result to stand."""
        kept = {key: self.about[key] for key in ("checks", "sandbox")}
        return {"content": content, "release": release.hash, **kept}

    def _keep(self, item, release: Release, status: str, content: str | None, components) -> dict:
        result = {
            "student": item.student,
            "lesson": item.lesson,
            "status": status,
            **self._identity(release, content),
            "seed": self.about["seed"],
            "components": components,
        }
        write_json(self._path(item), result)
        return result

    def _path(self, item: _Work) -> Path:
        return self.out / "results" / item.student / f"{item.lesson}.json"


def _what_is_missing(path: Path) -> str:
    others = sorted(other.name for other in path.parent.glob("*.ipynb"))
    if not others:
        return MISSING
    return printable(f"{MISSING} as {path.name}; the folder holds {others[0]}")


def _zeros(release: Release, problem: str) -> list[dict]:
    graded = [*read_exercises(release.notebook), *read_package_checks(release.notebook)]
    return [zero(each, problem) for each in graded]


def _rows(out: Path, students: Iterable[str]) -> Iterator[dict]:
    """The rows of grades_long.csv: every result there is of a student of this class."""
    for student in students:
        for lesson in lesson_names():
            result = read_json(out / "results" / student / f"{lesson}.json")
            for one in result.get("components", ()):
                yield {"student": student, "lesson": lesson, **one}
