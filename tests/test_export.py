"""A learner's model leaves the course: what `course export` writes needs numpy and torch alone."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.corpus import stories
from course_lib.lessons.exercises import lesson_names
from course_lib.lessons.source import module_source
from course_lib.models import checkpoint
from course_lib.models import text as course_text
from course_lib.models.settings import TrainSettings
from course_lib.models.training import train
from course_lib.models.whose_model import Package
from course_lib.workspace import export as exporting
from course_lib.workspace.alone import stand_alone
from course_lib.workspace.borrow import PACKAGE, borrowing_text
from course_lib.workspace.export import export
from course_lib.workspace.folder import WorkspaceError
from course_lib.workspace.importing import package_of
from course_lib.workspace.promote import promote
from course_lib.workspace.start import start
from course_lib.workspace.status import in_words, status

ROOT = Path(__file__).resolve().parent.parent


def solutions():
    """`(component, module, cell)` of every exercise, as the solved notebooks have it."""
    for lesson in lesson_names():
        path = ROOT / "solutions" / lesson / f"{lesson}.ipynb"
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            course = cell["metadata"].get("course", {})
            if course.get("role") == "answer":
                yield course["component"], course["module"], "".join(cell["source"])


SOLUTIONS = list(solutions())
ALL = [component for component, _, _ in SOLUTIONS]


def folder_with(path, wanted):
    """A learner's folder in which these components have been passed."""
    workspace = start(path)
    with package_of(workspace):
        for component, module, cell in SOLUTIONS:
            if component in wanted:
                promote(workspace, component, module, cell)
    return workspace


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which everything is passed, with a run of a small model."""
    workspace = folder_with(tmp_path_factory.mktemp("learner") / "all mine", ALL)
    settings = TrainSettings(
        n_steps=5, d_model=24, n_heads=4, n_layers=2, batch_size=4, warmup_steps=1, device="cpu",
        dtype="float32",
    )  # fmt: skip
    with package_of(workspace):
        train(settings, Package(PACKAGE), workspace / "run", say=lambda text: None)
    return workspace


@pytest.fixture(scope="module")
def exported(done, tmp_path_factory):
    return export(tmp_path_factory.mktemp("out") / "my gpt", directory=done)


# torch, numpy, and what torch itself cannot do without.
NEEDED = ("torch", "numpy", "numpy.libs", "typing_extensions.py", "filelock", "fsspec", "jinja2",
          "markupsafe", "mpmath", "networkx", "sympy", "torchgen", "functorch")  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Run the export's files, or a line of Python, where numpy and torch are all there is."""
    installed, few = Path(torch.__file__).parent.parent, tmp_path_factory.mktemp("few")
    for name in NEEDED:
        if (installed / name).exists():
            (few / name).symlink_to(installed / name)

    def run(folder, *command):
        finished = subprocess.run(
            [sys.executable, "-S", "-W", "error", *command],  # -S: no site-packages, no .pth
            cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(few)},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def test_what_runs_alone_has_nothing_but_numpy_and_torch(alone, tmp_path):
    names = ["numpy", "torch", "course_lib", "my_transformer", "jaxtyping", "safetensors"]
    line = f"import importlib.util as i; print([n for n in {names} if i.find_spec(n)])"
    assert alone(tmp_path, "-c", line) == "['numpy', 'torch']\n"


SMALL = ("--n-steps", "5", "--d-model", "16", "--n-layers", "1", "--batch-size", "4")


# --- it stands alone ---------------------------------------------------------------------------


def test_all_of_the_course_passed_and_all_of_it_is_theirs(done, exported):
    assert exported.yours == tuple(ALL)
    assert exported.given == ()
    assert f"All {len(ALL)} components are yours." in exported.text
    assert in_words(status(done)).startswith(f"All {len(ALL)} components are yours. ")


def test_no_module_of_an_export_imports_the_course(exported):
    for path in exported.folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("course_lib")], path
        assert "borrow(" not in path.read_text(encoding="utf-8")


