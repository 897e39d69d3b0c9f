"""`course export`: a learner's transformer as a package that stands alone.

What they wrote goes out as they wrote it. What was given, or is still borrowed, is written into it
and marked as given (`alone.py`), so that numpy and torch are all it needs. With it go a way to
train it and to let it write, the course's stories, and the weights of a run if there is one.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib.corpus import stories
from course_lib.lessons.exercises import lesson_names, read_exercises, read_notebook
from course_lib.lessons.package_text import given_modules, read_package

from .alone import Alone, stand_alone
from .borrow import PACKAGE
from .folder import WorkspaceError, find_workspace
from .keep import write_folder
from .reading import imported_modules
from .trained import Trained, read_run, runs_in

OURS = "course_lib.transformer"
FOLDER = "my-gpt"
MODEL = "model.safetensors"
N_STORY_CHARACTERS, STORY_SEED = 1_000_000, 1  # the text that `course train` trains on

_TEMPLATES = Path(__file__).resolve().parent / "standalone"
_RUNNERS = ("train.py", "generate.py", "saved.py", "LICENSE")


@dataclass(frozen=True)
class Export:
    """What was exported, and whose it is."""

    folder: Path
    yours: tuple[str, ...]
    given: tuple[str, ...]  # components of the course's, because they are still borrowed
    missing: tuple[str, ...]  # neither: its module was made to borrow nothing
    kept: dict[str, str]  # files that somebody has changed, and that stay: where the new one lies
    model: Path | None  # the run whose weights went along
    is_trained: bool  # a model lies there: from that run, an earlier one, or train.py
    runs: tuple[Path, ...]  # runs that lie at hand, none of which was named
    needs: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a reader should know of it."""
        lines = [f"{self.folder} stands alone: it needs {_listed(self.needs)}."]
        lines.append(self._whose())
        if self.model is not None:
            lines.append(f"The weights of {self.model} went along.")
        elif self.runs:
            some = _listed([run.name for run in self.runs])
            lines.append(f"No weights went along: of the runs {some}, name one with --model.")
        elif not self.is_trained:
            lines.append("No weights went along: train.py makes them.")
        if self.model is None and self.is_trained:
            lines.append(f"{MODEL} was there already and stays as it is.")
        lines += [
            f"{name} was changed there and stays as it is; the new one lies beside it, {new}."
            for name, new in self.kept.items()
        ]
        if self.missing:
            lines.append(
                f"Not there at all: {_listed(self.missing)}. A module of yours neither writes nor "
                "borrows them; what uses them will not run."
            )
        first = [] if self.is_trained else ["  python train.py"]
        lines += ["Go on with:", f"  cd {shlex.quote(str(self.folder))}", *first]
        return "\n".join([*lines, "  python generate.py"])

    def _whose(self) -> str:
        """How many components are the learner's, in a sentence."""
        n, given = len(self.yours) + len(self.given) + len(self.missing), self.given
        if not self.yours:
            rest = "all are" if len(given) == n else f"{len(given)} are"
            return f"None of the {n} components is yours: {rest} given."
        if len(self.yours) == n:
            return f"All {n} components are yours. README.md lists what was given around them."
        which = f", {len(given)} {_are(given)} given: {_listed(given)}" if given else ""
        return f"{len(self.yours)} of {n} components {_are(self.yours)} yours{which}."

    def as_dict(self) -> dict:
        """The same as plain data."""
        return {
            "folder": str(self.folder),
            "yours": list(self.yours),
            "given": list(self.given),
            "missing": list(self.missing),
            "kept": list(self.kept),
            "model": None if self.model is None else str(self.model),
            "needs": list(self.needs),
        }


