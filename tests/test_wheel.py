"""The wheel, installed with [learn] where there is no checkout: a learner's first hour."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"


def run(*command, cwd, **environment):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": "", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, wheel):
    """An empty environment outside the checkout, with the wheel and [learn] in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=True)
    pip = [folder / "env" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(*pip, "--constraint", CONSTRAINTS, f"{wheel}[learn]", cwd=folder)
    return folder


def test_the_wheel_holds_the_package_and_the_exercises_and_nothing_of_the_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"course_lib", f"{stem(wheel)}.dist-info"}
    folders = {part for name in names for part in name.split("/")[:-1]}
    assert "_exercises" in folders
    assert not folders & {path.name for path in (ROOT / "tests").iterdir()}


def stem(wheel: Path) -> str:
    """The name and version of a wheel, as its folder of metadata has them."""
    return "-".join(wheel.name.split("-")[:2])


SOLVE = """
import json, sys
import nbformat
from nbclient import NotebookClient

path, cell_id, source, count = sys.argv[1], sys.argv[2], sys.argv[3], 0
notebook = nbformat.read(path, as_version=4)
wanted = []
for cell in notebook.cells:
    role = cell.metadata.get("course", {}).get("role")
    if cell.id == cell_id:
        cell.source = source
    if role in ("opening", "setup") or cell.id in (cell_id, f"check-{cell_id}"):
        wanted.append(cell)
notebook.cells = wanted
NotebookClient(notebook, kernel_name="python3").execute()
shown = [output.get("data", {}).get("text/plain", "") for output in wanted[-1].outputs]
print(json.dumps([*shown, *(output.get("text", "") for output in wanted[-1].outputs)]))
"""


@pytest.mark.slow
def test_a_learner_without_a_checkout_starts_solves_and_keeps_an_answer(elsewhere):
    bin_folder = elsewhere / "env" / "bin"
    run(bin_folder / "course", "start", "mine", cwd=elsewhere)
    workspace = elsewhere / "mine"
    answer = (
        "def causal_mask(n_queries, n_keys=None, *, device=None):\n"
        "    n_keys = n_queries if n_keys is None else n_keys\n"
        "    if n_keys < n_queries:\n"
        "        raise ValueError(f'n_keys must be at least n_queries, got {n_keys=}')\n"
        "    ones = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)\n"
        "    return ones.tril(n_keys - n_queries)\n"
    )
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    said = run(
        bin_folder / "python", "-c", SOLVE, workspace / "03_causal_masking.ipynb", "causal-mask",
        answer, cwd=workspace, PATH=path,
    )  # fmt: skip
    assert "causal_mask is right" in "".join(json.loads(said))
    assert "ones.tril" in (workspace / "my_transformer" / "masking.py").read_text(encoding="utf-8")
    assert "causal_mask is right" in run(bin_folder / "course", "check", cwd=workspace)
    run(bin_folder / "course", "export", "alone", cwd=workspace)
    assert "ones.tril" in (workspace / "alone/my_transformer/masking.py").read_text("utf-8")
    assert "step     1" in run(bin_folder / "python", "train.py", "--n-steps", "1",
                               cwd=workspace / "alone")  # fmt: skip


def test_the_environment_is_not_the_checkout(elsewhere):
    python = elsewhere / "env" / "bin" / "python"
    where = run(python, "-c", "import course_lib; print(course_lib.__file__)", cwd=elsewhere)
    assert Path(where.strip()).is_relative_to(elsewhere)
    has = run(python, "-m", "pip", "list", cwd=elsewhere)
    assert "nbgrader" not in has
    assert "pytest" not in has
