"""What the checks of generation compare says something: texts vary, draws are told apart."""

import numpy as np
import pytest

from course_lib.checks import find
from course_lib.checks.cases.draw import Draw
from course_lib.checks.judges.seen import Seen
from course_lib.checks.lessons.generation.fixtures import DEVIATIONS, N_ROWS
from course_lib.checks.lessons.generation.generate import expected_text
from course_lib.checks.lessons.generation.sample import drawn_by
from course_lib.checks.oracles.generation import distribution, greedy_text, rolling_logits, top_p


def calls(component: str, seed: int) -> list[dict]:
    own = [prop for prop in find(component).properties if not prop.kind]
    return [case.call for prop in own for case in prop.cases(Draw(seed))]


def drawn(ids) -> Seen:
    """An observation of these ids."""
    part = {"kind": "tensor", "array": np.asarray(ids), "dtype": "int64", "device": "cpu"}
    return Seen({"error": None, "draws": [part]})


@pytest.mark.parametrize("seed", range(5))
def test_greedy_texts_vary_within_a_row_and_from_row_to_row(seed):
    long_enough = [
        call
        for call in calls("generate", seed)
        if call["kwargs"].get("temperature") == 0.0 and call["args"][1] >= 5
    ]
    assert len(long_enough) >= 8
    for call in long_enough:
        ids, n_new = call["args"]
        new = expected_text(call["model"], ids, n_new)[:, ids.shape[1] :]
        assert len(np.unique(new)) >= 3
        assert len(ids) == 1 or len(np.unique(new, axis=0)) > 1


def test_the_model_of_the_check_hears_every_token_and_how_many_there_are():
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((101, 7)), rng.integers(0, 7, (1, 6))
    logits = rolling_logits(table, ids, 9)
    for place in range(6):
        other = ids.copy()
        other[0, place] = (other[0, place] + 1) % 7
        assert not np.array_equal(rolling_logits(table, other, 9), logits)
    for length in (5, 4, 3):
        assert not np.array_equal(rolling_logits(table, ids, length), logits)


def test_a_fair_draw_passes_and_one_that_favours_a_token_does_not():
    rng = np.random.default_rng(0)
    wanted = np.array([[0.5, 0.3, 0.2, 0.0]])
    judge = drawn_by(wanted, N_ROWS)
    assert judge(drawn(rng.choice(4, N_ROWS, p=wanted[0]))) is None
    assert judge(drawn(rng.choice(4, N_ROWS, p=[0.6, 0.2, 0.2, 0.0]))) is not None
    assert judge(drawn(rng.choice(4, N_ROWS, p=[0.49, 0.3, 0.2, 0.01]))) is not None
    assert judge(drawn(np.sort(rng.choice(4, N_ROWS, p=wanted[0])))) is not None


def test_the_bound_on_frequencies_is_wide_for_chance_and_narrow_for_mistakes():
    assert DEVIATIONS >= 6  # twice in a thousand million
    assert DEVIATIONS * (0.25 / N_ROWS) ** 0.5 < 0.07


def test_the_oracle_keeps_the_smallest_set_that_reaches_p():
    logits = np.log([[0.05, 0.5, 0.15, 0.3]])
    assert top_p(logits, 0.9).tolist() == [[False, True, True, True]]
    assert top_p(logits, 0.7).tolist() == [[False, True, False, True]]
    assert top_p(logits, 1e-9).tolist() == [[False, True, False, False]]
    assert distribution(logits, top_k=2)[0].round(3).tolist() == [0, 0.625, 0, 0.375]


def test_the_greedy_oracle_appends_the_likeliest():
    def points_on(ids):
        return np.eye(5)[(ids[:, -1] + 1) % 5]

    assert greedy_text(points_on, np.array([[3]]), 4).tolist() == [[3, 4, 0, 1, 2]]