def export(
    folder: str | Path = FOLDER,
    *,
    package: str = PACKAGE,
    model: Path | None = None,
    directory: str | Path = ".",
) -> Export:
    """Write a package that stands alone into `folder`.

    Args:
        package: "my_transformer", the learner's in the workspace around `directory` (all of it
            borrowed, where there is none); or "course_lib.transformer", the course's own.
        model: a folder that `course train` wrote; the only one in the workspace if none is named.

    Raises:
        WorkspaceError: the package or the run cannot be read, or something else lies in `folder`.
    """
    if package not in (PACKAGE, OURS):
        raise WorkspaceError(f"package must be {PACKAGE} or {OURS}, got {package!r}.")
    home = find_workspace(directory) or Path(directory)
    sources = {} if package == OURS else _sources(home)
    exercises = [e for name in lesson_names() for e in read_exercises(read_notebook(name))]
    modules = _closed(sources, home, list(dict.fromkeys(e.module for e in exercises)))
    runs = tuple(runs_in(home)) if package == PACKAGE and model is None else ()
    if len(runs) == 1:
        model, runs = runs[0], ()
    trained = None if model is None else read_run(model)
    yours = tuple(e.component for e in exercises if e.component in modules[e.module].yours)
    given = tuple(e.component for e in exercises if e.component in modules[e.module].borrowed)
    named = (e.component for e in exercises)
    missing = tuple(name for name in named if name not in (*yours, *given))
    needs = ("numpy", "torch", *sorted({n for alone in modules.values() for n in alone.needs}))
    files = {f"{PACKAGE}/{name}.py": alone.text.encode() for name, alone in modules.items()}
    files |= {name: (_TEMPLATES / name).read_bytes() for name in _RUNNERS}
    files["stories.txt"] = stories(N_STORY_CHARACTERS, seed=STORY_SEED).encode()
    whose = _whose_words(yours, given, len(exercises))
    files["README.md"] = _readme(modules, whose, needs, trained).encode()
    if trained:
        files[MODEL] = trained.content
    folder = Path(folder).expanduser()
    written = write_folder(folder, files)
    is_trained = (folder / MODEL).is_file()
    return Export(folder, yours, given, missing, written.kept, model, is_trained, runs, needs)


def _sources(home: Path) -> dict[str, str]:
    """The learner's modules; none where there is no package, and all is borrowed."""
    if not (home / PACKAGE).exists():
        return {}
    found = read_package(home / PACKAGE)
    if found.reason:
        raise WorkspaceError(f"{found.reason}: mend it, then export again.")
    return found.modules


def _closed(sources: Mapping[str, str], home: Path, lessons: list[str]) -> dict[str, Alone]:
    """Every module of the export: the lessons', the learner's own, and what these import."""
    ours = given_modules()
    wanted = ["__init__", *lessons, *sorted(name for name in sources if name not in ours)]
    done: dict[str, Alone] = {}
    for name in wanted:  # it grows
        if name in done:
            continue
        done[name] = stand_alone(name, sources.get(name))
        for imported in sorted(imported_modules(done[name].text)):
            package, _, inside = imported.partition(".")
            part = inside.partition(".")[0]
            if package != PACKAGE or not part:
                continue
            if part in ours or part in sources:
                wanted.append(part)
            elif (home / PACKAGE / part).is_dir():
                raise WorkspaceError(
                    f"{name}.py imports {PACKAGE}.{part}, which is a folder, and only modules are "
                    "exported: put what is in it into one file."
                )
    return done


def _whose_words(yours, given, n: int) -> str:
    if yours:
        was = "was" if len(yours) == 1 else "were"
        return f"{len(yours)} of {n} components {was} written by the learner whose model this is."
    whose = "all are the course's" if len(given) == n else f"{len(given)} are the course's"
    return f"None of the {n} components was written by a learner: {whose}."


def _readme(modules, whose: str, needs, trained: Trained | None) -> str:
    rows = []
    for name, alone in modules.items():
        rows.append(f"### {PACKAGE}/{name}.py\n")
        if alone.yours:
            rows.append(f"- written by the learner: {_named(alone.yours)}")
        if alone.borrowed:
            rows.append(f"- given, still borrowed: {_named(alone.borrowed)}")
        if alone.given:
            rows.append(f"- given: {_named(alone.given)}")
        if not (alone.yours or alone.borrowed or alone.given):
            rows.append("- written by the learner, all of it")
        rows.append("")
    text = (_TEMPLATES / "README.md").read_text("utf-8")
    about = (
        f"`{MODEL}` holds weights after {trained.step} steps of training, with their vocabulary: "
        "`generate.py` writes at once, and `train.py --out FILE` trains others.\n"
        if trained
        else f"`train.py` makes `{MODEL}`, which `generate.py` reads.\n"
    )
    return text.format(
        needs=_listed(needs),
        trained=about,
        whose=whose,
        modules="\n".join(rows).rstrip(),
    )


def _named(names) -> str:
    return ", ".join(name if name == "imports" else f"`{name}`" for name in names)


def _are(names) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names) -> str:
    """`a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
