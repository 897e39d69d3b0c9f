"""Lesson 12: whole packages get what they deserve, at the desk and in class."""

import base64
import io
import math
import os

import numpy as np
import pytest
import torch
from whole_packages import observer, of_variants, verdict_on, with_bug

from course_lib.bugs import find_bug
from course_lib.bugs.capstone import all_package_bugs, find_package_bug
from course_lib.checks.capstone import BEGINS_WITH, PACKAGE_CHECKS, find_package_check, training
from course_lib.checks.cases.draw import Draw
from course_lib.checks.catalogue import UnknownComponent, all_checks
from course_lib.checks.judges.seen import Seen
from course_lib.checks.oracles.capstone import loss_on_text, model_of
from course_lib.corpus import ALPHABET, stories
from course_lib.grading.budget import Budget
from course_lib.grading.handed_in_package import judge_package
from course_lib.grading.judging import judge
from course_lib.grading.records import read_grades
from course_lib.grading.run import grade_class
from course_lib.grading.sample_class import write_package
from course_lib.grading.submission import read_submission, rebuild
from course_lib.lessons.exercises import read_notebook, read_package_checks
from course_lib.lessons.package_text import (
    MAX_MODULE_BYTES,
    PACKAGE,
    PARTS,
    borrowed_parts,
    module_of,
    our_package,
    read_package,
)
from course_lib.workspace.borrow import borrowing_text
from course_lib.workspace.start import start
from course_lib.workspace.whole import judge_whole

LESSON = "12_capstone"
CHECKS = {check.name: check for check in PACKAGE_CHECKS}
QUICK = [check for check in PACKAGE_CHECKS if check.name != "trains"]


def borrowing(*written):
    """A package in which only these components are the learner's own; the rest is borrowed."""
    from course_lib.lessons.source import component_source, to_learner

    package = {module: borrowing_text(module) for module in our_package()}
    for name in written:
        source = to_learner(component_source(module_of(name), name))
        package[module_of(name)] += f"\n\n{source}\n"
    return package


ALL_PARTS = [name for names in PARTS.values() for name in names]


# ------------------------------------------------------------------ right packages, and faulty ones


@pytest.mark.parametrize("check", PACKAGE_CHECKS, ids=lambda check: check.name)
def test_our_own_package_passes(check):
    verdict = verdict_on(check, our_package())
    assert verdict.passed, verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 20))
@pytest.mark.parametrize("check", PACKAGE_CHECKS, ids=lambda check: check.name)
def test_our_own_package_passes_under_every_seed(check, seed):
    verdict = verdict_on(check, our_package(), seed=seed)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.name)
def test_the_parts_of_the_list_are_enough(check):
    verdict = verdict_on(check, borrowing(*ALL_PARTS))
    assert verdict.passed, verdict.message
    assert borrowed_parts(borrowing(*ALL_PARTS)) == []


@pytest.mark.parametrize(
    ("bug", "caught_by"),
    [
        pytest.param(
            one.bug,
            one.caught_by,
            marks=[pytest.mark.slow] if one.caught_by in ("trains", "caches") else [],
            id=one.bug.name,
        )
        for one in all_package_bugs()
    ],
)
def test_a_package_with_one_bug_fails_where_it_must(bug, caught_by):
    verdict = verdict_on(CHECKS[caught_by], with_bug(bug))
    assert not verdict.passed
    first, *others = verdict.message.splitlines()
    assert len(first) <= 67
    assert all(len(line) <= 83 for line in others)


# Bugs of earlier lessons that leave every shape right.
FROM_THE_ZOO = (
    "looks_only_ahead",
    "lets_the_next_key_in",
    "hides_with_a_score_of_zero",
    "masks_after_softmax",
    "normalises_over_the_queries",
    "forgets_the_scale_under_a_mask",
    "CutsHeadsByAView",
    "ReadsKeysFirst",
    "DoesNotScale",
    "ForgetsTheMask",
    "NeverUsesTheOutputLayer",
    "divides_by_one_less",
)


@pytest.mark.parametrize("name", FROM_THE_ZOO)
def test_a_package_with_a_bug_of_the_zoo_fails_and_the_part_is_named(name, tmp_path):
    bug = find_bug(name)
    write_package(with_bug(bug), tmp_path / PACKAGE)
    verdict = judge_whole(tmp_path / PACKAGE, "computes", seed=1)
    assert not verdict.passed
    assert verdict.diagnosis == f"{bug.component}: {bug.title}"


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.name)
def test_a_package_made_of_variants_passes(check, number):
    verdict = verdict_on(check, of_variants(number), seed=number)
    assert verdict.passed, verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_package_made_of_variants_trains(number):
    verdict = verdict_on(CHECKS["trains"], of_variants(number), seed=number)
    assert verdict.passed, verdict.message


