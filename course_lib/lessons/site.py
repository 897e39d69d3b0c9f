"""Build the book with jupyter-book, warnings as errors, executing only what has changed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from filelock import FileLock

from .book_progress import complaints, progress
from .bug_pages import FOLDER, INDEX, bug_pages
from .text import lesson_texts, lesson_title

# What the pages import. Their text is part of the cache's path, because the execution cache
# does not see changes in imported modules.
IMPORTED_BY_PAGES = (
    *("transformer", "corpus", "bugs", "checks", "plots.py", "figures.py", "did_you_mean.py"),
    *("workspace", "lessons/source.py", "files.py"),  # lesson 12 exports a package
)
# What decides over the messages of the checks.
IMPORTED_BY_ZOO = ("transformer", "corpus", "bugs", "checks", "zoo.py")


class BookFailed(RuntimeError):
    """jupyter-book reported warnings or errors; its own output says which."""


def build_book(root: Path, *, say: Callable[[str], None] = print) -> Path:
    """Build the site of `root/book` in `root/_build/html` and return its first page.

    Args:
        say: hears of each page that is read, run and written.

    Raises:
        BookFailed: a cell raised, a reference is broken, or anything else was warned about.
    """
    work = root / "_build"
    work.mkdir(exist_ok=True)
    with FileLock(work / "building.lock"):  # two builds at once write over each other
        _stage(root, work, say)
        _configure(root, work)
        command = [
            "jupyter-book", "build", str(work / "source"), "--path-output", str(root),
            "--config", str(work / "book_config.yml"), "--toc", str(work / "source/_toc.yml"),
            "-W", "-n", "--keep-going",
        ]  # fmt: skip
        # Pages print in the terminal's language otherwise, and a book build promotes nothing.
        _run(command, root, say, COURSE_BOOK_BUILD="1", PYTHONHASHSEED="0", PYTHONUNBUFFERED="1")
    html = work / "html"
    # Sphinx copies these only when a page has changed as well.
    shutil.copytree(root / "book" / "_static", html / "_static", dirs_exist_ok=True)
    return html / "index.html"


def _run(command: list[str], root: Path, say: Callable[[str], None], **variables: str) -> None:
    """Run a program of this environment; what it tells about pages is said as it comes."""
    programs = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    said = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            [str(programs / command[0]), *command[1:]],
            cwd=root,
            env=os.environ | {"PATH": path} | variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout:
                said.append(line)
                if told := progress(line):
                    say(told)
        if process.returncode:
            errors.seek(0)
            why = complaints(errors.read()) or "".join(said)
            raise BookFailed(f"the book did not build.\n{why}")


def _stage(root: Path, work: Path, say: Callable[[str], None] = print) -> None:
    """Bring together what Sphinx reads: links to the pages in `book/`, and pages about bugs.

    Files are touched only where they change, since Sphinx reads again what is newer.
    """
    book, source = root / "book", work / "source"
    source.mkdir(exist_ok=True)
    contents = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    made, lessons = {}, {path.stem: path for path in lesson_texts(book)}
    for chapter in contents.get("chapters", ()):
        if lesson := lessons.get(chapter["file"]):
            # The texts speak of lessons by their numbers: the sidebar says which is which.
            chapter["title"] = f"{int(lesson.stem[:2])}. {lesson_title(lesson)}"
        if chapter["file"] == INDEX:
            made = bug_pages(_zoo(root, work, say), book)
            chapter["sections"] = [
                {"file": name, "title": name.removeprefix(f"{FOLDER}/")}
                for name in made
                if name != INDEX
            ]
    texts = {f"{name}.md": text for name, text in made.items()}
    texts["_toc.yml"] = yaml.safe_dump(contents, sort_keys=False)
    originals = [path.name for path in book.iterdir() if path.name not in texts]
    wanted = {*originals, *texts, FOLDER}
    for path in [*source.glob("*"), *source.glob(f"{FOLDER}/*")]:
        if path.relative_to(source).as_posix() not in wanted:
            path.unlink()
    for name in originals:
        if not (source / name).is_symlink():
            (source / name).symlink_to(os.path.relpath(book / name, source))
    for name, text in texts.items():
        _write(source / name, text)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _zoo(root: Path, work: Path, say: Callable[[str], None] = print) -> list[dict]:
    """All bugs with their checks' messages: computed once, then kept until the code changes."""
    package = root / "course_lib"
    path = work / "executed" / "zoo" / f"{_digest(package, IMPORTED_BY_ZOO)}.json"
    if not path.exists():
        say("Running the check of every bug, for the pages about them: a minute or two.")
        _run(["python", "-m", "course_lib.zoo", str(path)], root, say, OMP_NUM_THREADS="1")
    return json.loads(path.read_text(encoding="utf-8"))


def _configure(root: Path, work: Path) -> None:
    """Write the book's configuration, with the cache's path in it, beside what is built."""
    settings = yaml.safe_load((root / "book" / "_config.yml").read_text(encoding="utf-8"))
    cache = work / "executed" / _digest(root / "course_lib", IMPORTED_BY_PAGES)
    settings["execute"]["cache"] = str(cache)
    _write(work / "book_config.yml", yaml.safe_dump(settings, sort_keys=False))


def _digest(package: Path, names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        part = package / name
        for path in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
