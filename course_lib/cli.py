"""`course …`: parsing and printing only. Everything heavy is imported by the command that needs it.

Exit status: 0 done, 1 a check or a grading run found failures, 2 wrong usage or bad input.
"""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from course_lib import __version__
from course_lib.lines import fitted

FOLDER = click.Path(path_type=Path, file_okay=False)
SEED = click.IntRange(0, 2**63 - 1)


# Who needs a command, in the order of `course --help`; the last are for all others.
TO_LEARN = (
    "start",
    "lab",
    "check",
    "watch",
    "hint",
    "status",
    "solution",
    "reset",
    "submit",
    "update",
)
WITH_A_MODEL = ("train", "generate", "export", "bench")
TO_TEACH = "To teach, and to write lessons"


class Commands(click.Group):
    """All commands, on any terminal: no colour where NO_COLOR asks for none, and `?` in place of a
    character that the encoding does not have."""

    def format_commands(self, context, formatter):
        others = [name for name in self.commands if name not in (*TO_LEARN, *WITH_A_MODEL)]
        parts = {"To learn": TO_LEARN, "With a model": WITH_A_MODEL, TO_TEACH: others}
        for title, names in parts.items():
            with formatter.section(title):
                formatter.write_dl([(n, self.commands[n].get_short_help_str(200)) for n in names])

    def main(self, *args, **options):
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        if os.environ.get("NO_COLOR"):
            options.setdefault("color", False)
        return super().main(*args, **options)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="course")
def main():
    """Build a transformer: read it, write it, have it graded."""


def fail(error) -> click.ClickException:
    """An error as one line on stderr, and exit status 2."""
    begin = "Error: "  # click's
    text = _fitted(begin + str(error), sys.stderr).removeprefix(begin)
    failure = click.ClickException(text)
    failure.exit_code = 2
    return failure


def _fitted(text: str, stream) -> str:
    """The text as the terminal takes it; as it is where nobody sees it."""
    return fitted(text, shutil.get_terminal_size().columns) if stream.isatty() else text


# --- for learners ---


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
def start(directory):
    """Make DIRECTORY: the notebooks, and a package of your own."""
    from course_lib.workspace.folder import WorkspaceError
    from course_lib.workspace.start import start as make

    try:
        made = make(directory)
    except WorkspaceError as error:
        raise fail(error) from None
    click.echo(f"{made} is ready. Go on with:\n  cd {shlex.quote(str(made))}\n  course lab")


@main.command()
@click.argument("lesson", required=False)
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
def lab(lesson, directory):
    """Open JupyterLab at the exercise that comes next, or at LESSON, such as 3."""
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.lab import notebook_to_open, open_lab

    try:
        notebook = notebook_to_open(require_workspace(directory), lesson)
        click.echo(f"Opening {notebook.name}. Ctrl-C here stops JupyterLab.")
        raise SystemExit(open_lab(notebook))
    except WorkspaceError as error:
        raise fail(error) from None


@main.command()
@click.argument("components", nargs=-1)
@click.option("--seed", type=SEED, help="Repeat the inputs of another run.")
@click.option("--device", default="cpu", show_default=True, help="Where to run, such as cuda.")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def check(components, seed, device, directory, as_json):
    """Check COMPONENTS of your package, or all that you have written."""
    from course_lib.models import ModelError
    from course_lib.models.hardware import choose_device
    from course_lib.workspace.folder import WorkspaceError
    from course_lib.workspace.terminal import NothingToCheck, check_package

    try:
        device = str(choose_device(device))
    except ModelError as error:
        raise fail(error) from None
    try:
        results = list(check_package(directory, components, seed=seed, device=device))
    except NothingToCheck as nothing:
        click.echo(json.dumps([]) if as_json else str(nothing))
        return
    except (LookupError, WorkspaceError) as error:
        raise fail(error.args[0]) from None
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results], indent=1))
    else:
        for result in results:
            text = _fitted(result.text, sys.stdout)
            click.secho(text, fg="green" if result.passed else "red")
    if not all(result.passed for result in results):
        raise SystemExit(1)


