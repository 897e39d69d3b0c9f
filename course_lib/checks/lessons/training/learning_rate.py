"""What must hold of `learning_rate`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.tolerances import BY_DTYPE
from ...oracles import training as oracles
from .fixtures import LESSON
from .one_number import is_a_number, number_is

learning_rate = ComponentCheck("learning_rate", "training", LESSON)


def _rate_cases(steps, **schedule):
    for step in steps:
        expected = oracles.learning_rate(step, **schedule)
        case = learning_rate.call(step, **schedule)
        yield case.expect(number_is(expected, BY_DTYPE["float64"]))


def _schedule(draw: Draw, warmup_steps: int, cosine_steps: int) -> dict:
    max_lr = float(draw.integers(20, 90)) / 1000
    return {
        "max_lr": max_lr,
        "min_lr": max_lr * float(draw.integers(1, 4)) / 10,
        "warmup_steps": warmup_steps,
        "total_steps": warmup_steps + cosine_steps,
    }


@learning_rate.core(
    "it returns one Python float",
    hint="return the rate; what torch computed becomes a number by .item()",
    fits=("type",),
)
def rate_is_a_number(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    for step in (0, warmup_steps + 1, warmup_steps + cosine_steps + 1):
        schedule = _schedule(draw, warmup_steps, cosine_steps)
        yield learning_rate.call(step, **schedule).expect(is_a_number)


@learning_rate.core(
    "before warmup_steps: a line, max_lr·(step + 1) / (warmup_steps + 1)",
    hint="step 0 must move already: not 0, but the first of warmup_steps + 1 equal stairs",
)
def rate_warm_up(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, cosine_steps)
    yield from _rate_cases((0, 1, warmup_steps // 2, warmup_steps - 1), **schedule)
    yield from _rate_cases((0,), **_schedule(draw, 1, cosine_steps))


@learning_rate.core(
    "max_lr at warmup_steps, and half a cosine from there to min_lr at total_steps",
    hint="from max_lr to min_lr along half a cosine: min_lr + (max_lr - min_lr) · (1 + cos) / 2",
)
def rate_cosine(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, 4 * cosine_steps)
    total = schedule["total_steps"]
    steps = [warmup_steps + part * cosine_steps for part in range(4)]
    yield from _rate_cases((*steps, warmup_steps + 1, total - 1, total), **schedule)


@learning_rate.core(
    "after total_steps it stays at min_lr", hint="cos would rise again: the share done ends at 1"
)
def rate_after_the_end(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, cosine_steps)
    total = schedule["total_steps"]
    yield from _rate_cases((total + 1, total + cosine_steps, 2 * total, 1000 * total), **schedule)


@learning_rate.edge(
    "without warm-up the first step has max_lr",
    hint="warmup_steps=0 must divide nothing by 0",
    fits=("raised", "not finite"),
)
def rate_without_warm_up(draw: Draw):
    (cosine_steps,) = draw.sizes(1)
    schedule = _schedule(draw, 0, cosine_steps)
    yield from _rate_cases((0, 1, cosine_steps - 1, cosine_steps, cosine_steps + 1), **schedule)
    yield from _rate_cases((0, 1, 2), **_schedule(draw, 0, 1))


@learning_rate.edge(
    "min_lr may be 0 or max_lr, and the cosine may last a single step",
    hint="nothing may be divided by min_lr or by max_lr - min_lr",
    fits=("raised", "not finite"),
)
def rate_corners(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    for share in (0.0, 1.0):
        schedule = _schedule(draw, warmup_steps, cosine_steps)
        schedule["min_lr"] = share * schedule["max_lr"]
        total = schedule["total_steps"]
        yield from _rate_cases((0, warmup_steps, total - 1, total, total + 3), **schedule)
    schedule = _schedule(draw, warmup_steps, 1)
    yield from _rate_cases(range(warmup_steps - 1, warmup_steps + 3), **schedule)


@learning_rate.asked(
    "real sizes",
    "hundreds of thousands of steps, each with a rate of its own",
    hint="Python's own numbers have sixteen digits",
)
def rate_of_real_size(draw: Draw):
    schedule = {"max_lr": 6e-4, "min_lr": 6e-5, "warmup_steps": 2000, "total_steps": 600_000}
    steps = (0, 1999, 2000, 2001, 300_001, 599_999, 600_000)
    yield from _rate_cases(steps, **schedule)
