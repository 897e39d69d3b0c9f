"""What goes wrong in a whole package: one part has a bug, all shapes are right, and text comes out.

A package with one of these bugs inside must fail, in the check of lesson 12 that is named here.
"""

from dataclasses import dataclass

from . import Bug, find_bug, read_bugs


@dataclass(frozen=True)
class PackageBug:
    """A bug of one part, and the check of whole packages that catches it."""

    bug: Bug
    caught_by: str


CAUGHT_BY = {
    "computes": (
        "NeverAddsPositions",
        "NeverAttends",
        "NeverThinks",
        "IsPostNorm",
        "GPTThatNeverMasks",
        "GPTThatRepeatsOneBlock",
        "GPTThatForgetsTheLastNorm",
        "GPTThatTiesByACopy",
        "GPTThatCutsTheGraph",
        "GPTThatStartsAsTorchDoes",
    ),
    "trains": (
        "shifts_the_targets_once_more",
        "does_not_shift_the_targets",
        "divides_into_whole_numbers",
        "lets_vectors_decay",
        "never_zeroes",
        "never_steps",
        "averages_over_windows",
    ),
    "generates": ("crops_the_end_off", "draws_once_for_all_rows"),
    "caches": ("counts_positions_from_0", "calls_generate"),
}

# The others are bugs of the zoo.
IN_NO_ZOO = (
    """Block:

NeverAttends
    a block has no attention
    believed: The MLP does the thinking, so a block can do without attention. But then no position
        learns anything of the others.
    seen: A model of pairs of characters: no word longer than two letters is right.
    - x = x + self.attention(self.norm1(x), mask)

NeverThinks
    a block has no MLP
    believed: Attention is all you need, so a block can do without an MLP. But then nothing works on
        what attention has gathered.
    seen: It trains, and ends a little higher.
    - return x + self.mlp(self.norm2(x))
    + return x
""",
    """GPT:

GPTThatCutsTheGraph
    the embeddings get no gradient
    believed: detach() only keeps the values. It also cuts the graph, and no gradient reaches what
        lies before it.
    seen: It trains, with embeddings that stay as they were drawn.
    - x = self.embeddings(ids)
    + x = self.embeddings(ids).detach()
""",
    """train_step:

never_steps
    the optimizer never steps
    believed: backward() trains the model. It only computes gradients; the optimizer's step moves
        the weights.
    seen: A loss that stays where it was.
    - optimizer.step()
""",
)


def all_package_bugs() -> list[PackageBug]:
    """Every bug named here, check by check."""
    ours = {bug.name: bug for text in IN_NO_ZOO for bug in read_bugs(text)}
    return [
        PackageBug(ours.get(name) or find_bug(name), check)
        for check, names in CAUGHT_BY.items()
        for name in names
    ]


def find_package_bug(name: str) -> PackageBug:
    """The one of that name.

    Raises:
        KeyError: there is none.
    """
    return {one.bug.name: one for one in all_package_bugs()}[name]