def test_it_trains_and_writes_where_only_numpy_and_torch_are(exported, alone):
    said = alone(exported.folder, "train.py", *SMALL, "--out", "mine.safetensors")
    assert "step     5  loss" in said
    texts = [
        alone(exported.folder, "generate.py", *how, "--prompt", "mia is a ", "--seed", "1")
        for how in (("--model", "mine.safetensors"), ("--n-new", "20"), ("--n-new", "90"))
    ]
    assert [len(text.removesuffix("\n")) for text in texts] == [209, 29, 99]
    assert all(text.startswith("mia is a ") for text in texts)


def test_it_trains_on_a_text_of_ones_own_and_begins_with_what_it_knows(exported, alone, tmp_path):
    (tmp_path / "own.txt").write_text("zwölf " * 200, encoding="utf-8")
    mine = ["--text", str(tmp_path / "own.txt"), "--out", str(tmp_path / "own.safetensors")]
    alone(exported.folder, "train.py", *SMALL, *mine, "--dtype", "bfloat16")
    model = ["--model", str(tmp_path / "own.safetensors"), "--n-new", "9", "--seed", "1"]
    said = alone(exported.folder, "generate.py", *model)
    assert len(said.removesuffix("\n")) == 10
    assert set(said) <= set("zwölf \n")


LOADED = """
import numpy
import torch
from saved import load
from pathlib import Path

model, tokenizer = load(Path("model.safetensors"))
ids = torch.tensor([tokenizer.encode("mia is a girl.")])
with torch.no_grad():
    logits = model(ids)
numpy.savez("out.npz", logits=logits, **model.state_dict())
"""


def test_the_weights_are_those_of_the_run_and_the_logits_those_of_the_folder(done, exported, alone):
    alone(exported.folder, "-c", LOADED)
    loaded = dict(np.load(exported.folder / "out.npz"))
    (exported.folder / "out.npz").unlink()
    logits = loaded.pop("logits")
    saved = checkpoint.load(done / "run")
    for name, tensor in saved.weights.items():
        assert np.array_equal(loaded.pop(name), tensor.numpy()), name
    assert set(loaded) == {"head.weight"}  # tied: it is the token embedding, which was compared
    with package_of(done):
        package = Package(PACKAGE)
        tokenizer = course_text.make_tokenizer(package, saved.state["tokenizer"])
        model = package.build(
            vocab_size=tokenizer.vocab_size, context_length=64, d_model=24, n_heads=4, n_layers=2
        )
        checkpoint.fill(model, saved.weights, "the run")
        with torch.no_grad():
            expected = model.eval()(torch.tensor([tokenizer.encode("mia is a girl.")]))
    assert np.array_equal(logits, expected.numpy())


def test_safetensors_itself_reads_the_weights(done, exported):
    from safetensors.numpy import load_file

    weights = checkpoint.load(done / "run").weights
    found = load_file(exported.folder / "model.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in weights.items()
    }


def test_a_tokenizer_that_merges_goes_along(done, alone, tmp_path):
    settings = TrainSettings(
        n_steps=1, d_model=8, n_heads=1, n_layers=1, batch_size=1, warmup_steps=0, device="cpu",
        dtype="float32", tokenizer="bpe:260", tie_weights=False, bias=False,
    )  # fmt: skip
    with package_of(done):
        train(settings, Package(PACKAGE), tmp_path / "run", say=lambda text: None)
    made = export(tmp_path / "out", directory=done, model=tmp_path / "run")
    said = alone(made.folder, "generate.py", "--n-new", "9", "--prompt", "é", "--seed", "1")
    assert said.startswith("é")


@pytest.mark.parametrize("parity", [0, 1])
def test_half_done_it_stands_alone_and_says_whose_is_what(parity, alone, tmp_path):
    wanted = ALL[parity::2]
    workspace = folder_with(tmp_path / "mine", wanted)
    made = export(tmp_path / "out", directory=workspace)
    others = [name for name in ALL if name not in wanted]
    assert (list(made.yours), list(made.given)) == (wanted, others)
    n, of = len(wanted), len(ALL)
    assert f"{n} of {of} components are yours, {of - n} are given: {others[0]}, " in made.text
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert f"{n} of {of} components were written by the learner" in readme
    assert readme.count("given, still borrowed: ") == len(
        {module for name, module, _ in SOLUTIONS if name in others}
    )
    alone(made.folder, "train.py", *SMALL)
    assert alone(made.folder, "generate.py", "--n-new", "9", "--prompt", "mia").startswith("mia")