@main.command()
@click.option("--all", "show_all", is_flag=True, help="Every part, and whose it is.")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def status(show_all, directory, as_json):
    """How far you are, how much of the model is yours, and what comes next."""
    from dataclasses import asdict

    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.next_step import lessons
    from course_lib.workspace.screen import every_part, screen, signs_for

    try:
        found = lessons(require_workspace(directory))
    except WorkspaceError as error:
        raise fail(error) from None
    if as_json:
        rows = [asdict(row) for lesson in found for row in lesson.parts]
        click.echo(json.dumps(rows, indent=1))
        return
    show = every_part if show_all else screen
    for line in show(found, signs_for(sys.stdout.encoding)):
        click.secho(line, bold=line.startswith("Next:"))


@main.command()
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
def watch(directory):
    """Check what you save, notebook or module, as you save it."""
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.watch import watch as wait_and_judge

    def show(lines):
        click.clear()
        for line in lines:
            click.secho(line, fg={"right": "green", "WRONG": "red"}.get(line[:5]))

    if not sys.stdin.isatty():
        raise fail("course watch is for a terminal, where keys can be pressed.")
    try:
        wait_and_judge(require_workspace(directory), show=show, key=click.getchar)
    except WorkspaceError as error:
        raise fail(error) from None


@main.command()
@click.argument("component")
@click.option("--anyway", is_flag=True, help="Also where yours is not right yet.")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
def solution(component, anyway, directory):
    """Our way to write COMPONENT beside yours, once yours is right."""
    from course_lib.lessons.exercises import UnknownExercise
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.solution import solution as compare

    try:
        found = compare(require_workspace(directory), component, anyway=anyway)
    except (UnknownExercise, WorkspaceError) as error:
        raise fail(error.args[0]) from None
    colours = {"-": "red", "+": "green"} if found.theirs is not None else {}
    for line in found.lines():
        click.secho(line, fg=colours.get(line[:1]))


@main.command()
@click.argument("component")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
def reset(component, directory):
    """Begin COMPONENT again, in your package and in its notebook. What you had is kept."""
    from course_lib.lessons.exercises import UnknownExercise
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.reset import reset as take_back

    try:
        workspace = require_workspace(directory)
        click.echo(take_back(workspace, component).text(workspace))
    except (UnknownExercise, WorkspaceError) as error:
        raise fail(error.args[0]) from None


@main.command()
@click.argument("lesson")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def submit(lesson, directory, as_json):
    """Pack LESSON, such as 3, into an archive to hand in, and say what is unfinished."""
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.next_step import lesson_called
    from course_lib.workspace.submit import submit as pack

    try:
        workspace = require_workspace(directory)
        receipt = pack(workspace, lesson_called(lesson))
    except WorkspaceError as error:
        raise fail(error) from None
    click.echo(json.dumps(receipt.as_dict(), indent=1) if as_json else receipt.text(workspace))


@main.command()
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
def update(directory):
    """Bring newer lessons into your folder. What you wrote stays."""
    from course_lib.workspace.folder import WorkspaceError, require_workspace
    from course_lib.workspace.update import update as bring

    try:
        done = bring(require_workspace(directory))
    except WorkspaceError as error:
        raise fail(error) from None
    click.echo("\n".join(one.text for one in done) or "Every lesson is up to date.")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default="my-gpt")
