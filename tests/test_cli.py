"""`course …` as its users type it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.lessons.source import component_source, to_learner

COURSE = str(Path(sys.executable).parent / "course")
ROOT = Path(__file__).resolve().parent.parent


def course(*args, cwd=None):
    return subprocess.run([COURSE, *map(str, args)], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "my transformer"
    assert course("start", folder).returncode == 0
    return folder


def write(workspace, source, module="masking"):
    with (workspace / "my_transformer" / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{source}\n")


def test_a_workspace_that_exists_is_never_overwritten(workspace):
    notes = workspace / "my_transformer" / "masking.py"
    notes.write_text("# mine\n", encoding="utf-8")
    again = course("start", workspace)
    assert again.returncode == 2
    assert "stays as it is" in again.stderr
    assert notes.read_text(encoding="utf-8") == "# mine\n"


def test_what_start_says_to_type_can_be_typed(tmp_path):
    said = course("start", tmp_path / "it's mine").stdout
    (line,) = [line for line in said.splitlines() if line.startswith("  cd ")]
    done = subprocess.run(["sh", "-c", f"{line} && ls course.toml"], capture_output=True, text=True)
    assert done.stdout == "course.toml\n", done.stderr


def test_a_right_component_in_the_package_passes(workspace):
    write(workspace, to_learner(component_source("masking", "causal_mask")))
    done = course("check", cwd=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "causal_mask is right" in done.stdout
    status = json.loads(course("status", "--json", cwd=workspace).stdout)
    assert [row["component"] for row in status if row["state"] == "yours"] == ["causal_mask"]


def test_a_wrong_component_fails_with_its_name_and_exit_status_one(workspace):
    write(
        workspace,
        "def causal_mask(n_queries, n_keys=None, *, device=None):\n"
        "    n_keys = n_keys or n_queries\n"
        "    return ~torch.ones(n_queries, n_keys, device=device).tril().bool()",
    )
    done = course("check", "causal_mask", cwd=workspace)
    assert done.returncode == 1
    assert "causal_mask(4): wrong value at [0, 0]" in done.stdout
    (answer,) = json.loads(course("check", "causal_mask", "--json", cwd=workspace).stdout)
    assert not answer["passed"]


def test_a_misspelt_component_gets_a_suggestion(workspace):
    done = course("check", "casual_mask", cwd=workspace)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("Did you mean causal_mask?")


def test_nothing_written_yet_is_no_failure(workspace):
    done = course("check", cwd=workspace)
    assert done.returncode == 0
    assert "Nothing is yours yet" in done.stdout


@pytest.mark.parametrize("command", [["check"], ["status"]])
def test_outside_a_workspace_a_command_says_where_to_go(command, tmp_path):
    done = course(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "course start" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_broken_module_is_reported_with_its_place(workspace):
    write(workspace, "def causal_mask(:")
    done = course("check", cwd=workspace)
    assert done.returncode == 2
    assert "masking.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_hints_come_one_at_a_time():
    first = course("hint", "causal_mask")
    assert first.returncode == 0
    assert "course hint causal_mask 2" in first.stdout
    assert course("hint", "causal_mask", 9).returncode == 2
    misspelt = course("hint", "casual_mask")
    assert misspelt.returncode == 2
    assert misspelt.stderr == course("bugs", "casual_mask").stderr  # the checks know it as well


def test_wrong_usage_is_exit_status_two(tmp_path):
    assert course("nonsense").returncode == 2
    assert course("grade", "--submitted", tmp_path, "--out", tmp_path / "out").returncode == 2
    assert course("release", "99_nothing", cwd=ROOT).returncode == 2
    assert course("build", "--root", tmp_path).returncode == 2


def test_the_matrix_of_bugs_names_what_catches_each():
    done = course("bugs", "layer_norm", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) >= 5
    assert all(row["caught_by"] and row["is_named"] for row in rows)
    assert done.stderr == ""  # torch has a warning about one of them
    assert course("bugs", "nonsense").returncode == 2


def test_the_checks_run_on_a_learners_package_under_pytest(workspace):
    write(workspace, "def causal_mask(n_queries, n_keys=None, *, device=None):\n    return None")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/components"]
    command += ["--package", str(workspace / "my_transformer")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "nothing came back" in done.stdout
    # Ours call theirs: what is borrowed and uses causal_mask fails with it, and nothing else does.
    failed = set(re.findall(r"^FAILED .*\[\w+-(\w+)\]", done.stdout, re.MULTILINE))
    assert failed == {
        *("causal_mask", "CausalSelfAttention", "GPT", "load_gpt2", "sliding_window_mask"),
        *("cached_attention", "cached_logits", "generate_cached"),
    }