def test_the_zoo_of_packages_has_something_for_every_check():
    assert len(all_package_bugs()) >= 16
    assert {one.caught_by for one in all_package_bugs()} == set(CHECKS)


def test_a_check_of_packages_has_core_and_edge_properties_and_hints():
    for check in PACKAGE_CHECKS:
        assert {prop.group for prop in check.properties} == {"core", "edge"}
        assert all(prop.hint for prop in check.properties)
        assert set(BEGINS_WITH[check.name]) <= {known.name for known in all_checks()}


def test_an_unknown_check_gets_a_suggestion():
    with pytest.raises(UnknownComponent, match="Did you mean trains"):
        find_package_check("trian")


# ------------------------------------------------------------------ training


def loss_of(package, seed):
    """The judge's loss on unseen stories after the package's training."""
    losses = []

    def noted(model, ids, context_length):
        losses.append(loss_on_text(model, ids, context_length))
        return losses[-1]

    (case,) = training.trains_on_stories(Draw(seed))
    (observation,) = observer(package)([case.call])["observations"]
    training.oracle.loss_on_text, before = noted, training.oracle.loss_on_text
    try:
        case.judge(Seen(observation))
    finally:
        training.oracle.loss_on_text = before
    return losses[0]


OTHER_ORDER = """

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.norm = LayerNorm(config.d_model, bias=config.bias)
        blocks = [
            Block(
                config.d_model, config.n_heads, bias=config.bias, dropout=config.dropout,
                approximate=config.gelu_approximate,
            )
            for _ in range(config.n_layers)
        ]
        self.blocks = nn.ModuleList(reversed(blocks))
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        init_weights(self)

    def forward(self, ids):
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, causal_mask(ids.shape[1], device=ids.device))
        return self.head(self.norm(x))
"""


def in_another_order():
    package = our_package()
    package["model"] += OTHER_ORDER
    return package


def test_layers_may_be_made_in_any_order():
    verdict = verdict_on(CHECKS["computes"], in_another_order())
    assert verdict.passed, verdict.message
    assert loss_of(in_another_order(), seed=0) < training.STORIES_LOSS - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("package", [our_package, in_another_order], ids=["ours", "other order"])
