"""Calls that may take less than others: each in a job of its own, whose limits are the sandbox's.

A contract may say how much a component holds, or how much it computes. What counts that from
inside, a submission can silence; a process that gets no more memory or time, it cannot.
"""

from collections.abc import Callable, Mapping

from ..checks.observe.observations import blank


def observe_apart(observe: Callable[[dict], Mapping], job: dict) -> Mapping:
    """What was observed in the calls of a job, in their order, those with a limit each apart.

    Args:
        observe: runs one job, such as `Sandbox.observe`.
    """
    limited = [n for n, call in enumerate(job["calls"]) if "limits" in call]
    reply = observe({**job, "calls": [c for c in job["calls"] if "limits" not in c]})
    if not limited or reply.get("status") != "done":
        return reply
    observations = list(reply["observations"])
    for number in limited:  # in order, so that each finds the place that it had
        call = job["calls"][number]
        limits = {**job.get("limits", {}), **call["limits"]}
        alone = observe({**job, "calls": [call], "limits": limits})
        seen = alone["observations"]
        observations.insert(number, seen[0] if seen else _ended(alone))
    return {**reply, "observations": observations}


def _ended(reply: Mapping) -> dict:
    """The observation of a call that ended its process."""
    kind = "MemoryError" if reply.get("status") == "memory" else "RuntimeError"
    message = str(reply.get("message"))
    error = {"type": kind, "classes": [kind], "message": message, "place": "", "name": ""}
    return blank() | {"error": error}
