"""Grade a whole class: `course grade`.

Workers read, observe and judge submissions, each with a sandbox of its own. One writer, this
thread, enters them into nbgrader's gradebook as they come in. From the gradebook, and from nothing
else, it derives table and feedback at the end. A run that was interrupted goes on where it
stopped, and a later run judges only what has changed.

Whatever fails that is no submission's doing leaves that submission without a score. It is tried
once more at the end, alone, and reported by name if it fails again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
import torch

from ..own_files import lies_there
from . import GradingError, NotGraded
from .class_gradebook import ClassGradebook
from .classroom import lessons_of, open_folder, students_of
from .course import nbgrader_settings, roster
from .deadlines import read_deadlines
from .failures import in_words, told
from .file_names import note_of, notebook_in
from .formgrader import write_settings
from .grades import derive
from .judging import fresh_seed, judge
from .late import due_dates
from .layout import astray, beside, check_layout, of_no_lesson_here
from .library import library_setting
from .records import write_json
from .releases import Release, choose
from .results import printable
from .rules import ClassRules
from .sandbox import Sandbox, SandboxMissing
from .steps import write_outputs
from .submission import read_submission, rebuild
from .version import checks_version

PAUSES = (0.0, 0.2, 2.0)  # before each try to record: somebody else may be at the gradebook
# What a result on record must agree in with this run, to stand.
HOW = ("checks", "sandbox", "library")
AWAY = "no file is there now; what is on record stays"
STANDS = "What is on record is as it was; the same command goes on where this one stopped"
NOT_EVIDENCE = "its timestamp.txt does not count; who may say when it came: ClassRules.times"


@dataclass
class Report:
    """What a grading run did; the grades themselves are in `out/grades_long.csv`."""

    students: int
    lessons: list[str]
    against: list[str] = field(default_factory=list)  # the newest release of each lesson
    judged: int = 0  # submissions run now, not taken from an earlier run
    handed_in: int = 0  # submissions that lie there, readable or not
    missing: int = 0  # neither handed in nor on record
    unreadable: int = 0
    not_graded: list[str] = field(default_factory=list)  # submissions the grader failed at
    problems: list[str] = field(default_factory=list)  # why, and what else somebody must look at
    kept: list[str] = field(default_factory=list)  # what this run would have changed, and did not
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
        GradingError: there is nothing to grade, what there is does not lie where it is looked
            for, or there is no place to write to.
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
    chosen = students if student is None else {student: students[student]}
    check_layout(submitted, chosen, lessons)
    with open_folder(out, submitted) as before, told(STANDS):
        rules = ClassRules(root, config=nbgrader_settings(root))
        rules.check()
        due_before = before.get("due", {})
        of_file_before = before.get("of_file", [])
        known = {key: each for key, each in due_before.items() if key not in of_file_before}
        due = due_dates(root, known)
        # Everybody in a run meets the same inputs, and an interrupted run is still the same run.
        seed = before["seed"] if before.get("state") == "running" else fresh_seed()
        about = {"seed": seed, "checks": checks_version(), "sandbox": sandbox}
        about["library"] = library_setting(root)
        dates = {"due": due, "of_file": sorted(read_deadlines(root).as_entries())}
        write_settings(out, root)
        book = ClassGradebook(out, root=root, due=due, due_before=due_before)
        report = Report(students=len(chosen), lessons=lessons, kept=book.follow_course())
        write_json(out / "run.json", {"state": "running", **about, **dates})

        work = [
            _Work(name, each, notebook_in(folder / each, each))
            for each in lessons
            for name, folder in chosen.items()
        ]
        run = _Run(submitted, students, out, root, about, again, rules, book, report)
        run.grade(work, workers, progress)
        if student is None:
            run.enter_roster(roster(root))
        derived = derive(book, out, students, root, fresh=run.fresh)
        report.kept = list(dict.fromkeys([*report.kept, *derived.to_decide]))
        report.problems += derived.problems
        report.problems += beside(submitted)
        if lesson is None:
            report.problems += of_no_lesson_here(chosen, lessons)
        if not report.handed_in and not report.not_graded:
            report.problems.append(f"nobody here has handed in {', '.join(lessons)}")
        report.seconds = round(time.perf_counter() - started, 3)
        write_json(out / "run.json", {"state": "done", **about, **dates, **asdict(report)})
        return report


@dataclass(frozen=True)
class _Work:
    """One student's submission of one lesson."""

    student: str
    lesson: str
    path: Path

    def __str__(self) -> str:
        return f"{self.student} {self.lesson}"


