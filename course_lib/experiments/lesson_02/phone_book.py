"""One layer learns to look things up; so does one with the wrong axis, until many ask."""

from ..experiment import Claim, Experiment, share

TIMES = [1, 2, 4, 8, 16, 32]
RIGHT, FAULTY, RESHAPED = "over the keys", "over the queries", "keys reshaped"


def run(page, seed, layer):
    model, losses = page.train(getattr(page, layer), seed=seed)
    return {
        "last loss": sum(losses[-10:]) / 10,
        "right answers": page.accuracy(model),
        "right with 32 asking": page.accuracy(model, n_questions=32, same_question=True),
        "right by number asking": [
            page.accuracy(model, n_questions=n, same_question=True) for n in TIMES
        ],
    }


EXPERIMENT = Experiment(
    lesson="02_self_attention",
    question="Does one layer learn to look up a name, and what do faulty layers learn?",
    run=run,
    uses=["train", "accuracy", "SelfAttention", "WrongAxis", "Reshaped"],
    arms={
        RIGHT: {"layer": "SelfAttention"},
        FAULTY: {"layer": "WrongAxis"},
        RESHAPED: {"layer": "Reshaped"},
    },
    formats={"right answers": "{:.0%}", "right with 32 asking": "{:.0%}", "last loss": "{:.3f}"},
    claims=[
        Claim(
            lambda r: (
                "One layer of self-attention learns to look up a name: after 300 steps "
                f"{share(r[RIGHT, 'right answers'])} of 500 new books are answered right."
            ),
            lambda r: (r[RIGHT, "right answers"] >= 0.99).all(),
        ),
        Claim(
            lambda r: (
                "While one person asks, softmax over the wrong axis is not seen in the "
                f"answers: {share(r[FAULTY, 'right answers'])} are right."
            ),
            lambda r: (r[FAULTY, "right answers"] >= 0.99).all(),
        ),
        Claim(
            lambda r: (
                "When 32 ask the same, the layer with the wrong axis is right in "
                f"{share(r[FAULTY, 'right with 32 asking'])}, the right one in "
                f"{share(r[RIGHT, 'right with 32 asking'])}."
            ),
            lambda r: (
                (r[FAULTY, "right with 32 asking"] <= 0.5).all()
                and (r[RIGHT, "right with 32 asking"] >= 0.99).all()
            ),
        ),
        Claim(
            lambda r: (
                "With the keys reshaped instead of transposed the loss falls, too, but after 300 "
                f"steps only {share(r[RESHAPED, 'right answers'])} of the answers are right."
            ),
            lambda r: (
                (r[RESHAPED, "right answers"] <= 0.8).all()
                and (r[RESHAPED, "last loss"] < 2.2).all()
            ),
        ),
    ],
)
