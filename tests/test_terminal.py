"""The commands on any terminal (narrow, colourless, of an old encoding), and impossible flags."""

import io
import json
import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from course_lib.cli import main
from course_lib.lessons.source import component_source, to_learner
from course_lib.models import checkpoint
from course_lib.models.bar import progress_bar
from course_lib.models.settings import TrainSettings, read_settings, resumed_settings
from course_lib.workspace.start import start

COURSE = [sys.executable, "-m", "course_lib"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A learner's folder with one right and one wrong component."""
    folder = start(tmp_path_factory.mktemp("desk") / "mine")
    with (folder / "my_transformer" / "masking.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + to_learner(component_source("masking", "causal_mask")) + "\n")
        file.write("\n\ndef padding_mask(*args, **options):\n    return None\n")
    return folder


def course(*args, cwd, **environment):
    return subprocess.run(
        [*COURSE, *map(str, args)], capture_output=True, cwd=cwd, env={**os.environ, **environment}
    )


def on_a_terminal(*args, cwd, **environment) -> str:
    """What a command writes where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [*COURSE, *map(str, args)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=env
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() in (0, 1), said
    return said.decode("utf-8")


def refused(*args) -> str:
    """The sentence with which a command refuses."""
    done = CliRunner().invoke(main, [*map(str, args)])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output.splitlines()[-1]


# --- the bar -----------------------------------------------------------------------------------


def drawn(width, *steps) -> list[str]:
    """The lines that the bar draws for these steps."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    with progress_bar(False, console) as told:
        for step in steps:
            told(
                SimpleNamespace(
                    step=step, n_steps=1000, loss=1.2345, tokens_per_second=12345.0,
                    validation=None if step < 250 else 1.5, is_saved=step % 250 == 0,
                )
            )  # fmt: skip
    lines = file.getvalue().replace("\x1b[2K", "").replace("\r", "\n").splitlines()
    return [line.replace("\x1b[?25l", "") for line in lines if "step" in line]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 110, 200])
def test_the_bar_fits_every_width_and_cuts_nothing(width):
    lines = drawn(width, 1, 999)
    assert lines
    for line in lines:
        assert len(line) <= width
        assert "…" not in line
        assert "None" not in line
        assert line.startswith("step ")
    assert "999/1000" in lines[-1]
    assert ("loss 1.234" in lines[-1]) == (width >= 40)
    assert ("validation 1.500" in lines[-1]) == (width >= 60)
    assert ("12,345 tokens/s" in lines[-1]) == (width >= 80)
    assert "━" in lines[-1]


def test_without_a_terminal_a_line_for_each_checkpoint(capsys):
    with progress_bar(False, Console(file=io.StringIO())) as told:
        for step, is_saved in ((1, False), (2, True)):
            told(
                SimpleNamespace(
                    step=step, n_steps=4, loss=1.5, tokens_per_second=1000.0, validation=None,
                    is_saved=is_saved,
                )
            )  # fmt: skip
    assert capsys.readouterr().err == "step 2/4 · loss 1.500 · 1,000 tokens/s\n"


SMALL = ["--d-model", "8", "--n-heads", "1", "--n-layers", "1", "--context-length", "8"]


def test_a_run_in_a_terminal_says_whose_model_it_is_above_the_bar(tmp_path):
    flags = [*SMALL, "--n-steps", "20", "--save-every", "10"]
    said = on_a_terminal("train", "--out", "run", *flags, cwd=tmp_path, COLUMNS="60")
    assert said.startswith("course_lib.transformer.GPT with ")
    assert "None" not in said
    assert "━" in said


# --- colour and encoding -----------------------------------------------------------------------