def test_every_component_and_helper_stands_there_once(tmp_path):
    made = export(tmp_path / "out", directory=folder_with(tmp_path / "mine", ALL[1::2]))
    for _, module, _ in SOLUTIONS:
        ours = ast.parse(module_source(module)).body
        found = ast.parse((made.folder / PACKAGE / f"{module}.py").read_text("utf-8")).body
        names = [sorted(n.name for n in body if hasattr(n, "name")) for body in (ours, found)]
        assert names[0] == names[1], module


def test_every_line_that_is_not_marked_as_given_is_the_learners(done, exported):
    for path in (exported.folder / PACKAGE).glob("*.py"):
        lines, is_given, rest = path.read_text("utf-8").splitlines(), False, []
        for line in lines:
            is_given = is_given or line.startswith("# %% given")
            if not is_given:
                rest.append(line)
            is_given = is_given and line != "# end of given"
        own = done / PACKAGE / path.name
        theirs = own.read_text("utf-8").splitlines() if own.exists() else []
        header = [line for line in rest if line not in theirs]
        assert all(line.startswith("#") for line in header), path
        assert len(header) <= 2, path


# --- modules in other shapes -------------------------------------------------------------------


def test_what_is_declared_in_terms_of_their_part_stands_behind_it():
    own = borrowing_text("cache") + "\n\nclass KVCache:\n    pass\n\n\nmine = KVCache\n"
    made = stand_alone("cache", own)
    assert made.yours == ("KVCache",)
    assert made.text.index("class KVCache") < made.text.index("def cached_attention")
    assert made.text.index("def generate_cached") < made.text.index("class KVCache")


def test_empty_lines_within_a_learners_text_stay():
    own = "\n\ndef causal_mask(n):\n    return '''one\n\n\n\n\n\nsix'''\n\n\n\n\nlast = 1\n"
    made = stand_alone("masking", f'"""Mine."""\n\n\n\n{borrowing_text("masking")}{own}')
    assert own.strip("\n") in made.text
    around = made.text.replace(own.strip("\n"), "theirs")
    assert "\n\n\n\n" not in around
    assert made.yours == ("causal_mask",)


def test_a_module_that_borrows_nothing_gets_nothing():
    made = stand_alone("masking", "def causal_mask():\n    return 1\n")
    assert (made.yours, made.borrowed, made.given) == (("causal_mask",), (), ())
    assert "given" not in made.text


def test_a_component_that_is_neither_written_nor_borrowed_is_said_to_be_missing(tmp_path):
    workspace = start(tmp_path / "mine")
    (workspace / PACKAGE / "warmup.py").write_text("def pairwise_dots(x, y):\n    return x @ y.T\n")
    made = export(tmp_path / "out", directory=workspace)
    assert made.yours == ("pairwise_dots",)
    assert made.missing == ("weighted_average", "Affine")
    assert f"1 of {len(ALL)} components is yours, {len(ALL) - 3} are given: " in made.text
    assert "Not there at all: weighted_average and Affine." in made.text
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert f"1 of {len(ALL)} components was written by the learner" in readme
    (workspace / PACKAGE / "warmup.py").write_text("")
    made = export(tmp_path / "empty", directory=workspace)
    assert f"None of the {len(ALL)} components is yours: {len(ALL) - 3} are given." in made.text
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert f"was written by a learner: {len(ALL) - 3} are the course's." in readme


def test_what_a_learner_imports_besides_is_named(tmp_path):
    workspace = start(tmp_path / "mine")
    with (workspace / PACKAGE / "masking.py").open("a") as file:
        file.write("\n\nimport click\nfrom .mine import helper\n")
    (workspace / PACKAGE / "mine.py").write_text("def helper():\n    return 1\n")
    made = export(tmp_path / "out", directory=workspace)
    assert made.needs == ("numpy", "torch", "click")
    assert "needs numpy, torch and click." in made.text
    assert "def helper" in (made.folder / PACKAGE / "mine.py").read_text()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("from course_lib.corpus import stories", r"an import of course_lib.corpus in masking\.py"),
        ("x = causal_mask(3)\ndef causal_mask(n): ...", "uses causal_mask above its definition"),
        ("def causal_mask(:", r"masking\.py must be Python to be exported, got SyntaxError"),
    ],
)
def test_a_module_that_cannot_stand_alone_is_refused_with_its_line(line, complaint, tmp_path):
    workspace = start(tmp_path / "mine")
    with (workspace / PACKAGE / "masking.py").open("a") as file:
        file.write(f"\n\n{line}\n")
    with pytest.raises(WorkspaceError, match=complaint):
        export(tmp_path / "out", directory=workspace)
    assert not (tmp_path / "out").exists()


