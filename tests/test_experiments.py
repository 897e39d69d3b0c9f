"""The book's experiments: each claim is held to its record, and each record to its code."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.experiments import evidence, fingerprint, records, running
from course_lib.experiments.experiment import Claim, Experiment, Runs, how_many, share, spread
from course_lib.experiments.page_code import page_of, page_text
from course_lib.plots import curves

EXPERIMENTS = running.experiments()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_record_was_made_by_the_code_that_stands_here(name):
    assert running.is_current(name, EXPERIMENTS[name]), f"run: course experiments {name}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_record_bears_out_what_is_claimed(name):
    assert EXPERIMENTS[name].claims
    assert not running.refuted(name, EXPERIMENTS[name])


def test_the_page_shows_the_records():
    text = evidence.PAGE.read_text("utf-8")
    assert evidence.filled(text, EXPERIMENTS) == text, "run: course experiments"


def test_every_record_belongs_to_an_experiment():
    assert {path.stem for path in records.FOLDER.glob("*.json")} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_claim_can_be_refuted(name):
    """A claim that holds of every record says nothing. With the arms' labels dealt out in another
    order, or with all that was seen the same, at least one of an experiment's claims must fall."""
    experiment, record = EXPERIMENTS[name], records.read_record(name)
    arms = list(record["arms"])
    for claim in experiment.claims:
        fell = False
        for shift in range(1, len(arms)):
            dealt = dict(zip(arms, arms[shift:] + arms[:shift], strict=True))
            seen = {arm: [run["seen"] for run in record["arms"][dealt[arm]]] for arm in arms}
            fell = fell or not _holds(claim, seen)
        for value in (0.0, 1e9, -1e9):
            seen = {
                arm: [_all_become(run["seen"], value) for run in runs]
                for arm, runs in record["arms"].items()
            }
            fell = fell or not _holds(claim, seen)
        assert fell, f"nothing could refute it: {claim.says(records.Recorded(record))}"


def _holds(claim: Claim, seen: dict) -> bool:
    with np.errstate(all="ignore"):
        try:
            return bool(claim.holds(Runs(seen)))
        except (KeyError, IndexError):
            return False


def _all_become(seen: dict, value: float) -> dict:
    return {
        name: [value] * len(old) if isinstance(old, list) else value for name, old in seen.items()
    }


# --- the command ---


def course(*words):
    return CliRunner().invoke(main, ["experiments", *words])


def test_the_command_lists_them_and_says_which_have_to_be_run():
    listed = course("--list")
    assert listed.exit_code == 0
    assert all(f"  {name}\n" in listed.output for name in EXPERIMENTS)
    assert "has to be run" not in listed.output


def test_what_is_on_record_is_not_run_again():
    done = course()
    assert done.exit_code == 0, done.output
    assert f"0 of {len(EXPERIMENTS)} experiments were run" in done.output


def test_an_unknown_name_is_wrong_usage():
    wrong = course("held_back_ridles")
    assert wrong.exit_code == 2
    assert "'held_back_ridles'. Did you mean held_back_riddles? " in wrong.output


@pytest.mark.slow
def test_run_again_an_experiment_bears_out_its_record():
    again = course("--again", "held_back_riddles")
    assert again.exit_code == 0, again.output
    assert "1 run again, 0 differences from the record." in again.output


# --- the machinery, on a small book ---

PAGE = '''# A page

```{code-cell} python
import random

SIDES = 6  # of a die


def throw(seed):
    """One throw."""
    return random.Random(seed).randint(1, SIDES)


def unused():
    return 0
```
'''


@pytest.fixture
def book(tmp_path):
    (tmp_path / "00_dice.md").write_text(PAGE)
    return tmp_path


def run(page, seed, more):
    return {"points": page.throw(seed) + more, "curve": [seed, more]}


DICE = Experiment(
    lesson="00_dice",
    question="Does it help to add ten?",
    run=run,
    uses=["throw"],
    arms={"plain": {"more": 0}, "with ten": {"more": 10}},
    claims=[
        Claim(
            lambda r: f"With ten it is {spread(r['with ten', 'points'])}.",
            lambda r: (r["with ten", "points"] > r["plain", "points"]).all(),
        )
    ],
)


def test_a_page_gives_what_is_asked_for_and_what_that_needs(book):
    text = page_text("00_dice", ["throw"], book)
    assert "import random" in text
    assert "SIDES = 6" in text
    assert "unused" not in text
    assert page_of("00_dice", ["throw", "SIDES"], book=book).throw(1) <= 6
    with pytest.raises(KeyError, match="must define thrown"):
        page_text("00_dice", ["thrown"], book)


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("SIDES = 6 ", "SIDES = 8 ", True),
        ("randint(1, SIDES)", "randint(0, SIDES)", True),
        ("# of a die", "# of every die", False),
        ("One throw.", "Throw once.", False),
        ("# A page", "# Another page", False),
        ("return 0", "return 1", False),
    ],
)
def test_a_change_of_what_runs_asks_for_a_new_record(book, old, new, differs):
    before = fingerprint.fingerprint(DICE, book)
    other = book / "other"
    other.mkdir()
    (other / "00_dice.md").write_text(PAGE.replace(old, new))
    assert (fingerprint.fingerprint(DICE, other) != before) == differs


