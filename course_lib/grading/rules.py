"""What a teacher decides for a class, in `nbgrader_config.py`, for both commands.

c.ClassRules.times = "timestamp.txt"
c.ClassRules.older_releases = ["3f2a91c07b4d"]
"""

import csv
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path

from traitlets import Enum, List, Unicode
from traitlets.config import Configurable

from . import GradingError
from .late import time_of
from .releases import NOT_GRADED, UNKNOWN, Release, choose
from .submission import TIMESTAMP

COLUMNS = ("student", "lesson", "time")


class ClassRules(Configurable):
    """Which evidence of a submission counts that its student could have written.

    Args:
        root: the course root, from where a table of times is found.
    """

    times = Unicode(
        "",
        help=f'When something was handed in. "{TIMESTAMP}": what that file beside a notebook says, '
        "for classes whose files nbgrader collects, which writes it. The name of a CSV file with "
        "the columns student, lesson and time: what stands there. Empty: nothing that lies in a "
        "student's folder says it, and nobody is late whose time the gradebook does not hold.",
    ).tag(config=True)

    older_releases = List(
        Unicode(),
        help="Releases that count beside the newest one of their lesson, by the hash that "
        "`course release` gave them.",
    ).tag(config=True)

    unknown_releases = Enum(
        UNKNOWN,
        NOT_GRADED,
        help="What becomes of a notebook that names a release which is not in the course's "
        'releases/: "not graded", and the run says whose it is, or "newest", graded as the '
        "newest release.",
    ).tag(config=True)

    def __init__(self, root: Path, **options):
        super().__init__(**options)
        self.root = root

    def release_for(self, lesson: str, wanted: str) -> tuple[Release, str]:
        """The release to grade a notebook against, as `releases.choose` finds it by these rules."""
        return choose(lesson, wanted, self.root, self.older_releases, self.unknown_releases)

    def time_of(self, student: str, lesson: str, timestamp: str) -> datetime | None:
        """When a submission was handed in; None where nobody who may say so has noted it.

        Args:
            timestamp: what a `timestamp.txt` in the student's folder says.

        Raises:
            GradingError: what counts names no time.
        """
        if self.times == TIMESTAMP:
            return time_of(timestamp, f"its {TIMESTAMP}") if timestamp else None
        return self._noted.get((student, lesson))

    @cached_property
    def _noted(self) -> Mapping[tuple[str, str], datetime]:
        """The teacher's table of times."""
        if not self.times:
            return {}
        path = self.root / self.times
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise GradingError(f"ClassRules.times: {path} cannot be read ({error})") from None
        if not all(row.get(column) for row in rows for column in COLUMNS):
            raise GradingError(
                f"ClassRules.times: every row of {path} must hold {', '.join(COLUMNS)}"
            )
        return {
            (row["student"], row["lesson"]): time_of(row["time"], f"{path}, {row['student']}")
            for row in rows
        }

    def check(self) -> None:
        """Read what the teacher wrote, before anything is judged by it.

        Raises:
            GradingError: it cannot be read.
        """
        if self.times != TIMESTAMP:
            _ = self._noted
