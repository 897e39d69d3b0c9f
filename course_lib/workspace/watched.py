"""What `course watch` has on its screen: a word on each component, the first failure in full."""

from dataclasses import dataclass, field
from pathlib import Path

from course_lib.lessons.exercises import require_exercise

from .apart import Judged
from .folder import WorkspaceError
from .next_step import lessons, next_step
from .reset import reset

KEYS = "h hint · n next failure · a all · r reset · q quit"


@dataclass
class Watched:
    """The state of the screen; saves and keys change it."""

    workspace: Path
    judged: dict[str, Judged] = field(default_factory=dict)  # the newest of each component, last
    shown: str = ""  # the component whose failure is shown in full
    n_hints: int = 0  # how many of its hints
    note: str = "Waiting for you to save a notebook, or a module of my_transformer."
    asks: bool = False  # whether to reset what is shown

    @property
    def failures(self) -> list[str]:
        return [name for name, one in self.judged.items() if not one.passed]

    def take(self, came: list[Judged], file: str) -> None:
        """A file was saved, and judged."""
        for one in came:
            self.judged.pop(one.component, None)
            self.judged[one.component] = one
        failed = [one.component for one in came if not one.passed]
        if self.shown not in failed:
            self._show((failed or self.failures or [""])[0])
        n_right = len(came) - len(failed)
        found = f"{n_right} right, {len(failed)} wrong" if came else "nothing is written there yet"
        self.note = f"{file}: {found}."

    def press(self, key: str) -> None:
        """A key was pressed; one that means nothing changes nothing."""
        asked, self.asks = self.asks, False
        if key == "n" and self.failures:
            at = self.failures.index(self.shown) + 1 if self.shown in self.failures else 0
            self._show(self.failures[at % len(self.failures)])
        elif key == "h" and self.shown:
            self.n_hints = min(self.n_hints + 1, len(require_exercise(self.shown).hints))
        elif key == "r" and self.shown:
            self.asks = True
            self.note = f"Begin {self.shown} again? What you have is kept. Then press y."
        elif key == "y" and asked:
            self._reset()

    def lines(self) -> list[str]:
        """The screen, from top to bottom."""
        lines = [self.note, ""]
        lines += [f"{_word(one)}  {name}" for name, one in self.judged.items()]
        if self.shown in self.judged:
            lines += ["", *self.judged[self.shown].text.splitlines()]
            hints = require_exercise(self.shown).hints[: self.n_hints]
            lines += [f"  hint {number}: {text}" for number, text in enumerate(hints, start=1)]
        return [*lines, "", next_step(lessons(self.workspace)), KEYS]

    def _show(self, component: str) -> None:
        if component != self.shown:
            self.shown, self.n_hints = component, 0

    def _reset(self) -> None:
        try:
            self.note = reset(self.workspace, self.shown).text(self.workspace)
        except WorkspaceError as error:
            self.note = str(error)
            return
        self.judged.pop(self.shown, None)
        self._show((self.failures or [""])[0])


def _word(one: Judged) -> str:
    return "right" if one.passed else "WRONG"