@dataclass(frozen=True)
class _Outcome:
    """What a worker found: a notebook to enter, or why there is none."""

    release: Release | None = None  # None where nothing lies in its place
    notebook: nbformat.NotebookNode | None = None  # with what the judge said in it
    timestamp: str = ""
    secret: str = ""
    is_unreadable: bool = False
    failure: str = ""  # what the grader failed at: then there is no score


class _Run:
    """One grading run: workers that judge, one writer that records."""

    def __init__(
        self, submitted, folders, out, root, about: Mapping, again, rules, book, report: Report
    ):
        self.submitted, self.folders, self.out = submitted, folders, out
        self.root, self.rules = root, rules
        self.about, self.again, self.book, self.report = about, again, book, report
        for lesson in report.lessons:
            newest, _ = choose(lesson, "", root)
            self.book.register(lesson, newest.notebook)
            report.against.append(f"{lesson} {newest.said(root)}")
        self.registered: set[tuple[str, str]] = set()
        self.on_record = book.on_record()
        self.fresh: set[tuple[str, str]] = set()  # whose feedback was written in this run
        self.walls = ExitStack()
        self.own = threading.local()
        self.has_wall = False  # has this machine put one up in this run?
        self.stopping = False

    def grade(self, work: list[_Work], workers: int, progress) -> None:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the workers are what runs in parallel
        self.walls.callback(torch.set_num_threads, n_threads)
        with self.walls:
            failed = []
            with closing(self._go_through(work, workers, progress)) as outcomes:
                for item, outcome in outcomes:
                    if outcome.failure:
                        failed.append(item)
                    else:
                        self.record(item, outcome)
            with closing(self._go_through(failed, 1, progress)) as outcomes:
                for item, outcome in outcomes:  # what was short may be there again
                    self.record(item, outcome)

    def enter_roster(self, students: list[str]) -> None:
        """Have everybody in the gradebook whom the course knows, handed in or not."""
        for student in students:
            self.book.add_student(student)
            if student not in self.folders:
                lessons = self.report.lessons
                self.report.missing += sum((student, one) not in self.on_record for one in lessons)

    def _go_through(self, work, workers: int, progress) -> Iterator[tuple[_Work, _Outcome]]:
        """The outcome of each submission, as it comes."""
        with ThreadPoolExecutor(workers, "worker") as pool:
            futures = {pool.submit(self.judge_submission, item): item for item in work}
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    item = futures.pop(future)  # and with it the notebook that it returned
                    yield item, future.result()
                    if progress:
                        progress(done, len(work), str(item))
            except BaseException:
                self.stopping = True
                pool.shutdown(cancel_futures=True)
                raise

    def judge_submission(self, item: _Work) -> _Outcome:
        """A submission read, put into its release and judged, unless it stands so on record."""
        release, found = None, {}
        try:
            if not lies_there(item.path, top=self.submitted):
                return _Outcome(failure=astray(item.path.parents[1], item.lesson))
            submission = read_submission(item.path)
            release, note = self.rules.release_for(item.lesson, submission.release)
            note = "; ".join(filter(None, [note, note_of(item.path, item.lesson)]))
            notebook = rebuild(release.notebook, submission, "" if submission.reason else note)
            found = {"timestamp": submission.timestamp, "secret": submission.secret}
            found["is_unreadable"] = bool(submission.reason)
            if not self.again and self._stands(item, notebook):
                return _Outcome(release, **found)
            how = {key: self.about[key] for key in ("seed", "sandbox", "library")}
            components = judge(notebook, self._observe, **how)
            judged = nbformat.from_dict(notebook)
            write_outputs(judged, {**self.about, "components": components})
            return _Outcome(release, judged, **found)
        except (GradingError, CancelledError):
            raise
        except NotGraded as failure:
            return _Outcome(release, failure=printable(str(failure)), **found)
        except Exception as error:
            return _Outcome(release, failure=f"the grader failed: {in_words(error)}", **found)

    def _stands(self, item: _Work, notebook: Mapping) -> bool:
        """Whether this very submission is on record, judged by these checks in this way."""
        if (item.student, item.lesson) not in self.on_record:
            return False
        judged = self.book.judged(item.student, item.lesson)
        content = notebook["metadata"]["course"]["grading"]["content"]
        expected = {"content": content, **{key: self.about[key] for key in HOW}}
        return "components" in judged and all(judged.get(key) == expected[key] for key in expected)

    def record(self, item: _Work, outcome: _Outcome) -> None:
        """Enter what a worker found into the gradebook. What a person entered there stays."""
        self.report.unreadable += outcome.is_unreadable
        self.report.handed_in += outcome.release is not None
        failure = outcome.failure
        try:
            if outcome.notebook is not None:
                self._enter(item, outcome)
                self.report.judged += 1
            elif failure:
                pass
            elif outcome.release is None and (item.student, item.lesson) in self.on_record:
                self.report.kept.append(f"{item}: {AWAY}")
            elif outcome.release is None:
                self.report.missing += 1
                self.book.add_student(item.student)
            else:
                when = self._time(item, outcome)
                if when not in (None, self.on_record[item.student, item.lesson]):
                    self.book.note_time(item.student, item.lesson, when)
                self.book.note_secret(item.student, item.lesson, outcome.secret)
        except Exception as error:
            failure = f"it could not be recorded ({in_words(error)})"
        if failure:
            self.report.not_graded.append(str(item))
            self.report.problems.append(f"{item}: not graded: {failure}")

    def _enter(self, item: _Work, outcome: _Outcome) -> None:
        release = outcome.release
        if (item.lesson, release.hash) not in self.registered:
            newest, _ = choose(item.lesson, "", self.root)
            self.book.register(item.lesson, newest.notebook, release.notebook)
            self.registered.add((item.lesson, release.hash))
        when = self._time(item, outcome)
        for pause in PAUSES:
            time.sleep(pause)
            try:
                self.book.record(item.student, item.lesson, outcome.notebook, when, outcome.secret)
                break
            except Exception as error:
                failure = error
        else:
            raise failure
        try:
            self.book.write_feedback(item.student, item.lesson)
            self.fresh.add((item.student, item.lesson))
        except Exception:
            pass  # the grade stands; the page is tried again when everybody is recorded

    def _time(self, item: _Work, outcome: _Outcome):
        """When it was handed in, if somebody who may say so noted that."""
        try:
            when = self.rules.time_of(item.student, item.lesson, outcome.timestamp)
        except GradingError as error:
            self.report.problems.append(f"{item}: {error}")
            return None
        if outcome.timestamp and not self.rules.times and item.lesson in self.book.due:
            self.report.kept.append(f"{item}: {NOT_EVIDENCE}")
        return when

    def _observe(self, job: dict) -> Mapping:
        """Run a job in this worker's own sandbox, which opens with its first job."""
        if self.stopping:
            raise CancelledError
        if not hasattr(self.own, "wall"):
            self.own.wall = self._open_sandbox()
        reply = self.own.wall.observe(job)
        if self.stopping:
            raise CancelledError  # an interrupt may have reached the sandbox as well
        return reply

    def _open_sandbox(self) -> Sandbox:
        """A sandbox of this worker's own.

        Raises:
            GradingError: the first of all cannot be had: then this machine has no wall.
            NotGraded: others were there before.
        """
        try:
            wall = Sandbox(self.about["sandbox"], hide=(self.submitted, self.out, self.root))
            opened = self.walls.enter_context(wall)
        except SandboxMissing as missing:
            if self.has_wall:
                raise NotGraded(str(missing).partition("\n")[0]) from None
            raise GradingError(str(missing)) from None
        self.has_wall = True
        return opened
