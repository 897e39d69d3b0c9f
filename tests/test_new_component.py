"""`course new-component` in a copy of the checkout, and `make component`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import short_loop

ROOT = Path(__file__).resolve().parent.parent
COURSE = [sys.executable, "-m", "course_lib"]
NEW = {
    ("rms_scale", "06"): "block",  # a lesson whose checks stand in one file
    ("RMSNorm", "05_residual_and_layernorm"): "norm",
}


def run_in(root: Path, *command: str):
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)


def copy_of_the_checkout(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("book", "course_lib", "exercises", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder)
    return folder


def contents(root: Path) -> dict[str, str]:
    paths = [path for kind in ("*.py", "*.md") for path in root.rglob(kind)]
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in paths}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A copy with two new components, what was there before, and what the commands said."""
    root = copy_of_the_checkout(tmp_path_factory.mktemp("checkout"))
    before, said = contents(root), {}
    for name, lesson in NEW:
        done = run_in(root, *COURSE, "new-component", name, lesson)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
    return root, before, said


@pytest.mark.parametrize("new", NEW, ids=lambda new: new[0])
def test_every_file_gets_its_part_and_is_named_in_order(begun, new):
    root, _, said = begun
    module, now = NEW[new], contents(root)
    check = "norm/rms_norm" if module == "norm" else module
    files = [
        f"course_lib/transformer/{module}.py", f"course_lib/checks/oracles/{module}.py",
        f"course_lib/checks/lessons/{check}.py", f"course_lib/bugs/{module}.py",
        f"tests/right_variants/{module}.py", f"tests/bugs_written_differently/{module}.py",
        f"tests/wrong_answers/{module}.py",
    ]  # fmt: skip
    listed = re.findall(r"^  \d+\. (\S+)", said[new[0]], re.MULTILINE)
    assert listed[:-1] == files
    assert listed[-1].startswith(f"book/{new[1][:2]}_")
    assert all(f"TO WRITE for {new[0]}: " in now[file] for file in listed)
    assert f"make component C={new[0]}" in said[new[0]]


def test_what_was_there_stays_line_by_line_but_for_imports(begun):
    root, before, _ = begun
    now = contents(root)
    assert set(now) - set(before) == {"course_lib/checks/lessons/norm/rms_norm.py"}
    for path, text in before.items():
        there = set(now[path].splitlines())
        gone = {line for line in text.splitlines() if line not in there}
        assert all(line.startswith("from ") for line in gone), (path, gone)


