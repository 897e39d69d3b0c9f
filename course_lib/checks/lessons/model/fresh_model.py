"""Judges of what a model is made of, and of its first weights."""

import math
from dataclasses import asdict

import numpy as np

from ...judges.expect import differs, no_error, wrong_names
from ...judges.findings import Finding, number
from ...judges.seen import Malformed
from ...judges.tolerances import Tolerance
from ...observe.given.config import ReferenceConfig
from ...oracles import model as oracles
from .fixtures import tied_names

STANDARD = 0.02  # the standard deviation of fresh matrices and embeddings
FAR = 6.0  # standard errors: chance takes an estimate so far once in 10⁹ times
# How many deviations from 0: within the first lie most numbers; beyond the others a few, and none
# where a normal distribution was cut off at two, or at three, and widened to the same deviation.
# Of the 20,000 numbers of a small model 430 lie beyond the second, 39 beyond the third. Chance
# takes any of the shares out of its bounds less than once in ten million times.
SHARES_WITHIN = (1.0, 2.3, 3.1)


def has_the_state(config: ReferenceConfig):
    """Judge: `state_dict()` holds exactly the contract's names and shapes, all of them learned."""
    expected = oracles.state_shapes(config)

    def judge(seen):
        if seen.flag("parameters") is None:
            return no_error(seen) or Finding("no model was made")
        found = seen.parameters
        trainable = seen.flag("trainable")
        trainable = set(trainable if isinstance(trainable, list) else [])
        if found.keys() != expected.keys():
            return wrong_names(found, expected, trainable)
        for name, shape in expected.items():
            if found[name] != shape:
                return Finding(
                    f"wrong shape of {name}", expected=str(shape), got=str(found[name])[:60]
                )
        frozen = [name for name in expected if name not in trainable]
        if frozen:
            what = f"{frozen[0]} is not learned"
            return Finding(what, expected="an nn.Parameter", how="not learned")
        return None

    return judge


def attribute_of(seen, name: str):
    attributes = seen.flag("attributes")
    if not isinstance(attributes, dict) or name not in attributes:
        raise Malformed("attributes")
    return attributes[name]


def is_made_of(config: ReferenceConfig):
    """Judge: the parts that later lessons reach for, besides the tensors' names."""

    def judge(seen):
        kinds = attribute_of(seen, "blocks")
        if "ModuleList" not in kinds:
            return Finding("wrong .blocks", expected="an nn.ModuleList", got=str(kinds[0])[:60])
        found = attribute_of(seen, "config")
        if not isinstance(found, dict):
            raise Malformed("config")
        for name, value in asdict(config).items():
            if found.get(name) != value:
                return Finding(
                    f"wrong .config.{name}", expected=repr(value), got=str(found.get(name))[:60]
                )
        return None

    return judge


def shares(*groups: list[str]):
    """Judge: the tensors of these groups are one each, and all others are tensors of their own."""
    wanted = sorted(groups)

    def judge(seen):
        found = attribute_of(seen, "shared")
        if found == wanted:
            return None
        surplus = [group for group in found if group not in wanted]
        if surplus:
            names = surplus[0]
            return Finding(
                f"{str(names[0])[:50]} and {str(names[1])[:50]} are one tensor",
                expected="a tensor of its own for each",
            )
        return Finding(
            "head.weight is not the tensor of the token embedding",
            expected="one tensor with two names: a step on one moves the other",
            got="two tensors",
        )

    return judge


def _target(name: str, config: ReferenceConfig) -> tuple[float, str]:
    """The standard deviation that a matrix begins with, and how it comes about."""
    if name.endswith(("attention.out.weight", "mlp.down.weight")):
        narrow = STANDARD / math.sqrt(2 * config.n_layers)
        return narrow, f"about {narrow:.3g}, which is 0.02 / sqrt(2L) with L = {config.n_layers}"
    return STANDARD, "about 0.02"


def matrices_begin_right(config: ReferenceConfig, which=lambda name: True):
    """Judge: matrices and embeddings are normal, with the mean and spread of the contract."""

    def judge(seen):
        found = fresh_state(seen, config)
        scaled = []
        for name, values in found.items():
            if values.ndim < 2 or not which(name):
                continue
            spread, shown = _target(name, config)
            finding = _spread_is(name, values, spread, shown) or _mean_is(name, values, spread)
            if finding:
                return finding
            scaled.append(values.ravel() / spread)
        together = np.concatenate(scaled)
        spread = together.std()
        if abs(spread - 1) > FAR / math.sqrt(2 * together.size):
            return Finding(
                "wrong spread of all matrices together",
                expected="1 after division by the standard deviation that each should have",
                got=number(spread),
            )
        return None

    return judge


