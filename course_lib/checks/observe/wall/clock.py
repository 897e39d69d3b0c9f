"""How long a job has run by its own time, which a busy machine does not lengthen.

What counts is the processor time of all its processes, and of the rest of the time that has passed
what its first thread did not spend waiting for a processor that somebody else had: Linux keeps
account of both. Whoever runs many processes waits for their own, and that is not excused. Where the
system keeps no account of waiting, only processor time counts. A job that is still there after
`LONGEST` times its limit was given too little of the machine to be judged.
"""

import os
import time
from collections.abc import Collection

MOST_IDLE = 5.0  # times its limit a job may be awake that waits for the answers of another
LONGEST = 10.0  # times its limit a job may be there at all
FEW_THREADS = 4  # of all its processes: with so many a job does not keep itself waiting
_TICK = os.sysconf("SC_CLK_TCK")


class Clock:
    """The time of one job.

    Args:
        pid: of its first process.
        seconds: how much it may take.
        most_idle: how much of it asleep; more, where it waits for the answers of another job.
    """

    def __init__(self, pid: int, seconds: float, most_idle: float):
        self.pid, self.seconds, self.most_idle = pid, seconds, most_idle
        self._started = time.monotonic()
        self._waited = _waited(pid)  # at the last look
        self._excused, self._has_few = 0.0, True
        self.used = 0.0  # of the processor, by all processes
        self._seen: dict[int, float] = {}

    def look(self, pids: Collection[int], n_threads: int) -> None:
        """Take note of the processes that there are now, and of all their threads."""
        now = {pid: _processor_time(pid) for pid in pids}
        for pid, (own, _) in now.items():
            self._seen[pid] = max(own, self._seen.get(pid, 0.0))
        with_children = sum(own + children for own, children in now.values())
        self.used = max(self.used, with_children, sum(self._seen.values()))
        self._has_few = n_threads <= FEW_THREADS
        self._excused += self._waited_since()
        self._waited = _waited(self.pid)

    def over(self) -> str:
        """Why the job has to be stopped: it took its time, or got none; empty while it may run."""
        if self.used > self.seconds or self._awake() > max(self.seconds, self.most_idle):
            return "time"
        return "starved" if self._passed() > LONGEST * self.seconds else ""

    def own(self) -> float:
        """The seconds that the job answers for."""
        return max(self.used, self._awake())

    def _passed(self) -> float:
        return time.monotonic() - self._started

    def _awake(self) -> float:
        """What has passed without waiting for a processor that somebody else had."""
        if self._waited is None:
            return self.used
        return self._passed() - self._excused - self._waited_since()

    def _waited_since(self) -> float:
        """What it waited since the last look, where that is excused."""
        now = _waited(self.pid)
        if now is None or self._waited is None or not self._has_few:
            return 0.0
        return now - self._waited


def _processor_time(pid: int) -> tuple[float, float]:
    """What a process has used, and what those of its children had that have ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0.0
    user, system, childrens_user, childrens_system = map(int, fields[11:15])
    return (user + system) / _TICK, (childrens_user + childrens_system) / _TICK


def _waited(pid: int) -> float | None:
    """How long the first thread of a process was ready and had no processor; None if unknown."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 10**9
    except (OSError, IndexError, ValueError):
        return None
