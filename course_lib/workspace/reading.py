"""What a piece of Python defines and imports, read without running it."""

from course_lib.lessons.imports import imported_modules
from course_lib.lessons.package_text import definitions

__all__ = ["definitions", "imported_modules"]
