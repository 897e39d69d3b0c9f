"""Where copies of the course lie in what a sandbox shows of this machine.

The one that runs is not the only one: a wheel in the environment, one in the base interpreter, an
editable install that leads to a checkout, another version beside this one. A submission that can
read any of them can return its answers.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

PACKAGE = "course_lib"
PROJECT = "build_a_transformer"  # the distribution, as installers write it, but for hyphens
SITES = ("site-packages", "dist-packages")
DEPTH = 4  # of a site folder below what is shown: lib/python3.13/site-packages, and one more


def copies_within(shown: Iterable[Path]) -> list[Path]:
    """Every place that holds the course or leads to it, below the folders that are shown."""
    sites = dict.fromkeys(site for folder in shown for site in _sites(folder, DEPTH))
    return list(dict.fromkeys(place for site in sites for place in _in_site(site)))


def _sites(folder: Path, depth: int) -> Iterator[Path]:
    """`folder` itself, and every folder below it into which packages are installed."""
    yield folder
    try:
        below = [path for path in folder.iterdir() if not path.is_symlink() and path.is_dir()]
    except OSError:
        return
    for path in below:
        if path.name in SITES:
            yield path
        elif depth and folder.name not in SITES:
            yield from (site for site in _sites(path, depth - 1) if site.name in SITES)


def _in_site(site: Path) -> Iterator[Path]:
    """What of the course is installed in a folder, and the checkouts that it names."""
    for path in _entries(site):
        name = path.name.lower().replace("-", "_")
        is_editable = name.startswith("__editable__") and PROJECT in name
        if name == PACKAGE or name.startswith(PROJECT) or is_editable:
            yield path
            yield from _installed_from(path / "direct_url.json")
        if path.suffix in (".pth", ".egg-link"):
            yield from _named_in(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _installed_from(file: Path) -> Iterator[Path]:
    """The folder that an installed distribution comes from, such as a checkout."""
    try:
        address = urlsplit(json.loads(file.read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if address.scheme == "file":
        yield Path(unquote(address.path))


def _named_in(file: Path) -> Iterator[Path]:
    """The folders with a course in them that a file adds to the path."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        folder = file.parent / line.strip()
        try:
            if line.strip() and (folder / PACKAGE).is_dir():
                yield folder
        except (OSError, ValueError):
            continue
