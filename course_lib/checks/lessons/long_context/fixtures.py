"""What the checks of long contexts share."""

from dataclasses import replace

from ...cases.check import Case

LESSON = "11_long_contexts"


def named_up_to(difference: float, case: Case) -> Case:
    """A case whose bugs keep their names when they are written with angles in float32."""
    return replace(case, call=case.call | {"alike": difference})