# --- the folder it writes ----------------------------------------------------------------------


def test_a_folder_that_holds_something_else_is_refused(done, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for folder in (tmp_path, done, tmp_path / "letter.txt"):
        with pytest.raises(WorkspaceError, match="the folder must be new"):
            export(folder, directory=done)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_again_changes_nothing_and_a_new_part_is_taken_up(tmp_path):
    workspace = folder_with(tmp_path / "mine", ALL[:1])
    made = export(tmp_path / "out", directory=workspace)
    before = contents(made.folder)
    assert export(tmp_path / "out", directory=workspace).kept == {}
    assert contents(made.folder) == before
    component, module, cell = SOLUTIONS[1]
    promote(workspace, component, module, cell)
    assert export(tmp_path / "out", directory=workspace).yours == tuple(ALL[:2])
    assert cell in (made.folder / PACKAGE / f"{module}.py").read_text(encoding="utf-8")


def test_what_somebody_changed_stays_and_the_new_one_lies_beside_it(done, tmp_path):
    workspace = start(tmp_path / "mine")
    made = export(tmp_path / "out", directory=workspace)
    changed = made.folder / PACKAGE / "masking.py"
    new = changed.read_bytes()
    changed.write_text("mine = 1\n")
    (made.folder / "model.safetensors").write_text("trained here")
    for _ in range(2):
        again = export(tmp_path / "out", directory=workspace, model=done / "run")
        assert again.kept == {
            name: f"{name}.new" for name in (f"{PACKAGE}/masking.py", "model.safetensors")
        }
        assert changed.read_text() == "mine = 1\n"
        assert changed.with_name("masking.py.new").read_bytes() == new
        assert (made.folder / "model.safetensors").read_text() == "trained here"
    assert "masking.py was changed there and stays as it is" in again.text


def test_a_new_one_that_somebody_changed_stays_too(tmp_path):
    workspace = start(tmp_path / "mine")
    folder = export(tmp_path / "out", directory=workspace).folder
    train, new, newer = (folder / f"train.py{end}" for end in ("", ".new", ".new-2"))
    given = train.read_bytes()
    train.write_text("mine = 1\n")
    export(folder, directory=workspace)
    new.write_text("mine = 2\n")
    for _ in range(2):
        again = export(folder, directory=workspace)
        assert [train.read_text(), new.read_text()] == ["mine = 1\n", "mine = 2\n"]
        assert newer.read_bytes() == given
        assert "the new one lies beside it, train.py.new-2." in again.text
    assert not (folder / "train.py.new-3").exists()


def test_a_model_that_is_there_is_not_trained_over(exported):
    finished = subprocess.run(
        [sys.executable, "train.py", *SMALL], cwd=exported.folder, capture_output=True, text=True
    )
    assert finished.returncode == 1
    assert "is there already: name another with --out" in finished.stderr


def test_of_several_runs_none_is_guessed(tmp_path):
    workspace = start(tmp_path / "mine")
    for name in ("first", "second"):
        (workspace / name).mkdir()
        (workspace / name / "checkpoint.json").write_text("{}")
    made = export(tmp_path / "out", directory=workspace)
    assert "of the runs first and second, name one with --model." in made.text


def test_where_a_model_lies_already_nobody_is_sent_to_train_one(done, tmp_path):
    workspace = start(tmp_path / "mine")
    made = export(tmp_path / "out", directory=workspace)
    assert "No weights went along: train.py makes them." in made.text
    assert "  python train.py" in made.text
    export(tmp_path / "out", directory=workspace, model=done / "run")
    made = export(tmp_path / "out", directory=workspace)
    assert "model.safetensors was there already and stays as it is." in made.text
    assert "train.py" not in made.text
    assert made.as_dict()["model"] is None


def test_a_run_that_is_none_or_is_damaged_is_refused(done, tmp_path):
    with pytest.raises(WorkspaceError, match="holds no trained model"):
        export(tmp_path / "out", directory=done, model=tmp_path)
    copy = tmp_path / "copy"
    for path, content in contents(done / "run").items():
        place = copy / path.relative_to(done / "run")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content[:-1] if path.name == "model.safetensors" else content)
    with pytest.raises(WorkspaceError, match=r"is damaged \(ValueError: its hash differs\)"):
        export(tmp_path / "out", directory=done, model=copy)