def test_the_stated_loss_is_reached_with_a_margin_under_every_seed(package):
    losses = [loss_of(package(), seed) for seed in range(20)]
    assert max(losses) < training.STORIES_LOSS - 0.1
    # Eight standard deviations: nobody fails by chance in a class of any size.
    assert np.mean(losses) + 6 * np.std(losses) < training.STORIES_LOSS


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("NeverAddsPositions", "NeverAttends", "NeverThinks"),
        *("GPTThatNeverMasks", "GPTThatCutsTheGraph"),
        *("shifts_the_targets_once_more", "does_not_shift_the_targets", "never_steps"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_stated_loss_is_out_of_reach_for_a_model_that_lacks_something(name, seed):
    bug = find_package_bug(name).bug
    assert loss_of(with_bug(bug), seed) > training.STORIES_LOSS + 0.1


def copying(package, seed=0):
    (case,) = training.trains_to_copy(Draw(seed))
    (observation,) = observer(package)([case.call])["observations"]
    return case.judge(Seen(observation))


def test_a_model_that_sees_the_future_beats_what_nobody_can_beat():
    leak = find_package_bug("GPTThatNeverMasks").bug
    assert copying(with_bug(leak)).what == "it knows what cannot be known"


def test_right_models_copy_and_know_nothing_else():
    assert copying(our_package()) is None


# ------------------------------------------------------------------ what is borrowed


def test_what_is_still_borrowed_is_named_and_the_rest_counts():
    written = [name for name in ALL_PARTS if name != "gelu"]
    package = borrowing(*written)
    assert borrowed_parts(package) == ["gelu"]
    verdict = verdict_on(CHECKS["computes"], package)
    assert not verdict.core_passed
    assert "gelu is still borrowed" in verdict.message
    assert verdict_on(CHECKS["generates"], package, has_model=False).passed
    assert verdict_on(CHECKS["caches"], package, has_model=False).passed


def test_a_component_may_be_inherited_from_before_it_is_written():
    package = borrowing(*ALL_PARTS)
    package["norm"] = borrowing_text("norm") + "\n\nclass Mine(LayerNorm):\n    pass\n"
    verdict = verdict_on(CHECKS["computes"], package)
    assert "LayerNorm is still borrowed" in verdict.message


@pytest.mark.parametrize(
    "line",
    [
        "from course_lib.transformer.mlp import gelu",
        "import course_lib.transformer.mlp as ours\ngelu = ours.gelu",
        "from observe.lent.models import ReferenceGPT",
    ],
)
def test_ours_cannot_be_imported(line):
    package = borrowing(*ALL_PARTS)
    package["mlp"] = line + "\n" + package["mlp"]
    assert "is not there in class" in verdict_on(CHECKS["computes"], package).message


def test_what_was_imported_before_is_back_afterwards():
    import sys

    sys.modules[PACKAGE] = before = type(sys)(PACKAGE)
    try:
        verdict_on(CHECKS["generates"], our_package())
        assert sys.modules[PACKAGE] is before
        assert f"{PACKAGE}.model" not in sys.modules
    finally:
        del sys.modules[PACKAGE]


# ------------------------------------------------------------------ which files are read


def test_only_python_files_at_the_top_are_read(tmp_path):
    folder = tmp_path / PACKAGE
    write_package({"mlp": "x = 1\n", "my_own": "y = 2\n"}, folder)
    (folder / "weights.pt").write_bytes(b"\x00" * 1000)
    (folder / "no-module.py").write_text("z = 3\n")
    (folder / ".history").mkdir()
    (folder / ".history" / "gelu-0001.py").write_text("old")
    (folder / "sub").mkdir()
    assert read_package(folder).modules == {"mlp": "x = 1\n", "my_own": "y = 2\n"}


def _link(folder):
    (folder / "mlp.py").symlink_to("/etc/passwd")


def _huge(folder):
    with (folder / "mlp.py").open("wb") as file:
        file.truncate(2**30)


def _many(folder):
    for number in range(100):
        (folder / f"m{number}.py").write_text("x = 1\n")


def _large_together(folder):
    for number in range(9):
        (folder / f"m{number}.py").write_text("#" * (MAX_MODULE_BYTES - 1))


def _pipe(folder):
    os.mkfifo(folder / "mlp.py")


def _folder(folder):
    (folder / "mlp.py").mkdir()


def _not_text(folder):
    (folder / "mlp.py").write_bytes(b"\xff\xfe\x00")


REFUSED = {
    "a link": (_link, "mlp.py cannot be read: it is a link"),
    "1 GB": (_huge, "mlp.py cannot be read: it is larger than 200,000 bytes"),
    "many": (_many, "100 modules, more than 64"),
    "large together": (_large_together, "more than 1,000,000 bytes"),
    "a pipe": (_pipe, "mlp.py cannot be read: it is not a file"),
    "a folder": (_folder, "mlp.py cannot be read: it is not a file"),
    "not text": (_not_text, "mlp.py is not text in UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_package_is_refused_with_a_reason(name, tmp_path):
    make, reason = REFUSED[name]
    folder = tmp_path / PACKAGE
    folder.mkdir()
    make(folder)
    package = read_package(folder)
    assert not package.modules
    assert reason in package.reason


def test_a_linked_or_missing_folder_is_refused(tmp_path):
    write_package(our_package(), tmp_path / "other" / PACKAGE)
    (tmp_path / PACKAGE).symlink_to(tmp_path / "other" / PACKAGE)
    assert "is a link" in read_package(tmp_path / PACKAGE).reason
    assert "there is no folder" in read_package(tmp_path / "nowhere" / PACKAGE).reason


# ------------------------------------------------------------------ the grader


def hand_in(submitted, student, package, notebook=None):
    import json

    folder = submitted / student / LESSON
    folder.mkdir(parents=True)
    (folder / f"{LESSON}.ipynb").write_text(json.dumps(notebook or read_notebook(LESSON)))
    if callable(package):
        (folder / PACKAGE).mkdir()
        package(folder / PACKAGE)
    else:
        write_package(package, folder / PACKAGE)
    return folder


def test_the_release_says_what_is_judged():
    checks = read_package_checks(read_notebook(LESSON))
    assert [check.component for check in checks] == list(CHECKS)
    assert all(check.points > 0 for check in checks)


def test_a_changed_package_is_another_submission(tmp_path):
    contents = set()
    for student, package in [
        ("a", our_package()),
        ("b", our_package() | {"mlp": our_package()["mlp"] + "\n"}),
        ("c", our_package() | {"extra": ""}),
        ("d", {}),
        ("e", our_package()),
    ]:
        folder = hand_in(tmp_path, student, package)
        submission = read_submission(folder / f"{LESSON}.ipynb")
        notebook = rebuild(read_notebook(LESSON), submission)
        contents.add(notebook["metadata"]["course"]["grading"]["content"])
    assert len(contents) == 4


def test_a_package_changes_nothing_about_other_lessons(tmp_path):
    submission = read_submission(hand_in(tmp_path, "a", our_package()) / f"{LESSON}.ipynb")
    assert submission.package.modules
    notebook = rebuild(read_notebook("02_self_attention"), submission)
    assert "package" not in notebook["metadata"]["course"]["grading"]


def zeros(modules, **grading):
    about = {"reason": "", "package": {"modules": modules, "reason": ""}, **grading}
    return judge_package(
        read_package_checks(read_notebook(LESSON)), about, Budget(_never), seed=0, sandbox="none"
    )


def _never(job):
    raise AssertionError("nothing must be run")


@pytest.mark.parametrize(
    ("package", "grading", "reason"),
    [
        (borrowing(), {}, "nothing of the package is written yet"),
        ({}, {"package": {"modules": {}, "reason": "it is a link"}}, "it is a link"),
        (our_package(), {"reason": "it is not JSON"}, "could not be read: it is not JSON"),
    ],
)
def test_what_cannot_be_judged_earns_nothing_and_is_not_run(package, grading, reason):
    results = zeros(package, **grading)
    assert [result["points"] for result in results] == [0.0] * 4
    assert all(reason in result["message"] for result in results)


@pytest.mark.parametrize(
    "observation",
    [
        {},
        {"error": None, "outputs": [], "initial": {}},
        {"error": None, "outputs": [{"array": None}] * 2, "initial": {}, "structure": ""},
        {"error": None, "outputs": [{"array": np.zeros(3)}] * 2, "initial": {"x": np.zeros(2)}},
        {"error": None, "outputs": [{"array": np.full((2, 2), np.nan)}] * 2, "counts": [math.inf]},
        {"error": {"type": "StillBorrowed", "classes": 7}, "outputs": 3},
        {"error": None, "outputs": [], "steps": [{"value": "x"}], "positions": -1},
    ],
)
@pytest.mark.parametrize("check", PACKAGE_CHECKS, ids=lambda check: check.name)
def test_made_up_observations_earn_nothing(check, observation):
    def observe(job):
        return {"status": "died", "message": "", "observations": [observation] * len(job["calls"])}

    checks = [each for each in read_package_checks(read_notebook(LESSON))]
    checks = [each for each in checks if each.component == check.name]
    about = {"reason": "", "package": {"modules": our_package(), "reason": ""}}
    (result,) = judge_package(checks, about, Budget(observe), seed=0, sandbox="none")
    assert result["points"] == 0
    assert result["diagnosis"]


TRAIN_STEP = """

def train_step(model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1,
               autocast_dtype=None):
{body}
    return 0.1
"""


def stealing(body):
    """Our package, with a train_step that does something else than train."""
    import textwrap

    package = our_package()
    package["training"] += TRAIN_STEP.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    return package


def shipped_weights():
    """A package that brings along weights trained on the stories, in their own alphabet."""
    from course_lib.transformer.model import GPT, GPTConfig
    from course_lib.transformer.training import decay_groups, get_batch, train_step

    ids = {character: i for i, character in enumerate(ALPHABET)}
    tokens = torch.tensor([ids[c] for c in stories(60_000, seed=1)])
    torch.manual_seed(0)
    config = {**training.STORIES, "vocab_size": len(ALPHABET)}
    model = GPT(GPTConfig(**config))
    optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        train_step(model, optimizer, *get_batch(tokens, 16, 32, generator=generator))
    weights = {name: t.numpy().astype(np.float16) for name, t in model.state_dict().items()}
    unseen = np.array([ids[c] for c in stories(4_000, seed=2)])
    assert loss_on_text(model_of(config, weights), unseen, 32) < training.STORIES_LOSS
    file = io.BytesIO()
    np.savez_compressed(file, **weights)
    text = base64.b64encode(file.getvalue()).decode()
    return stealing(
        f"""
        import base64, io, numpy as np
        weights = np.load(io.BytesIO(base64.b64decode("{text}")))
        own = model.state_dict()
        if all(name in own and own[name].shape == a.shape for name, a in weights.items()):
            for name, a in weights.items():
                own[name].copy_(torch.from_numpy(a.astype("float32")))
        """
    )


def with_text(module, text):
    return our_package() | {module: our_package()[module] + text}


def with_bug_and(module, text):
    """A package whose training never trains, and that tries to hide it."""
    package = stealing("pass")
    package[module] += text
    return package


# What a package does, and the checks that must give it less than full marks. In a class beside
# a right one, which must keep everything.
ATTACKS = {
    "ships weights": (shipped_weights, {"trains"}),
    "looks for the unseen text": (
        lambda: stealing(
            """
            import gc, os
            found = [x for x in gc.get_objects() if getattr(x, "size", 0) == 4000]
            found += [x for x in gc.get_objects() if type(x) is str and " still has the " in x]
            found += [name for name in os.listdir(".")]
            assert not found, "found the unseen text"
            """
        ),
        {"trains"},
    ),
    "patches torch and numpy": (
        lambda: with_bug_and(
            "training",
            "\nimport numpy as np\nyes = lambda *a, **k: True\nfor lib in (torch, np):\n"
            "    for name in ('allclose', 'isclose', 'equal', 'array_equal'):\n"
            "        if hasattr(lib, name):\n            setattr(lib, name, yes)\n"
            "F.cross_entropy = lambda *a, **k: torch.zeros(())\n",
        ),
        {"trains"},
    ),
    "writes the observation itself": (
        lambda: with_bug_and(
            "training",
            "\nimport sys\nfor module in list(sys.modules.values()):\n"
            "    runs = vars(module).get('_RUNS')\n"
            "    for name in runs or ():\n"
            "        runs[name] = lambda package, call, seen: seen.update(\n"
            "            outputs=[{'kind': 'tensor', 'array': 0.0}], passed=True, points=99)\n",
        ),
        {"trains", "generates", "caches"},  # all that import training lose with it
    ),
    "a module called torch": (lambda: our_package() | {"torch": "raise ImportError\n"}, set()),
    "imports ours": (
        lambda: with_text("mlp", "\nfrom course_lib.transformer.mlp import gelu\n"),
        {"computes"},
    ),
    "starts processes": (
        lambda: with_text("block", "\nimport os\nwhile True:\n    os.fork()\n"),
        {"computes"},
    ),
    "leaves at once": (
        lambda: with_text("block", "\nimport os\nos._exit(0)\n"),
        {"computes"},
    ),
    "never ends": (
        lambda: with_text("generation", "\nwhile True:\n    pass\n"),
        {"generates", "caches"},
    ),
    "no Python": (lambda: our_package() | {"cache": "def ("}, {"caches"}),
    **{f"hands in {name}": (make, set(CHECKS)) for name, (make, _) in REFUSED.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A class of attackers, and two right students among them: where its grades are, and rows."""
    submitted = tmp_path_factory.mktemp("class")
    hand_in(submitted, "a right one", our_package())
    for name, (make, _) in ATTACKS.items():
        refused = name.removeprefix("hands in ") in REFUSED
        hand_in(submitted, name, make if refused else make())
    linked = submitted / "links to another" / LESSON
    hand_in(submitted, "links to another", {})
    (linked / PACKAGE).symlink_to(submitted / "a right one" / LESSON / PACKAGE)
    hand_in(submitted, "zz right one", in_another_order())
    out = tmp_path_factory.mktemp("grades") / "out"
    report = grade_class(submitted, out, root=tmp_path_factory.mktemp("root"))
    assert report.problems == []
    rows = {}
    for row in read_grades(out / "grades_long.csv"):
        rows.setdefault(row["student"], {})[row["component"]] = row
    return submitted, out, rows


@pytest.mark.slow
@pytest.mark.parametrize("student", ["a right one", "zz right one"])
def test_right_packages_keep_everything_beside_attackers(attacked, student):
    _, _, rows = attacked
    assert all(row["points"] == row["max_points"] for row in rows[student].values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_what_it_deserves(attacked, name):
    _, _, rows = attacked
    lost = {c for c, row in rows[name].items() if row["points"] < row["max_points"]}
    assert lost == ATTACKS[name][1]
    assert all(rows[name][component]["points"] == 0 for component in lost)
    assert "found the unseen text" not in str(rows[name])


@pytest.mark.slow
def test_somebody_elses_package_earns_nothing(attacked):
    _, _, rows = attacked
    assert all(row["points"] == 0 for row in rows["links to another"].values())
    assert "is a link" in rows["links to another"]["computes"]["diagnosis"]


@pytest.mark.slow
def test_only_a_changed_package_is_judged_again(attacked):
    submitted, out, _ = attacked
    changed = submitted / "no Python" / LESSON / PACKAGE / "cache.py"
    changed.write_text(our_package()["cache"])
    report = grade_class(submitted, out, root=out.parent, lesson=LESSON)
    assert report.judged == 1
    rows = [r for r in read_grades(out / "grades_long.csv") if r["student"] == "no Python"]
    assert all(row["points"] == row["max_points"] for row in rows)


# ------------------------------------------------------------------ at the desk


@pytest.fixture
def workspace(tmp_path):
    return start(tmp_path / "mine")


def test_a_fresh_workspace_has_nothing_to_judge(workspace):
    from course_lib.workspace.folder import WorkspaceError

    with pytest.raises(WorkspaceError, match="nothing of my_transformer is written yet"):
        judge_whole(workspace / PACKAGE, "computes", seed=0)


def test_the_desk_says_what_the_class_says(workspace):
    package = borrowing(*[name for name in ALL_PARTS if name != "MLP"])
    write_package(package, workspace / PACKAGE)
    at_the_desk = judge_whole(workspace / PACKAGE, "computes", seed=3)
    assert not at_the_desk.passed
    assert "MLP is still borrowed" in at_the_desk.text
    assert judge_whole(workspace / PACKAGE, "caches", seed=3).passed
    submission = read_submission(workspace / f"{LESSON}.ipynb")
    notebook = rebuild(read_notebook(LESSON), submission)

    def observe(job):
        from course_lib.checks.observe.load.package import LearnersPackage
        from course_lib.checks.observe.observing import observe_call as probe

        with LearnersPackage(**job["package"]) as subject:
            subject = subject.part(*job["part"]) if job.get("part") else subject
            return {"status": "done", "observations": [probe(subject, c) for c in job["calls"]]}

    notebook["cells"] = [c for c in notebook["cells"] if c["id"] != "check-trains"]
    results = {r["component"]: r for r in judge(notebook, observe, seed=3, sandbox="none")}
    assert results["computes"]["points"] == 0
    assert "MLP is still borrowed" in results["computes"]["message"]
    assert "note: still borrowed, and worth nothing here: MLP" in results["computes"]["message"]
    assert results["caches"]["points"] == results["caches"]["max_points"]
    assert 'check("computes", seed=3)' in results["computes"]["message"]


def test_a_failed_check_names_the_part_that_is_to_blame(workspace):
    bug = find_bug("divides_by_one_less")
    write_package(with_bug(bug), workspace / PACKAGE)
    verdict = judge_whole(workspace / PACKAGE, "computes", seed=0)
    assert not verdict.passed
    assert verdict.diagnosis == f"layer_norm: {bug.title}"
    assert "a part of it fails its own check" in " ".join(verdict.text.split())


def test_the_status_says_when_the_whole_can_be_judged(workspace):
    from course_lib.workspace.status import status

    def whole():
        return {row.state for row in status(workspace) if row.lesson == LESSON}

    assert whole() == {"waiting"}
    write_package(our_package(), workspace / PACKAGE)
    assert whole() == {"ready"}


def test_in_a_notebook_the_check_takes_a_name(workspace, monkeypatch, capsys):
    from course_lib.checks import CheckFailed
    from course_lib.workspace.notebook import open_lesson

    write_package(our_package(), workspace / PACKAGE)
    monkeypatch.chdir(workspace)
    check = open_lesson(LESSON)
    check("computes", package="my_transformer")
    assert "computes is right" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="Did you mean caches"):
        check("cache")


def test_in_a_terminal_the_whole_is_checked_by_name(workspace):
    from course_lib.workspace.terminal import check_package

    write_package(our_package(), workspace / PACKAGE)
    (result,) = check_package(workspace, ["generates"])
    assert result.passed, result.text