def fresh_state(seen, config) -> dict:
    """The values of a fresh state, with the names and shapes that it must have."""
    found = seen.initial
    shapes = {name: None if v is None else v.shape for name, v in found.items()}
    if shapes != oracles.state_shapes(config):
        raise Malformed("initial")
    return found


def all_finite(seen):
    """Judge: no tensor of a fresh state holds nan or infinity."""
    for name, values in seen.initial.items():
        if values is not None and not np.isfinite(values).all():
            return Finding(f"{name[:60]} holds nan or infinity", expected="finite numbers")
    return None


def _spread_is(name: str, values, spread: float, shown: str):
    found = values.std()
    if abs(found / spread - 1) > FAR / math.sqrt(2 * values.size):
        return Finding(f"wrong standard deviation of {name}", expected=shown, got=f"{found:.3g}")
    return None


def _mean_is(name: str, values, spread: float):
    if abs(values.mean()) > FAR * spread / math.sqrt(values.size):
        return Finding(f"wrong mean of {name}", expected="about 0", got=f"{values.mean():.3g}")
    return None


def vectors_begin_right(config: ReferenceConfig, which=lambda name: True):
    """Judge: biases are 0, and the weights of norms 1."""

    def judge(seen):
        for name, values in fresh_state(seen, config).items():
            if values.ndim == 1 and which(name):
                wanted = np.full(values.shape, 1.0 if name.endswith("weight") else 0.0)
                finding = differs(values, wanted, Tolerance(0.0, 0.0), name)
                if finding:
                    return finding
        return None

    return judge


def is_normal(config: ReferenceConfig):
    """Judge: as many numbers of each matrix, and of all together, are as far from 0 as must be."""

    def judge(seen):
        scaled = {
            name: (values - values.mean()).ravel() / max(values.std(), 1e-30)
            for name, values in fresh_state(seen, config).items()
            if values.ndim == 2
        }
        for name, values in scaled.items():
            finding = _as_many_within(1.0, values, f"{name} is not")
            if finding:
                return finding
        apart = {name: values for name, values in scaled.items() if not _is_tied(name, config)}
        together = np.concatenate(list(apart.values()))
        findings = (_as_many_within(n, together, "the matrices are not") for n in SHARES_WITHIN)
        return next(filter(None, findings), None)

    return judge


def _is_tied(name: str, config: ReferenceConfig) -> bool:
    """Is it a second name of a tensor, whose numbers would count twice?"""
    return any(name in names[1:] for names in tied_names(config))


def _as_many_within(deviations: float, values, what: str) -> Finding | None:
    wanted = math.erf(deviations / math.sqrt(2))
    share = (np.abs(values) < deviations).mean()
    # In half precision many numbers are the same, at a bound as well.
    error = math.sqrt(wanted * (1 - wanted) / values.size)
    if abs(share - wanted) <= FAR * error:
        return None
    return Finding(
        f"{what} normally distributed",
        expected=f"{wanted:.2%} of the numbers within {deviations:g} standard deviations of 0",
        got=f"{share:.2%}",
    )


def drawn_apart(config: ReferenceConfig):
    """Judge: no two matrices hold the same numbers, unless they are one."""

    def judge(seen):
        for names in attribute_of(seen, "equal"):
            if names not in tied_names(config):
                return Finding(
                    f"{str(names[0])[:50]} and {str(names[1])[:50]} hold the same numbers",
                    expected="each drawn by itself",
                )
        return None

    return judge


def wide_config(**changes) -> ReferenceConfig:
    """Sizes at which a standard deviation is known within a few percent."""
    sizes = {"vocab_size": 61, "context_length": 37, "d_model": 35, "n_heads": 5, "n_layers": 3}
    return ReferenceConfig(**(sizes | changes))


def has_dtype(dtype: str):
    """Judge: all tensors of the model have this dtype."""

    def judge(seen):
        found = attribute_of(seen, "dtypes")
        if found == [dtype]:
            return None
        return Finding(
            "wrong dtype of the weights", expected=dtype, got=" and ".join(map(str, found))[:60]
        )

    return judge
