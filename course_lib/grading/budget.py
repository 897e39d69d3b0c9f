"""One budget for all that a submission does: its jobs' own time, added up."""

from collections.abc import Callable, Mapping

from .received import reply_of

SECONDS = 120.0  # a right submission takes a few; whole packages train for a minute at the most


class Budget:
    """Has jobs done until the time of one submission is used up.

    Args:
        observe: does one job, such as `Sandbox.observe`.
    """

    def __init__(self, observe: Callable[[dict], Mapping], seconds: float = SECONDS):
        self._observe, self._seconds, self.left = observe, seconds, seconds

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0

    def observe(self, job: dict) -> Mapping:
        """The reply to a job; where nothing is left, that it was not run."""
        if self.is_used_up:
            used = f"the answers before it took the {self._seconds:g} s that there are for all"
            return reply_of("timeout", f"not run: {used}")
        reply = self._observe(job)
        seconds = reply.get("seconds", 0.0)
        self.left -= seconds if isinstance(seconds, (int, float)) and seconds > 0 else 0.0
        return reply
