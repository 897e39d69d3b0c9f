"""Build the book with jupyter-book, warnings as errors, executing only what has changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from filelock import FileLock

# What the pages import. Their text is part of the cache's path, because the execution cache
# does not see changes in imported modules.
IMPORTED_BY_PAGES = ("transformer", "corpus", "bugs", "checks", "plots.py", "figures.py")


class BookFailed(RuntimeError):
    """jupyter-book reported warnings or errors; its own output says which."""


def build_book(root: Path, *, quiet: bool = False) -> Path:
    """Build the site of `root/book` and return its first page.

    Raises:
        BookFailed: a cell raised, a reference is broken, or anything else was warned about.
    """
    work = root / "_build"
    config = _configuration(root, work)
    command = [
        str(Path(sys.executable).parent / "jupyter-book"), "build", str(root / "book"),
        "--path-output", str(work), "--config", str(config), "--toc", str(root / "book/_toc.yml"),
        "-W", "-n", "--keep-going",
    ]  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # Pages print in the terminal's language otherwise, and a book build promotes nothing.
    environment = os.environ | {"PATH": path, "COURSE_BOOK_BUILD": "1", "PYTHONHASHSEED": "0"}
    with FileLock(work / "building.lock"):  # two builds at once write over each other
        done = subprocess.run(command, cwd=root, env=environment, capture_output=quiet, text=True)
    if done.returncode:
        raise BookFailed(f"the book did not build.\n{(done.stdout or '')}{(done.stderr or '')}")
    html = work / "_build" / "html"
    # Sphinx copies these only when a page has changed as well.
    shutil.copytree(root / "book" / "_static", html / "_static", dirs_exist_ok=True)
    return html / "index.html"


def _configuration(root: Path, work: Path) -> Path:
    """The book's configuration with the cache's path in it, written beside what is built."""
    settings = yaml.safe_load((root / "book" / "_config.yml").read_text(encoding="utf-8"))
    settings["execute"]["cache"] = str(work / "executed" / _digest(root / "course_lib"))
    work.mkdir(exist_ok=True)
    config = work / "book_config.yml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return config


def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for name in IMPORTED_BY_PAGES:
        part = package / name
        for path in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
