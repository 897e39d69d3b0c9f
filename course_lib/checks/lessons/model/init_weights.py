"""What must hold of `init_weights`."""

from dataclasses import asdict

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, no_error
from ...judges.findings import Finding
from .fixtures import LESSON, shown_config, tied_names
from .fresh_model import (
    all_finite,
    attribute_of,
    drawn_apart,
    has_dtype,
    has_the_state,
    is_normal,
    matrices_begin_right,
    shares,
    vectors_begin_right,
    wide_config,
)

init_weights = ComponentCheck("init_weights", "model", LESSON)


def _init_case(judge, *, dtype="float64", way=None, before=None, **changes) -> Case:
    config = wide_config(**changes)
    call = {"probe": "init_weights", "dtype": dtype, "args": [], "kwargs": {}, "random": True}
    call |= {"way": way} if way else {}
    call |= {"before": before} if before else {}
    shown = f"init_weights(GPT({shown_config(config)})), {dtype}"
    shown += f", all its numbers {before}" if before else ""
    case = Case(call | {"config": asdict(config)}, shown)
    has_state = no_error if way else has_the_state(config)
    return case.expect(also(no_error, has_state, all_finite, judge(config)))


def _is_residual(name: str) -> bool:
    return name.endswith(("attention.out.weight", "mlp.down.weight"))


@init_weights.core(
    "matrices and embeddings are normal with mean 0 and standard deviation 0.02",
    hint="go through model.named_parameters(); nn.init.normal_(tensor, std=0.02)",
)
def init_weights_matrices(draw: Draw):
    def judge(config):
        return matrices_begin_right(config, lambda name: not _is_residual(name))

    for changes in ({}, {"tie_weights": False}, {"bias": False, "n_layers": 2}):
        yield _init_case(judge, **changes)


@init_weights.core(
    "attention.out and mlp.down, which write into the stream, get 0.02 / sqrt(2L)",
    hint="L is len(model.blocks); each block writes twice, hence 2L",
)
def init_weights_residual(draw: Draw):
    def judge(config):
        return matrices_begin_right(config, _is_residual)

    for changes in ({}, {"n_layers": 1}, {"tie_weights": False, "n_layers": 5}):
        yield _init_case(judge, **changes)


@init_weights.core(
    "biases become 0, the norms' weights 1, whatever they were before",
    hint="a bias ends in 'bias', the rest of one axis are the norms' weights: no nn.LayerNorm's",
)
def init_weights_vectors(draw: Draw):
    yield _init_case(vectors_begin_right)
    yield _init_case(vectors_begin_right, bias=False, n_layers=1)
    yield _init_case(vectors_begin_right, tie_weights=False, n_layers=2)


@init_weights.edge(
    "a model that holds nan or infinity gets weights like any other",
    hint="0 times nan is nan: fill with zeros, nn.init.zeros_(tensor), and do not multiply",
    fits=("not finite",),
)
def init_weights_after_a_run_that_diverged(draw: Draw):
    def judge(config):
        return also(matrices_begin_right(config), vectors_begin_right(config))

    for before in ("nan", "inf"):
        yield _init_case(judge, before=before)


@init_weights.edge(
    "in place: the model keeps its tensors, and what was tied stays tied",
    hint="nn.init.normal_(parameter) fills the tensor that is there; nn.Parameter(…) makes another",
)
def init_weights_in_place(draw: Draw):
    def judge(config):
        def kept(seen):
            replaced = attribute_of(seen, "replaced")
            if replaced:
                return Finding(
                    f"{str(replaced[0])[:60]} is another tensor than before",
                    expected="the same tensor with other numbers: an optimizer may hold it already",
                )
            return None

        return also(shares(*tied_names(config)), kept)

    for changes in ({}, {"tie_weights": False}):
        yield _init_case(judge, **changes)


@init_weights.edge("it returns None", hint="leave the return out", fits=("type",))
def init_weights_returns_none(draw: Draw):
    def judge(config):
        def nothing(seen):
            if seen.structure == "NoneType":
                return None
            return Finding("something came back", expected="None", got=f"a {seen.structure}")

        return nothing

    yield _init_case(judge)


@init_weights.edge(
    "the numbers of each matrix are normal, and each matrix is drawn by itself",
    hint="normal_, not uniform_, and nothing cut off; one call for each tensor, and no seed",
)
def init_weights_distribution(draw: Draw):
    def judge(config):
        return also(is_normal(config), drawn_apart(config))

    for changes in ({}, {"tie_weights": False}):
        yield _init_case(judge, **changes)


@init_weights.edge(
    "tensors keep their dtype",
    hint="fill what is there instead of putting something new",
    fits=("dtype",),
)
def init_weights_dtype(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _init_case(lambda config, dtype=dtype: has_dtype(dtype), dtype=dtype)


@init_weights.asked(
    "in use",
    "frozen parameters get their weights too, and those of a subclass",
    hint="requires_grad says who learns, not who begins",
)
def init_weights_of_models_in_use(draw: Draw):
    def judge(config):
        return also(matrices_begin_right(config), vectors_begin_right(config))

    for way in ("frozen", "a subclass"):
        yield _init_case(judge, way=way)


@init_weights.asked(
    "real sizes",
    "an embedding of fifty thousand rows begins like a small one",
    hint="0.02 does not depend on how many there are",
)
def init_weights_of_real_size(draw: Draw):
    def judge(config):
        return also(matrices_begin_right(config), is_normal(config))

    sizes = {"vocab_size": 50_257, "d_model": 10, "n_layers": 1}
    for dtype in ("float32", "bfloat16"):
        yield _init_case(judge, dtype=dtype, **sizes)
