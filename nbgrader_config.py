"""nbgrader's settings for this course: run `nbgrader …` in this folder.

`nbgrader autograde LESSON` works once `course release LESSON` has registered the lesson. On a
machine without bubblewrap it refuses, unless told `--JudgeInSandbox.sandbox=none`.

Which older releases count, and who says when something was handed in, stands here too: see
`ClassRules` in `course_lib/grading/rules.py`, and the book's page for teachers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from course_lib.grading.gradebook import find_alembic, replace_steps

c = get_config()  # nbgrader defines it

c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"

find_alembic()
replace_steps(c)
