"""What must hold of `n_parameters`."""

from dataclasses import asdict, replace

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, no_error
from ...judges.findings import Finding
from ...observe.given.config import ReferenceConfig
from ...oracles import model as oracles
from .fixtures import LESSON, shown_config, small_config

n_parameters = ComponentCheck("n_parameters", "model", LESSON)


def _count_case(config: ReferenceConfig, expected: int, *, judge=None, **more) -> Case:
    options = {"shared": [], "without_memory": False, "head_first": False, "kwargs": {}} | more
    call = {"probe": "n_parameters", "dtype": "float32", "args": [], "config": asdict(config)}
    given = "".join(f", {name}={value}" for name, value in options["kwargs"].items())
    where = ", on meta" if options["without_memory"] else ""
    where += ", its head made first" if options["head_first"] else ""
    shown = f"n_parameters(GPT({shown_config(config)}){given}){where}"
    case = Case(call | options, shown)
    return case.expect(judge or _counts(expected))


def _counts(expected: int):
    """Judge: this number, of whatever type."""

    def judge(seen):
        finding = no_error(seen)
        if finding:
            return finding
        array = seen.outputs[0].array if len(seen.outputs) == 1 else None
        if array is None or array.size != 1:
            return Finding("no number came back", expected=f"{expected:,}", got=seen.structure)
        if float(array.ravel()[0]) != expected:
            return Finding(
                "wrong count", expected=f"{expected:,}", got=f"{float(array.ravel()[0]):,g}"
            )
        return None

    return judge


@n_parameters.core(
    "every number that is learned counts, and a tied head counts once",
    hint="model.parameters() names a shared tensor once; .numel() is how many numbers it holds",
)
def n_parameters_counts(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False}, {"n_layers": 3}):
        config = small_config(draw, **changes)
        yield _count_case(config, oracles.count(config))
        yield _count_case(config, oracles.count(config), kwargs={"embeddings": True})


@n_parameters.core(
    "embeddings=False leaves out both tables, and the head where it is tied to one",
    hint="leave out the tensors that are among model.embeddings.parameters()",
)
def n_parameters_without_embeddings(draw: Draw):
    for changes in ({}, {"tie_weights": False}, {"bias": False}, {"n_layers": 3}):
        config = small_config(draw, **changes)
        expected = oracles.count(config, embeddings=False)
        for head_first in (False, True):  # then head.weight is the tied tensor's first name
            yield _count_case(config, expected, head_first=head_first, kwargs={"embeddings": False})


@n_parameters.edge(
    "the count is an int, and the model is as before",
    hint="sum of numel(), which are ints",
    fits=("type",),
)
def n_parameters_is_an_int(draw: Draw):
    def an_int(seen):
        if seen.outputs[0].kind != "number" or seen.outputs[0].dtype != "int":
            output = seen.outputs[0]
            return Finding(
                "wrong type", expected="an int", got=f"a {output.kind} of {output.dtype}"
            )
        return None

    for kwargs in ({}, {"embeddings": False}):
        config = small_config(draw)
        expected = oracles.count(config, **kwargs)
        judge = also(_counts(expected), an_int, arguments_unchanged(["model"]))
        yield _count_case(config, expected, judge=judge, kwargs=kwargs)


@n_parameters.edge(
    "whatever is shared counts once, not the head alone",
    hint="compare tensors by identity: a set of parameters holds each once",
)
def n_parameters_shared(draw: Draw):
    config = small_config(draw, n_layers=3)
    pairs = [["blocks.2.mlp.up.weight", "blocks.0.mlp.up.weight"]]
    once_less = 4 * config.d_model**2
    for kwargs in ({}, {"embeddings": False}):
        expected = oracles.count(config, **kwargs) - once_less
        yield _count_case(config, expected, shared=pairs, kwargs=kwargs)


@n_parameters.edge(
    "a model without memory, on the device meta, is counted like any other",
    hint="all tensors on meta have the address 0: tell them apart by id, not by data_ptr()",
    fits=("raised",),
)
def n_parameters_on_meta(draw: Draw):
    for tie_weights in (True, False):
        config = small_config(draw, tie_weights=tie_weights)
        for kwargs in ({}, {"embeddings": False}):
            expected = oracles.count(config, **kwargs)
            yield _count_case(config, expected, without_memory=True, kwargs=kwargs)


@n_parameters.asked(
    "in use",
    "a block that stands in two places counts once, and a subclass counts as its parent",
    hint="go through the parameters of the model, not through its blocks",
)
def n_parameters_of_models_in_use(draw: Draw):
    config = small_config(draw, n_layers=3)
    for kwargs in ({}, {"embeddings": False}):
        expected = oracles.count(replace(config, n_layers=2), **kwargs)
        yield _count_case(config, expected, way="one block twice", kwargs=kwargs)
        yield _count_case(config, oracles.count(config, **kwargs), way="a subclass", kwargs=kwargs)