def test_the_skeletons_are_tidy_and_import(begun):
    root, _, _ = begun
    assert run_in(root, sys.executable, "-m", "ruff", "check", ".").stdout.strip() == (
        "All checks passed!"
    )
    assert run_in(root, sys.executable, "-m", "ruff", "format", "--check", ".").returncode == 0
    script = (
        "from course_lib.bugs import misfits\n"
        "from course_lib.checks import all_checks\n"
        "from course_lib.lessons.source import component_names\n"
        "names = [check.name for check in all_checks()]\n"
        "assert misfits() == []\n"
        "for module in ('norm', 'block'):\n"
        "    there = [check.name for check in all_checks() if check.module == module]\n"
        "    assert there == component_names(module), there\n"
    )
    done = run_in(root, sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr


def test_the_gates_say_what_is_missing(begun):
    root, _, _ = begun
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["tests/test_gates.py", "-k", "(RMSNorm or rms_scale or left_to_write) and not more"]
    done = run_in(root, *command)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert "course_lib/bugs/norm.py" in done.stdout
    for name in ("RMSNorm", "rms_scale"):
        missing = f"{name}: TO WRITE for {name}: what is right, by torch's own functions"
        assert missing in done.stdout
    assert "ERROR" not in done.stdout


def test_the_short_loop_says_what_is_left_and_what_it_waits_for(begun):
    root, _, _ = begun
    done = run_in(root, sys.executable, "tests/short_loop.py", "RMSNorm")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    left = [line for line in done.stdout.splitlines() if line.startswith("! course_lib/bugs/")]
    assert len(left) == 6
    assert left[0].endswith(": its title, which completes: agrees with …")
    assert "rms_scale" not in done.stdout
    assert "The rest can be told when this is done." in done.stdout


def test_a_bug_that_no_longer_fits_is_said_in_a_sentence(begun, tmp_path):
    root = copy_of_the_checkout(tmp_path)
    assert run_in(root, *COURSE, "new-component", "rms_scale", "05").returncode == 0
    for path, old, new in (
        ("course_lib/transformer/norm.py", "    raise NotImplementedError\n", "    return x + 1\n"),
        ("course_lib/checks/oracles/norm.py", "def rms_scale(x)", "def unused(x)"),
    ):
        text = (root / path).read_text("utf-8")
        assert text.count(old) == 1
        text = text.replace(old, new)
        if "oracles" in path:
            text += "\n\ndef rms_scale(x):\n    return x + 1\n"
        (root / path).write_text(text, "utf-8")
    done = run_in(root, sys.executable, "tests/short_loop.py", "rms_scale")
    assert "! bug first_bug_of_rms_scale of rms_scale: must stand there exactly once" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gelu", "05"], "gelu exists: course_lib/transformer/mlp.py:"),
        (["GPTConfig", "05"], "GPTConfig exists: course_lib/transformer/model.py:"),
        (["new", "05_residual"], "Did you mean 05_residual_and_layernorm?"),
        (["new", "12_capstone"], "no lesson with components is called '12_capstone'."),
        (["2nd", "05"], "a component has a public name of Python"),
        (["_new", "05"], "a component has a public name of Python"),
        (["class", "05"], "a component has a public name of Python"),
        (["sum", "05"], "sum is Python's own."),
        (["Tensor", "05"], "Tensor is imported: course_lib/transformer/"),
        (["nn", "05"], "nn is imported: course_lib/transformer/"),
        (["computes", "05"], "computes means something else in a lesson."),
        (["check", "05"], "check means something else in a lesson."),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else "",
)
def test_what_cannot_be_begun_is_refused_and_nothing_is_written(begun, words, said):
    root, _, _ = begun
    before = contents(root)
    done = run_in(root, *COURSE, "new-component", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(root) == before


def test_a_second_time_is_refused(begun):
    root, _, _ = begun
    before = contents(root)
    done = run_in(root, *COURSE, "new-component", "RMSNorm", "05")
    assert done.returncode == 2
    assert "RMSNorm exists" in done.stderr
    assert contents(root) == before


def test_outside_a_checkout_it_is_refused(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*COURSE, "new-component", "new", "05"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "run this at the root of a checkout" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_short_loop_of_a_component_that_is_whole():
    done = run_in(ROOT, sys.executable, "tests/short_loop.py", "pre_norm")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert re.match(r"Our own\n  pre_norm: \d+ properties in ", said)
    assert re.search(r"^  pre_norm_step_by_step: \d+ properties", said, re.MULTILINE)
    assert re.search(r"^  adds_the_normalised_x +x .* named$", said, re.MULTILINE)
    assert re.search(r"^ +1 core: x itself, plus what the sublayer makes", said[1:], re.MULTILINE)
    assert "Second forms" in said
    assert re.search(r"^  subtracts_the_sublayer: x itself", said, re.MULTILINE)
    assert said.endswith("pre_norm: all is well.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "say which component"), ([""], "say which component"), (["pre_nrm"], "Did you mean")],
)
def test_the_short_loop_asks_for_a_component(words, said, capsys):
    assert short_loop.main(words) == 2
    assert said in capsys.readouterr().out


def test_bugs_that_no_call_tells_apart_are_told_as_a_pair(monkeypatch):
    check = short_loop.find("pre_norm")
    one, other, *_ = short_loop.bugs_of("pre_norm")
    rows = [
        short_loop.Row(
            check.lesson, check.name, bug.name, bug.title, ("rule",), True, True, (title,)
        )
        for bug, title in ((one, other.title), (other, one.title))
    ]
    judged = [short_loop.Judged(rows, {}), short_loop.Judged(rows, {})]
    monkeypatch.setattr(short_loop, "under_seeds", lambda component: judged)
    (line,) = short_loop.pairs(check)
    assert not line.is_well
    assert one.name in line.text
    assert other.name in line.text
    assert "seed=0, seed=1" in line.text