@pytest.mark.parametrize(
    ("command", "content", "complaint"),
    [
        (("train.py", "--n-steps", "0"), b"", "--n-steps must be at least 1, got 0."),
        (("train.py", "--text", "given"), b"\xff", "given must be text in UTF-8, got another byte"),
        (("train.py", "--text", "given"), b"ab", "given must hold more text to train on"),
        (("train.py", "--device", "abacus"), b"", "error: "),
        (("generate.py", "--model", "given"), b"dear", "given must be a whole file in the format"),
        (("generate.py", "--model", "given"), b"{}", "given must be a whole file in the format"),
        (("generate.py", "--model", "given"), None, "bytes, got 6000: it is cut off."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(command, content, complaint, exported):
    whole = (exported.folder / "model.safetensors").read_bytes()
    (exported.folder / "given").write_bytes(whole[:6000] if content is None else content)
    options = ("--out", "other.safetensors") if command[0] == "train.py" else ()
    finished = subprocess.run(
        [sys.executable, *command, *options], cwd=exported.folder, capture_output=True, text=True
    )
    assert finished.returncode == 1
    assert complaint in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert not (exported.folder / "other.safetensors").exists()
    (exported.folder / "given").unlink()


# --- what goes with it -------------------------------------------------------------------------


def test_the_stories_are_those_that_course_train_trains_on(exported):
    text = (exported.folder / "stories.txt").read_text(encoding="utf-8")
    assert text == course_text.read_text(course_text.STORIES)
    assert text == stories(exporting.N_STORY_CHARACTERS, seed=exporting.STORY_SEED)


def test_the_licence_of_what_is_given_is_the_courses(exported):
    def words(path):
        return path.read_text(encoding="utf-8").split()

    given = " ".join(words(exported.folder / "LICENSE"))
    conditions = given[given.index("Copyright") : given.index("SUCH DAMAGE.")]
    assert conditions in " ".join(words(ROOT / "LICENSE"))


# --- the command -------------------------------------------------------------------------------


def test_the_command_answers_in_json(done, tmp_path):
    command = ["export", str(tmp_path / "out"), "-C", str(done), "--json"]
    answer = json.loads(CliRunner().invoke(main, command).output)
    assert answer["yours"] == ALL
    assert answer["given"] == []
    assert answer["model"] == str(done / "run")
    assert answer["needs"] == ["numpy", "torch"]


def test_the_command_exports_the_courses_own_model_where_it_is_named(tmp_path):
    command = ["export", str(tmp_path / "out")]
    outside = CliRunner().invoke(main, [*command, "-C", str(tmp_path)])
    assert outside.exit_code == 2
    assert "course start" in outside.output
    named = CliRunner().invoke(main, [*command, "--package", "course_lib.transformer"])
    assert f"None of the {len(ALL)} components is yours: all are given." in named.output
    wrong = CliRunner().invoke(main, [*command, "--package", "nonsense"])
    assert wrong.exit_code == 2


@pytest.mark.parametrize("command", [["hint", "GPT"], ["status"], ["export"]])
def test_a_command_that_reads_only_does_not_wait_for_torch(command, done, tmp_path):
    line = (
        "import sys\nfrom click.testing import CliRunner\nfrom course_lib.cli import main\n"
        f"assert CliRunner().invoke(main, {command!r}).exit_code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    workspace = start(tmp_path / "mine")
    finished = subprocess.run(
        [sys.executable, "-c", line], cwd=workspace, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