@click.option("--model", type=FOLDER, help="A run of `course train` whose weights go along.")
@click.option("--package", help="course_lib.transformer: the course's own model instead of yours.")
@click.option("--directory", "-C", type=FOLDER, default=Path("."), help="Your folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def export(folder, model, package, directory, as_json):
    """Write your model into FOLDER as a package that needs numpy and torch alone."""
    from course_lib.workspace.borrow import PACKAGE
    from course_lib.workspace.export import export as write
    from course_lib.workspace.folder import WorkspaceError, require_workspace

    try:
        if package in (None, PACKAGE):
            require_workspace(directory)
        made = write(folder, package=package or PACKAGE, model=model, directory=directory)
    except WorkspaceError as error:
        raise fail(error) from None
    click.echo(json.dumps(made.as_dict(), indent=1) if as_json else made.text)


@main.command()
@click.argument("component")
@click.argument("number", type=click.IntRange(min=1), default=1)
def hint(component, number):
    """Hint NUMBER for COMPONENT: 1 is a nudge, the last is nearly the answer."""
    from course_lib.lessons.exercises import UnknownExercise, require_exercise

    try:
        hints = require_exercise(component).hints
    except UnknownExercise as error:
        raise fail(error.args[0]) from None
    if number > len(hints):
        raise fail(f"{component} has {len(hints)} hints, got {number}.")
    click.echo(_fitted(hints[number - 1], sys.stdout))
    if number < len(hints):
        click.secho(f"More: course hint {component} {number + 1}", dim=True)


# --- for models ---


def _train_flags(command):
    """A flag for every setting of a training run; what is not given stays out of `flags`."""
    from course_lib.models.settings import SETTINGS

    for about in reversed(SETTINGS):
        flag = "--" + about.name.replace("_", "-")
        text = f"{about.metadata['about']}  [default: {about.metadata['default']}]"
        if about.type is bool:
            option = click.option(f"{flag}/--no-{flag[2:]}", about.name, default=None, help=text)
        else:
            option = click.option(flag, about.name, type=about.type, help=text)
        command = option(command)
    return command


_PACKAGE = click.option(
    "--package", help="Whose model: a package, by default yours where you are in your folder."
)


@main.command()
@click.option("--out", type=FOLDER, required=True, help="Where checkpoints and curves go.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings in a TOML file.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@_PACKAGE
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@_train_flags
def train(out, config, resume, package, as_json, **flags):
    """Train a GPT on a text. Flags override the TOML file; both override the defaults."""
    from course_lib.models import ModelError
    from course_lib.models.terminal import train_here

    flags = {name: value for name, value in flags.items() if value is not None}
    try:
        outcome = train_here(flags, config, out, resume, _package(package), quiet=as_json)
    except ModelError as error:
        raise fail(error) from None
    if as_json:
        click.echo(json.dumps(outcome, indent=1))


@main.command()
@click.option("--model", type=FOLDER, help="A folder that `course train` wrote.")
@click.option("--gpt2", type=FOLDER, help="A folder with Hugging Face's GPT-2 instead.")
@click.option("--prompt", multiple=True, help="Where the text begins; several make a batch.")
@click.option("--n-new", type=int, default=200, show_default=True, help="Tokens to write.")
@click.option("--samples", type=click.IntRange(min=1), default=1, help="Texts for each prompt.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0: the likeliest.")
@click.option("--top-k", type=int, help="Choose among this many.")
@click.option("--top-p", type=float, help="Choose among those that make up this share.")
@click.option("--stop", help="End before this text.")
@click.option("--seed", type=SEED, help="Repeat a text.")
@click.option(
    "--cache/--no-cache", default=True, help="Keep keys and values while the text fits the context."
)
@click.option("--device", default="auto", show_default=True, help="Such as cpu or cuda.")
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or auto.")
@click.option("--attention", default="fused", show_default=True, help="Ours: fused or explicit.")
@_PACKAGE
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def generate(model, gpt2, package, as_json, **how):
    """Write text with a trained model.

    Past the model's context a text goes on from its end, as much of it as the context holds; that
    is read again for every token, which takes longer.
    """
    from course_lib.models import ModelError
    from course_lib.models.terminal import generate_here

    if (model is None) == (gpt2 is None):
        raise fail("give a model: either --model DIR or --gpt2 DIR.")
    try:
        texts = generate_here(model, gpt2, _package(package), quiet=as_json, **how)
    except ModelError as error:
        raise fail(error) from None
    if as_json:
        click.echo(json.dumps(texts, indent=1))  # in ASCII: no terminal's encoding changes it


@main.command()
@click.argument("workloads", nargs=-1)
@click.option("--out", type=FOLDER, help="Write the table, the numbers and pictures here.")
@click.option("--rounds", type=click.IntRange(min=2), default=15, show_default=True)
@click.option("--device", default="auto", show_default=True, help="Such as cpu or cuda.")
@_PACKAGE
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def bench(workloads, out, rounds, device, package, as_json):
    """Time our model, or yours, beside Hugging Face's GPT-2: WORKLOADS by name, or all."""
    from course_lib.models import ModelError
    from course_lib.models.terminal import bench_here

    try:
        measured = bench_here(workloads, out, _package(package), rounds, device, quiet=as_json)
    except ModelError as error:
        raise fail(error) from None
    if as_json:
        click.echo(json.dumps(measured, indent=1))


def _package(name: str | None) -> str:
    """The package to run: the one named, else the learner's where we are in their folder."""
    from course_lib.workspace.borrow import PACKAGE
    from course_lib.workspace.folder import WorkspaceError, find_workspace

    try:
        workspace = find_workspace(Path.cwd())
    except WorkspaceError as error:
        raise fail(error) from None
    if workspace is not None and name in (None, PACKAGE):
        from course_lib.workspace.importing import use_package

        use_package(workspace)
        return PACKAGE
    if name == PACKAGE:
        raise fail(f"{PACKAGE} is in a folder made by `course start`: go there first.")
    return name or "course_lib.transformer"


# --- for instructors and authors ---


@main.command()
@click.argument("component", required=False)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def bugs(component, as_json):
    """The zoo: which property of its check catches each bug, and which bugs are named."""
    from dataclasses import asdict

    from course_lib.checks import UnknownComponent, find
    from course_lib.checks.verdict.matrix import matrix

    try:
        rows = list(matrix(component and find(component).name))
    except UnknownComponent as error:
        raise fail(error.args[0]) from None
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        heading = None
        for row in rows:
            if row.component != heading:
                heading = row.component
                click.secho(f"{row.lesson} · {row.component}", bold=True)
            mark = "named " if row.is_named else "caught" if row.caught_by else "MISSED"
            click.echo(f"  {mark}  {row.title}")
            for rule in row.caught_by:
                click.secho(f"            {rule}", dim=True)
        named = sum(row.is_named for row in rows)
        caught = sum(bool(row.caught_by) for row in rows)
        click.echo(f"{len(rows)} bugs, {caught} caught, {named} named.")
    if not all(row.caught_by for row in rows):
        raise SystemExit(1)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Name them, and run nothing.")
@click.option("--again", is_flag=True, help="Run anew, and compare with what is on record.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one for each core by default.")
def experiments(names, only_list, again, workers):
    """Run the book's experiments NAMES, or all whose code is not the one on record."""
    from course_lib.experiments import running
    from course_lib.experiments.page_code import BOOK

    _must_be_checkout(BOOK.parent)
    try:
        wanted = running.chosen(names)
    except running.UnknownExperiment as error:
        raise fail(error.args[0]) from None
    if only_list:
        for name, experiment in wanted.items():
            state = "" if running.is_current(name, experiment) else "  (has to be run)"
            click.echo(f"{experiment.lesson}  {name}{state}\n    {experiment.question}")
    elif again:
        differ = running.run_again(wanted, workers, click.echo)
        for line in differ:
            click.secho(line, fg="red")
        click.echo(f"{len(wanted)} run again, {len(differ)} differences from the record.")
        if differ:
            raise SystemExit(1)
    else:
        failed = running.bring_up_to_date(wanted, workers, click.echo)
        for line in failed:
            click.secho(line, fg="red")
        if failed:
            raise SystemExit(1)


@main.command("new-component")
@click.argument("name")
@click.argument("lesson")
@click.option(
    "--kind", type=click.Choice(["function", "class"]),
    help="By default a class where NAME begins with a capital.",
)  # fmt: skip
@click.option("--root", type=FOLDER, default=Path("."), help="The checkout.")
def new_component(name, lesson, kind, root):
    """Write the skeleton of all that adds the component NAME to LESSON.

    LESSON is a lesson, such as 05_residual_and_layernorm or 05; where it has two modules, the last
    of them. The name of a module chooses another.
    """
    from course_lib.lessons.skeletons.new_component import NewComponentError
    from course_lib.lessons.skeletons.new_component import new_component as write
    from course_lib.lessons.text import LessonError

    _must_be_checkout(root)
    kind = kind or ("class" if name[:1].isupper() else "function")
    try:
        written = write(root.resolve(), name, lesson, kind)
    except (NewComponentError, LessonError) as error:
        raise fail(error) from None
    click.echo(written.text)


@main.command()
@click.option("--root", type=FOLDER, default=Path("."), help="The checkout.")
def build(root):
    """Build exercises/ and solutions/ from the lessons' text."""
    from course_lib.bugs import misfits
    from course_lib.lessons.build import build as build_notebooks
    from course_lib.lessons.text import LessonError

    _must_be_checkout(root)
    if wrong := misfits():
        raise fail("bugs that do not fit their components:\n" + "\n".join(wrong))
    try:
        changed = build_notebooks(root, say=click.echo)
    except LessonError as error:
        raise fail(error) from None
    click.echo(f"{len(changed)} files changed." if changed else "Nothing has changed.")


@main.command()
@click.option("--root", type=FOLDER, default=Path("."), help="The checkout.")
def book(root):
    """Build the book, warnings as errors."""
    from course_lib.lessons.site import BookFailed, build_book

    _must_be_checkout(root)
    try:
        page = build_book(root.resolve(), say=click.echo)
    except BookFailed as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The book: {page}")


@main.command()
@click.argument("lesson")
@click.option("--root", type=FOLDER, default=Path("."), help="The checkout.")
def release(lesson, root):
    """Register LESSON in the gradebook and freeze it, for a class that begins now."""
    from course_lib.grading import GradingError
    from course_lib.grading.releases import release as freeze

    try:
        frozen = freeze(lesson, root.resolve())
    except GradingError as error:
        raise fail(error) from None
    click.echo(f"{lesson} is released as {frozen.hash}. Hand out exercises/{lesson}/.")
    if frozen.number > 1:
        click.echo(
            "Notebooks of earlier releases count only if ClassRules.older_releases in "
            "nbgrader_config.py names them."
        )


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--submitted", type=FOLDER, required=True, help="Where they go: for course grade.")
@click.option(
    "--from", "platform",
    type=click.Choice(["canvas", "moodle", "gradescope", "classroom50", "nbgrader", "folders"]),
    help="Who laid SOURCES out; found out where it can be. classroom50: GitHub Classroom too.",
)  # fmt: skip
@click.option("--lesson", help="What SOURCES are about, such as 2, where no name in them says it.")
@click.option("--roster", type=click.Path(path_type=Path), help="The class's list, as a CSV.")
@click.option("--key", help="The column of --roster that folders are named after.")
@click.option("--replace", is_flag=True, help="Also where it may not be newer than what is there.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def collect(sources, submitted, platform, lesson, roster, key, replace, as_json):
    """Sort a platform's downloads, SOURCES, for course grade.

    Each of SOURCES is a folder or a zip archive, as the platform gave it; it is not changed. Of
    several submissions the newest is taken. What was not understood is said, and makes exit
    status 1.
    """
    from dataclasses import asdict

    from course_lib.platforms import PlatformError
    from course_lib.platforms.collecting import collect as sort
    from course_lib.platforms.telling import of_collecting

    try:
        report = sort(
            sources, submitted, platform=platform, lesson=_lesson(lesson), roster=roster, key=key,
            replace=replace,
        )  # fmt: skip
    except PlatformError as error:
        raise fail(error) from None
    if as_json:
        click.echo(json.dumps(asdict(report), indent=1))
    else:
        for line in of_collecting(report, submitted):
            click.echo(line)
    for line in report.not_understood:
        click.secho(f"Not taken: {line}", fg="red", err=True)
    if report.not_understood:
        raise SystemExit(1)


@main.command()
@click.option("--submitted", type=FOLDER, required=True, help="DIR/<student>/<lesson>/….ipynb")
@click.option("--out", type=FOLDER, required=True, help="Where the grades go.")
@click.option("--lesson", help="Only this lesson.")
@click.option("--student", help="Only this student.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--sandbox", type=click.Choice(["bubblewrap", "none"]), default="bubblewrap", show_default=True,
    help="none runs submissions without a wall: only on a machine you can throw away.",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Judge also what has not changed.")
@click.option("--root", type=FOLDER, default=Path("."), help="The course, with releases/.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def grade(submitted, out, lesson, student, workers, sandbox, again, root, as_json):
    """Grade a class: scores, feedback and diagnoses."""
    from dataclasses import asdict

    from course_lib.grading import GradingError
    from course_lib.grading.records import read_grades
    from course_lib.grading.run import grade_class
    from course_lib.grading.table import print_table, progress_bar

    try:
        with progress_bar(hidden=as_json) as progress:
            report = grade_class(
                submitted, out, lesson=lesson, student=student, workers=workers, sandbox=sandbox,
                root=root, again=again, progress=progress,
            )  # fmt: skip
    except GradingError as error:
        raise fail(error) from None
    except KeyboardInterrupt:
        raise fail("interrupted; the same command goes on where it stopped.") from None
    if as_json:
        grades = read_grades(out / "grades_long.csv")
        click.echo(json.dumps({**asdict(report), "grades": grades}, indent=1))
    else:
        print_table(out / "grades_long.csv")
        click.echo(
            f"{report.students} students, {report.judged} submissions judged now, "
            f"in {report.seconds:.1f} s."
        )
        click.echo(f"Against:  {'; '.join(report.against)}")
        click.echo(f"Grades:   {out / 'grades_long.csv'}")
        click.echo(f"Feedback: {out / 'feedback'}")
        for line in report.kept:
            click.secho(f"Left as it is: {line}", fg="yellow", err=True)
    for problem in report.problems:
        click.secho(problem, fg="red", err=True)
    if report.not_graded:
        click.secho(
            f"Not graded, and without a score: {', '.join(report.not_graded)}. The same command "
            "tries them again; `course doctor` says what this machine lacks.", fg="red", err=True,
        )  # fmt: skip
    if report.problems:
        raise SystemExit(1)


@main.command("hand-back")
@click.option("--grades", type=FOLDER, required=True, help="What course grade --out wrote.")
@click.option(
    "--to", type=click.Choice(["canvas", "moodle", "gradescope", "classroom50", "csv"]),
    required=True, help="The platform; csv: tables of our own.",
)  # fmt: skip
@click.option("--out", type=FOLDER, required=True, help="Where the files go.")
@click.option("--lesson", help="Which lesson, such as 2, where there are grades of several.")
@click.option("--gradebook", type=click.Path(path_type=Path), help="What the platform exported.")
@click.option("--column", help="Its column for the scores, where it is not found.")
@click.option("--scale", is_flag=True, help="Bring scores to the points that the platform says.")
@click.option("--submitted", type=FOLDER, help="What course collect wrote: for who is who.")
@click.option("--roster", type=click.Path(path_type=Path), help="The same, from the class's list.")
@click.option("--key", help="The column of --roster that students' folders are named after.")
@click.option("--anonymous", is_flag=True, help="In --to csv, no names and no words.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def hand_back(as_json, lesson, **what):
    """Write scores and feedback as a platform takes them back.

    With --gradebook a copy of the platform's file with the scores in their column, and no other
    cell changed; with --submitted also a zip with the pages of feedback.
    """
    from dataclasses import asdict

    from course_lib.platforms import PlatformError
    from course_lib.platforms.handing_back import hand_back as write
    from course_lib.platforms.telling import of_handing_back

    try:
        written = write(lesson=_lesson(lesson), **what)
    except PlatformError as error:
        raise fail(error) from None
    if as_json:
        click.echo(json.dumps(asdict(written), indent=1, default=str))
    else:
        for line in of_handing_back(written):
            click.echo(line)


def _lesson(asked: str | None) -> str | None:
    """The lesson of this name or number, where one was given."""
    from course_lib.workspace.folder import WorkspaceError
    from course_lib.workspace.next_step import lesson_called

    try:
        return asked and lesson_called(asked)
    except WorkspaceError as error:
        raise fail(error) from None


@main.command()
@click.option("--out", type=FOLDER, required=True, help="Where the grades went.")
@click.option("--browser/--no-browser", default=True, help="Open it, or only say where it is.")
@click.option("--port", type=click.IntRange(1, 65535), help="By default a free one.")
def formgrader(out, browser, port):
    """Open nbgrader's formgrader on a class that was graded: marks, comments, extra credit."""
    from course_lib.grading import GradingError
    from course_lib.grading.formgrader import run

    try:
        raise SystemExit(run(out, browser=browser, port=port))
    except GradingError as error:
        raise fail(error) from None


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def doctor(as_json):
    """Can this machine grade? What of the wall around submissions stands, by trying it."""
    from dataclasses import asdict

    from course_lib.grading.doctor import examine, is_trusted

    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            mark = "✓" if finding.stands else "!" if finding.needed else "·"
            click.echo(f"  {mark} {finding.name:<23} {finding.said}")
            if not finding.stands and finding.advice:
                click.echo(f"      {finding.advice.strip()}")
    trusted = is_trusted(findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"trusted": trusted, "findings": found}, indent=1))
    elif trusted:
        click.echo("Grades from this machine can be trusted.")
    else:
        click.secho("Do not grade here: what is marked with ! is missing.", fg="red")
    if not trusted:
        raise SystemExit(1)


@main.command("sample-class")
@click.argument("folder", type=FOLDER)
def sample_class(folder):
    """Make a class in FOLDER: right, blank, wrong, dishonest and broken submissions."""
    from course_lib.grading.sample_class import make_sample_class

    try:
        students = make_sample_class(folder)
    except OSError as error:
        raise fail(f"{folder} must be a folder that can be written to: {error.strerror}.") from None
    click.echo(f"{len(students)} students handed in to {folder}")


def _must_be_checkout(root: Path) -> None:
    if not (root / "book").is_dir() or not (root / "course_lib").is_dir():
        raise fail(
            f"{root.resolve()} holds no book/ and course_lib/: run this at the root of a checkout."
        )
