"""A book of a few pages made in a test, built as the real one is."""

from pathlib import Path

import yaml

from course_lib.lessons.site import build_book

ROOT = Path(__file__).resolve().parent.parent


def small_book(folder: Path, pages: dict[str, str], *, repository: str = "", say=str) -> Path:
    """Build a book of `pages`, name to text, in `folder`; returns the folder of its HTML.

    Args:
        repository: the address that `_config.yml` is to name.
    """
    book = folder / "book"
    book.mkdir(parents=True)
    (book / "_static").symlink_to(ROOT / "book" / "_static")
    (folder / "course_lib").symlink_to(ROOT / "course_lib")
    settings = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))
    settings["sphinx"]["config"]["html_theme_options"]["repository_url"] = repository
    (book / "_config.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    first, *others = pages
    contents = {"format": "jb-book", "root": first}
    if others:
        contents["chapters"] = [{"file": name} for name in others]
    (book / "_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False))
    for name, text in pages.items():
        (book / f"{name}.md").write_text(text, encoding="utf-8")
    return build_book(folder, say=say).parent
