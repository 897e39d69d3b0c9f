"""Questions from the test that a submission is, put to the implementations it is tried on."""

from course_lib.checks.observe.given.questions import MAX_BYTES
from course_lib.checks.observe.wall import wire

_STOPPED = wire.pack({"refused": "the implementation was given too much to do, and was stopped"})


class Consultation:
    """A conversation with the process that runs the implementations of one job.

    Args:
        replies: the pipe of its answers.
        questions: the pipe that it reads, which does not block.
        deadline: when it is stopped at the latest, a time of `time.monotonic()`.
    """

    def __init__(self, replies: int, questions: int, deadline: float):
        self._replies, self._questions, self._deadline = replies, questions, deadline
        self._is_over = False

    def ask(self, which: int, question: dict) -> bytes:
        """The answer of implementation number `which`, packed as it came. Never raises."""
        try:
            if not self._is_over:
                asked = wire.pack({"which": which, "question": question})
                wire.write_frame(self._questions, asked, deadline=self._deadline)
                return wire.read_frame(self._replies, max_bytes=MAX_BYTES, deadline=self._deadline)
        except (wire.WireError, OSError):
            self._is_over = True
        return _STOPPED
