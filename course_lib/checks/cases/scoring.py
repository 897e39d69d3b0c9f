"""How many points the cases of a check are worth, and which finding its message tells."""

from collections.abc import Sequence
from dataclasses import replace

from ..judges.findings import Finding

CORE_SHARE = 0.7
MOST_MISSED = 4  # faulty implementations that a message tells


class CoreThenEdge:
    """Core and edge properties earn their shares whole, and edge only after core.

    `judged` holds `(property, case, finding or None)` for every case, core first.
    """

    is_shuffled = False  # are the cases observed in an order of their own?

    def share(self, judged: Sequence[tuple]) -> float:
        """The share of the points, from 0 to 1."""
        groups = {prop.group for prop, _, finding in judged if finding}
        if "core" in groups:
            return 0.0
        return CORE_SHARE if "edge" in groups else 1.0

    def to_tell(self, judged: Sequence[tuple]) -> tuple:
        """The property, case and finding that the learner reads about: the first."""
        return next(one for one in judged if one[2])


class ShareOfEdge(CoreThenEdge):
    """Each edge case earns as much as any other, once all core cases hold.

    For a test that is tried on right implementations (core) and faulty ones (edge). They come in
    an order drawn from the seed, so that no case is known by its place.
    """

    is_shuffled = True

    def share(self, judged: Sequence[tuple]) -> float:
        findings = {"core": [], "edge": []}
        for prop, _, finding in judged:
            findings[prop.group].append(finding)
        if any(findings["core"]):
            return 0.0
        return findings["edge"].count(None) / len(findings["edge"])

    def to_tell(self, judged: Sequence[tuple]) -> tuple:
        prop, case, finding = super().to_tell(judged)
        if prop.group == "core":
            return prop, case, finding
        edge = [found for prop, _, found in judged if prop.group == "edge"]
        missed = [found for found in edge if found]
        details = [f"{found.what}: {found.expected}" for found in missed[:MOST_MISSED]]
        if len(missed) > MOST_MISSED:
            details.append(f"… and {len(missed) - MOST_MISSED} more")
        told = f"{len(edge) - len(missed)} of {len(edge)} faulty ones were caught"
        return prop, case, replace(Finding(told), details=tuple(details))


CORE_THEN_EDGE = CoreThenEdge()
SHARE_OF_EDGE = ShareOfEdge()