def test_what_a_page_imports_of_the_course_counts_too(tmp_path, monkeypatch):
    """From definition to definition: another component of the same module does not count."""
    package = tmp_path / "course_lib"
    shutil.copytree(fingerprint.PACKAGE / "transformer", package / "transformer")
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    (tmp_path / "00_dice.md").write_text(
        "# A page\n\n```{code-cell} python\n"
        "from course_lib.transformer.attention import attention\n```\n"
    )
    attention = package / "transformer" / "attention.py"

    def made_by():
        fingerprint._statements.cache_clear()
        reached = {}
        text = page_text("00_dice", ["attention"], tmp_path)
        fingerprint._reach_imports(text, None, reached)
        return {name: body for (_, name), body in reached.items()}

    before, source = made_by(), attention.read_text()
    attention.write_text(source.replace("def attention_numpy(", "def attention_numpy(\n    "))
    assert made_by() == before
    attention.write_text(source.replace("math.sqrt(", "math.sqrt(0 + "))
    assert made_by() != before


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    ran = []

    class Pool:  # in this process, so that what runs can be counted
        def __init__(self, *_):
            pass

        def submit(self, function, *task):
            ran.append(task)
            if len(ran) == 4:
                raise KeyboardInterrupt
            future = running_future()
            future.set_result({"seed": task[2], "seconds": 0.1, "seen": {"points": task[2]}})
            return future

        def shutdown(self, **_):
            pass

    from concurrent.futures import Future as running_future

    monkeypatch.setattr(running, "fingerprint", lambda experiment: "abc")
    notes, folder = tmp_path / "notes", tmp_path / "records"
    notes.mkdir()
    lines = [{"arm": "plain", "seed": s, "seconds": 1.0, "seen": {"points": 3}} for s in range(4)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (notes / "dice-abc.jsonl").write_text(text + '{"arm": "plain", "se')  # the plug was pulled
    monkeypatch.setattr(running, "ProcessPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        list(running.run_all({"dice": DICE}, notes=notes, folder=folder))
    assert not folder.exists()
    ran.clear()
    monkeypatch.setattr(
        Pool, "submit", lambda self, f, *task: _at_once(running_future(), task, ran)
    )
    done = list(running.run_all({"dice": DICE}, notes=notes, folder=folder))
    assert len(done) == 6
    assert done[-1].n_done == done[-1].n_all == 10
    assert not {("dice", "plain", seed) for seed in range(4)} & set(ran)
    record = records.read_record("dice", folder)
    assert [len(runs) for runs in record["arms"].values()] == [5, 5]


def _at_once(future, task, ran):
    ran.append(task)
    future.set_result({"seed": task[2], "seconds": 0.1, "seen": {"points": task[2]}})
    return future


def test_a_record_that_came_out_otherwise_is_told(tmp_path):
    def record(*points):
        runs = [{"seed": s, "seconds": 1, "seen": {"points": p}} for s, p in enumerate(points)]
        plain = [{"seed": s, "seconds": 1, "seen": {"points": 3}} for s in range(5)]
        return {"formats": {}, "arms": {"plain": plain, "with ten": runs}}

    records.write_record("dice", record(12, 13, 14, 15, 16), tmp_path)
    assert not running.differences("dice", DICE, record(13, 12, 16, 14, 14), tmp_path)
    assert "median is 30" in running.differences("dice", DICE, record(*[30] * 5), tmp_path)[0]
    assert "no longer holds" in running.differences("dice", DICE, record(*[1] * 5), tmp_path)[0]


def test_a_table_that_is_wider_than_a_page_goes_one_below_the_other():
    def of(*measures):
        runs = [{"seen": dict.fromkeys(measures, 0.5 + seed)} for seed in range(5)]
        return records.Recorded({"formats": {}, "arms": {"plain": runs, "with ten": runs}})

    assert of("loss").table().splitlines()[1:] == [
        "           loss",
        "plain      2.5 (0.5 to 4.5)",
        "with ten   2.5 (0.5 to 4.5)",
    ]
    names = [f"what was seen {number}" for number in range(4)]
    wide = of(*names).table().splitlines()
    assert max(map(len, wide)) <= records.WIDTH
    assert wide[1:4] == [
        "what was seen 0:",
        "  plain      2.5 (0.5 to 4.5)",
        "  with ten   2.5 (0.5 to 4.5)",
    ]


def test_what_is_said_of_numbers():
    assert spread(np.array([2.0, 2.0])) == "2"
    assert share(np.array([0.5, 1.0])) == "50 % to 100 %"
    assert how_many(np.array([True, False])) == "in 1 of 2 seeds"
    assert how_many(np.array([True, True])) == "in all 2 seeds"


def test_an_experiment_compares_and_has_seeds():
    with pytest.raises(ValueError, match="two arms"):
        Experiment("00_dice", "?", run, {"plain": {}}, [])
    with pytest.raises(ValueError, match="five seeds"):
        Experiment("00_dice", "?", run, {"a": {}, "b": {}}, [], seeds=3)


def test_other_seeds_are_drawn_as_a_band():
    picture = curves(
        {"right": [1.0, 2.0, 3.0]}, xlabel="x", ylabel="y", seeds={"right": np.ones((5, 7))}
    )
    assert len(picture.axes[0].collections) == 1
