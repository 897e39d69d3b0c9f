"""The pages of feedback in one zip, each under a name by which a platform takes it back."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ..own_files import Unreadable, bytes_of, lies_there

MAX_PAGE = 100 * 2**20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say: the same pages, the same zip


def pack_feedback(
    grades: Path, backs: Mapping[tuple[str, str], str]
) -> tuple[bytes, int, list[str]]:
    """The zip; how many pages are in it; and what there is to say of the others.

    Args:
        backs: by student and lesson, how the name of their page begins.
    """
    packed, inside, missing = io.BytesIO(), 0, []
    folder = grades / "feedback"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for (student, lesson), back in sorted(backs.items(), key=lambda item: (item[1], item[0])):
            page = folder / student / lesson / f"{lesson}.html"
            if not lies_there(page, top=grades):
                missing.append(f"{student}: there is no page of feedback for {lesson}")
                continue
            try:
                content = bytes_of(page, MAX_PAGE, top=grades)
            except Unreadable as reason:
                missing.append(f"{student}: the page for {lesson} is not packed: {reason}")
                continue
            about = zipfile.ZipInfo(f"{back}{lesson}.html", _LONG_AGO)
            about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(about, content)
            inside += 1
    return packed.getvalue(), inside, missing
