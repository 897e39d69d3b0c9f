"""An evaluation that leaves the model in evaluation mode, and one that measures with dropout."""

from ..experiment import Claim, Experiment, spread

RIGHT, FAULTY = "goes back to training", "stays in evaluation"
SEEN, UNSEEN = "training text", "other sentences"
NOISY = "training text, measured with dropout"


def run(page, seed, measure):
    measures = {RIGHT: page.evaluate, FAULTY: page.bugs["leaves_the_model_in_evaluation"]}

    def look(step, model):
        if step % 20 == 0:
            measures[measure](model, page.validation_tokens[:100], context_length=page.CONTEXT)

    model = page.learn(page.ten_sentences, look, dropout=0.3, seed=seed)
    with_dropout = page.bugs["measures_in_training_mode"]
    model.train()
    return {
        SEEN: page.evaluate(model, page.ten_sentences, context_length=page.CONTEXT),
        UNSEEN: page.evaluate(model, page.validation_tokens[:600], context_length=page.CONTEXT),
        NOISY: with_dropout(model, page.ten_sentences, context_length=page.CONTEXT),
    }


EXPERIMENT = Experiment(
    lesson="08_training",
    question="What happens to a run whose dropout is switched off by its first evaluation?",
    run=run,
    uses=["learn", "evaluate", "ten_sentences", "validation_tokens", "CONTEXT"],
    bugs=["leaves_the_model_in_evaluation", "measures_in_training_mode"],
    arms={arm: {"measure": arm} for arm in (RIGHT, FAULTY)},
    formats=dict.fromkeys([SEEN, UNSEEN, NOISY], "{:.2f}"),
    claims=[
        Claim(
            lambda r: (
                "With dropout as it was asked for, the loss on ten sentences ends at "
                f"{spread(r[RIGHT, SEEN], '{:.2f}')}; where the first evaluation switched it off, "
                f"at {spread(r[FAULTY, SEEN], '{:.2f}')}: learned by heart."
            ),
            lambda r: r[FAULTY, SEEN].max() < r[RIGHT, SEEN].min(),
        ),
        Claim(
            lambda r: (
                "Other sentences it knows less well: "
                f"{spread(r[RIGHT, UNSEEN], '{:.2f}')} with dropout, "
                f"{spread(r[FAULTY, UNSEEN], '{:.2f}')} with it switched off."
            ),
            lambda r: r[FAULTY, UNSEEN].min() > r[RIGHT, UNSEEN].max(),
        ),
        Claim(
            lambda r: (
                "Measured with dropout, a model that was trained with it seems worse than it is: "
                f"{spread(r[RIGHT, NOISY], '{:.2f}')} instead of "
                f"{spread(r[RIGHT, SEEN], '{:.2f}')}."
            ),
            lambda r: (r[RIGHT, NOISY] > r[RIGHT, SEEN] + 0.1).all(),
        ),
    ],
)
