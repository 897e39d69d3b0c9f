"""What a component needs of a notebook: its definition, and from other cells what that uses.

A name means what its own cell last gave it; else what the lesson gives; else what another cell
gave it, the last in the notebook. Printing, plotting and checking are nothing that a definition
needs, so they stay behind.
"""

import builtins
import heapq
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import groupby

from .statements import Statement

Place = tuple[int, int]  # which cell, and which statement of it


@dataclass(frozen=True)
class Needed:
    """The text that defines a component, and the names that it took from other cells."""

    text: str
    taken_along: tuple[str, ...]
    cells: tuple[int, ...]  # which cells it comes from


def needed(name: str, own: int, cells: list[list[Statement]], given: Set[str]) -> Needed:
    """What `name`, as cell number `own` defines it, needs of `cells`.

    Args:
        given: names that are there already, whatever the cells say.
    """
    return _Search(cells, given).of(name, own)


class _Search:
    def __init__(self, cells: list[list[Statement]], given: Set[str]):
        self.cells, self.given = cells, given
        self.places: list[Place] = [
            (number, at) for number, cell in enumerate(cells) for at in range(len(cell))
        ]
        self.binding: dict[str, list[Place]] = defaultdict(list)
        self.changing: dict[str, list[Place]] = defaultdict(list)
        for place in self.places:
            statement = self._at(place)
            for name in statement.binds:
                self.binding[name].append(place)
            for name in statement.sets | statement.calls:
                self.changing[name].append(place)
        self.taken: set[Place] = set()
        self.after: dict[Place, set[Place]] = defaultdict(set)  # what must stand before a place
        self.left: list[Place] = []
        self.names: set[str] = set()

    def of(self, name: str, own: int) -> Needed:
        last = [p for p in self.binding[name] if p[0] == own and name in self._at(p).defines][-1]
        self._take(self._back_from(name, last))
        self._take(p for p in self.places if p[0] == own and self._at(p).is_future)
        while self.left:
            self._follow(self.left.pop())
        texts = [
            "\n".join(self._at(place).text for place in places)
            for _, places in groupby(self._order(), key=lambda place: place[0])
        ]
        apart = {bound for p in self.taken if p[0] != own for bound in self._at(p).binds}
        return Needed(
            "\n\n\n".join(t.strip("\n") for t in texts) if len(texts) > 1 else texts[0],
            tuple(sorted(apart & self.names)),
            tuple(sorted({cell for cell, _ in self.taken})),
        )

    def _at(self, place: Place) -> Statement:
        return self.cells[place[0]][place[1]]

    def _take(self, places: Iterable[Place]) -> None:
        for place in places:
            if place not in self.taken:
                self.taken.add(place)
                self.left.append(place)

    def _follow(self, place: Place) -> None:
        """Take what a statement needs, and what changes that which it binds."""
        statement = self._at(place)
        for name in statement.now:
            found = self._bound_before(name, place)
            self._take(found)
            self.after[place] |= set(found)
        for name in statement.later:
            self._take(self._bound(name, place[0]))
        for name in statement.binds:
            for other in self.changing[name]:
                if other > place and (name in self._at(other).sets or name in statement.values):
                    self._take([other])

    def _bound_before(self, name: str, place: Place) -> list[Place]:
        """Where a name that a statement looks up at once got its meaning."""
        cell = place[0]
        before = [p for p in self.binding[name] if p[0] == cell and p < place]
        if before:
            return self._back_from(name, before[-1])
        if name in self.given:
            return []
        others = [p for p in self.binding[name] if p[0] != cell]
        above = [p for p in others if p < place]
        return self._named(name, (above or others)[-1:])

    def _bound(self, name: str, cell: int) -> list[Place]:
        """Where a name that a function looks up got its meaning."""
        here = [p for p in self.binding[name] if p[0] == cell]
        if here:
            return self._back_from(name, here[-1])
        if name in self.given:
            return []
        return self._named(name, self.binding[name][-1:])

    def _named(self, name: str, last: list[Place]) -> list[Place]:
        if not last:  # a builtin, or one that a star brings
            stars = [p for p in self.places if self._at(p).is_star]
            return stars if not hasattr(builtins, name) else []
        self.names.add(name)
        return self._back_from(name, last[0])

    def _back_from(self, name: str, last: Place) -> list[Place]:
        """A binding, and within its cell those before it as far as one that is for certain."""
        found = []
        for place in reversed([p for p in self.binding[name] if p[0] == last[0] and p <= last]):
            found.append(place)
            if self._at(place).is_sure:
                break
        return found

    def _order(self) -> list[Place]:
        """The notebook's order, but for what is needed at once and stands below."""
        waits = {place: len(self.after[place] & self.taken - {place}) for place in self.taken}
        users = defaultdict(list)
        for place in self.taken:
            for before in self.after[place] & self.taken - {place}:
                users[before].append(place)
        ready = [place for place, number in waits.items() if not number]
        heapq.heapify(ready)
        order = []
        while ready:
            order.append(heapq.heappop(ready))
            for user in users[order[-1]]:
                waits[user] -= 1
                if not waits[user]:
                    heapq.heappush(ready, user)
        order = order if len(order) == len(self.taken) else sorted(self.taken)
        return sorted(order, key=lambda place: not self._at(place).is_future)  # Python's own rule