def test_no_color_asks_for_no_colour(workspace):
    assert "\x1b[" in on_a_terminal("status", cwd=workspace, NO_COLOR="")
    assert "\x1b[" not in on_a_terminal("status", cwd=workspace, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal("check", cwd=workspace, NO_COLOR="1")


@pytest.mark.parametrize(
    ("encoding", "status", "command"),
    [
        ("cp1252", 0, ["status"]), ("ascii", 0, ["status"]), ("latin-1", 0, ["status"]),
        ("cp1252", 1, ["check"]), ("cp1252", 0, ["hint", "causal_mask", "2"]),
        ("cp1252", 0, ["--help"]), ("cp1252", 0, ["grade", "--help"]), ("cp1252", 2, ["chek"]),
        ("cp1252", 0, ["bugs", "causal_mask"]),
    ],
)  # fmt: skip
def test_a_character_that_the_encoding_lacks_ends_no_command(workspace, encoding, command, status):
    done = course(*command, cwd=workspace, PYTHONIOENCODING=encoding)
    assert done.returncode == status, done.stderr.decode(encoding, "replace")
    assert b"Traceback" not in done.stderr


# --- flags that cannot work --------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a run of forty steps, of which nobody says how many are for warming up."""
    folder = tmp_path_factory.mktemp("run") / "model"
    args = ["train", "--out", str(folder), *SMALL, "--n-steps", "40", "--json", "--device", "cpu"]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["step"] == 40
    return folder


@pytest.mark.parametrize("device", ["nonsense", "cuda", "meta", ""])
@pytest.mark.parametrize("command", ["check", "train", "generate", "bench"])
def test_a_device_that_is_not_here(workspace, model, tmp_path, monkeypatch, command, device):
    if torch.cuda.is_available():
        device = device.replace("cuda", "xpu")  # cuda would be right here
    monkeypatch.chdir(tmp_path)
    command = {
        "check": ["check", "causal_mask", "-C", workspace],
        "train": ["train", "--out", "run"],
        "generate": ["generate", "--model", model],
        "bench": ["bench"],
    }[command]
    said = refused(*command, "--device", device)
    assert "device must be one that torch can use here (cpu" in said
    assert f"got '{device}'" in said
    assert said.endswith("take one of these, or leave the device out.")
    assert not (tmp_path / "run").exists()


def test_check_takes_auto_as_the_other_commands_do(workspace):
    args = ["check", "causal_mask", "-C", str(workspace), "--device", "auto"]
    assert CliRunner().invoke(main, args).exit_code == 0


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_is_none(workspace, tmp_path, seed):
    assert f"{seed} is not in the range" in refused("check", "-C", workspace, "--seed", seed)
    assert f"{seed} is not in the range" in refused("generate", "--seed", seed)
    said = refused("train", "--out", tmp_path / "run", "--seed", seed)
    assert said == f"Error: seed must be at least 0 and below 2**63, got seed={seed}."


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0), (9, 0), (40, 4), (600, 50), (1000, 50)])
def test_the_default_warm_up_fits_the_number_of_steps(n_steps, warmup):
    assert TrainSettings(n_steps=n_steps).warmup_steps == warmup
    assert read_settings(None, {"n_steps": n_steps, "warmup_steps": 0}).warmup_steps == 0


def test_a_run_that_goes_on_keeps_its_warm_up():
    saved = {"n_steps": 40, "warmup_steps": 4}
    assert resumed_settings(saved, {"n_steps": 2000}).warmup_steps == 4


def test_forty_steps_train(model):
    settings = checkpoint.load(model).state["settings"]
    assert (settings["n_steps"], settings["warmup_steps"]) == (40, 4)


@pytest.mark.parametrize("command", [["train"], ["bench", "after-64-cached"]])
@pytest.mark.parametrize("name", ["a file/run", "/proc/no such/run"])
def test_an_out_that_cannot_be_written_is_noticed_before_any_work(
    tmp_path, monkeypatch, command, name
):
    def never(*args, **options):
        raise AssertionError("the work has begun")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("course_lib.models.terminal.train", never)
    monkeypatch.setattr("course_lib.models.bench.report.measure", never)
    (tmp_path / "a file").write_text("")
    said = refused(*command, "--out", name)
    assert said.startswith(f"Error: --out must be a folder that can be written to, got {name} (")
    assert said.endswith("choose another.")


def test_an_out_that_can_be_written_is_left_as_it_was(tmp_path):
    checkpoint.require_writable(tmp_path / "deep" / "down")
    checkpoint.require_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sample_class_that_cannot_be_written():
    assert "folder that can be written to" in refused("sample-class", "/proc/no such")
