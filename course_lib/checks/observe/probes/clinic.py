"""Hand a learner's test an implementation that it can call and not look into.

What the test gets are stand-ins (`given/stand_ins.py`). In a notebook this process answers their
questions; in the grader's sandbox the implementation lives in another process, behind a wall of its
own, and questions and answers cross two pipes (`given/questions.py`).
"""

from collections.abc import Callable

from ..calls import ClinicCall, ConsultCall
from ..given import questions
from ..given.answers import Answers
from ..given.stand_ins import STAND_INS, ask_over_pipes, conversation
from ..load.answer import place, short
from ..observations import Observation
from ..wall import wire

_admit: Callable[..., dict] | None = None  # who knows the implementations, in this process


def answer_with(admit: Callable[..., dict]) -> None:
    """From now on this process itself answers: `admit(**patient)` gives callables by name."""
    global _admit
    _admit = admit


def observe_clinic(test, call: ClinicCall, seen: Observation) -> None:
    """Hand the call's implementation to `test`, and write down how it was received."""
    ask = ask_over_pipes if questions.is_connected() else Answers(_admit(**call["patient"]))
    with conversation(ask) as (number, talk):
        try:
            returned = test(*STAND_INS[call["test"]](number, call))
        except Exception as error:
            if error in talk.raised:
                seen["value"] = "gave up"
            elif isinstance(error, AssertionError):
                seen["value"] = "rejected"
            else:
                raise
            text = short(error)
            seen["reason"] = type(error).__name__ + (f": {text}" if text else "") + place(error)
        else:
            seen["value"] = "accepted"
            seen["structure"] = type(returned).__name__ if returned is not None else ""


def consult(admit, call: ConsultCall, seen: Observation) -> None:
    """Answer the questions that come through the pipes, until no more can come.

    `which` says whom a question is about. It comes from the grader, not from the test.
    """
    who, answers = None, None
    while True:
        try:
            asked = questions.receive(questions.MAX_BYTES + 4096)
        except wire.EndOfStream:
            return
        if who != asked["which"]:
            who, answers = asked["which"], Answers(admit(**call["patients"][asked["which"]]))
        questions.send(answers(asked["question"]))
