"""Whole models through the commands: they train, stop, go on, write, and say what is wrong."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.models import ModelError, checkpoint
from course_lib.models.cached_decoding import CachedDecoder
from course_lib.models.generation import Sampling, write
from course_lib.models.ours.decoding import Decoder
from course_lib.models.settings import TrainSettings, read_settings
from course_lib.models.terminal import _read_trained
from course_lib.models.whose_model import OURS, Package

SMALL = [
    *("--context-length", "16", "--d-model", "16", "--n-heads", "2", "--n-layers", "2"),
    *("--batch-size", "4", "--n-steps", "12", "--warmup-steps", "2", "--save-every", "4"),
    *("--dropout", "0.1", "--dtype", "float32", "--device", "cpu"),
]
COURSE = [sys.executable, "-m", "course_lib"]
TEXT = "the cat that the dogs see runs. the dogs that the cat sees run. " * 40


def course(*args, cwd=None, **options):
    return subprocess.run(
        [*COURSE, *map(str, args)], capture_output=True, text=True, cwd=cwd, **options
    )


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "cats.txt"
    path.write_text(TEXT, "utf-8")
    return path


def train(out, text_file, *more):
    done = CliRunner().invoke(
        main, ["train", "--out", str(out), "--text", str(text_file), "--json", *SMALL, *more]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_file):
    """A folder with a small model that has seen some cats."""
    out = tmp_path_factory.mktemp("run") / "cats"
    train(out, text_file, "--n-steps", "60", "--max-lr", "0.01")
    return out


def generate(folder, *args):
    done = CliRunner().invoke(
        main, ["generate", "--model", str(folder), "--json", "--device", "cpu", *map(str, args)]
    )
    assert done.exit_code == 0, done.output
    return [one["text"] for one in json.loads(done.stdout)]


def refused(*args):
    """The one line with which a command refuses."""
    done = CliRunner().invoke(main, [*map(str, args)])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    return done.output


# --- training ----------------------------------------------------------------------------------


def test_training_lowers_the_loss_and_leaves_checkpoint_table_and_picture(trained):
    state = checkpoint.load(trained).state
    assert state["step"] == 60
    assert state["losses"][-1] < state["losses"][0] - 0.5
    assert [step for step, _ in state["validations"]][-1] == 60
    rows = (trained / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,loss,validation_loss"
    assert len(rows) == 61
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(trained.glob("step-*"))) == 1


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, text_file):
    train(tmp_path / "whole", text_file)
    seen = []

    def stop_after_five(progress):
        seen.append(progress.step)
        if progress.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    settings = read_settings(None, _flags(text_file))
    from course_lib.models.training import train as run

    stopped = run(settings, Package(OURS), tmp_path / "parts", say=str, told=stop_after_five)
    assert stopped.was_stopped
    assert stopped.step == 6
    train(tmp_path / "parts", text_file, "--resume")
    one, other = (checkpoint.load(tmp_path / name) for name in ("whole", "parts"))
    assert one.state["losses"] == other.state["losses"]
    assert one.state["chance"] == other.state["chance"]
    for part in ("weights", "optimizer"):
        tensors, others = getattr(one, part), getattr(other, part)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[name], others[name]) for name in tensors)


def _flags(text_file) -> dict:
    names = [flag[2:].replace("-", "_") for flag in SMALL[::2]]
    types = {about.name: about.type for about in __import__("dataclasses").fields(TrainSettings)}
    values = [types[n](v) for n, v in zip(names, SMALL[1::2], strict=True)]
    return {**dict(zip(names, values, strict=True)), "text": str(text_file)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_loses_at_most_the_last_interval(tmp_path, text_file, number):
    out = tmp_path / "run"
    command = [*COURSE, "train", "--out", str(out), "--text", str(text_file), *SMALL]
    process = subprocess.Popen(
        [*command, "--n-steps", "100000", "--save-every", "10"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out / checkpoint.POINTER).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    state = checkpoint.load(out).state
    if number == signal.SIGTERM:
        assert "stopped after" in said
        assert "--resume" in said
        assert state["step"] == len(state["losses"])
    else:
        assert state["step"] % 10 == 0
    again = course("train", "--out", out, "--resume", "--n-steps", state["step"] + 1)
    assert again.returncode == 0, again.stderr
    assert checkpoint.load(out).state["step"] == state["step"] + 1


def test_a_full_disk_keeps_the_checkpoint_before_and_says_so(tmp_path, text_file):
    out = tmp_path / "run"
    train(out, text_file)
    before = checkpoint.load(out).state["step"]

    def no_more_room():  # every file may have a few KB, as on a disk that is nearly full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    command = ["train", "--out", out, "--resume", "--n-steps", "20"]
    done = course(*command, preexec_fn=no_more_room)
    assert done.returncode == 2
    assert "could not be written" in done.stderr
    assert f"go on from step {before} with --resume" in done.stderr
    assert checkpoint.load(out).state["step"] == before
    assert not list(out.glob(".step-*"))
    assert course(*command).returncode == 0
    assert checkpoint.load(out).state["step"] == 20


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_saved(tmp_path, text_file):
    out = tmp_path / "run"
    train(out, text_file, "--n-steps", "4")
    saved = checkpoint.load(out)
    weights = {name: torch.full_like(t, torch.inf) for name, t in saved.weights.items()}
    checkpoint.save(tmp_path / "bad", checkpoint.Checkpoint(saved.state, weights, saved.optimizer))
    again = ["train", "--out", tmp_path / "bad", "--resume", "--n-steps", "6", "--json"]
    said = refused(*again)
    assert "step 4: the loss" in said
    assert "The checkpoint of step 4 is kept." in said
    assert "--max-lr" in said


def test_several_processes_train_as_one_with_the_same_batch(tmp_path, text_file):
    flags = [*SMALL, "--dropout", "0.0", "--text", str(text_file)]
    assert course("train", "--out", tmp_path / "one", *flags).returncode == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, "-m", "course_lib", "train", "--out", str(tmp_path / "two"), *flags],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "× 2 processes" in done.stdout
    one, two = (checkpoint.load(tmp_path / name) for name in ("one", "two"))
    assert one.state["losses"] == pytest.approx(two.state["losses"], abs=1e-5)
    for name, tensor in one.weights.items():
        assert torch.allclose(tensor, two.weights[name], atol=1e-4), name


def test_the_learners_package_trains_and_writes_unchanged(tmp_path, text_file):
    workspace = tmp_path / "mine"
    assert course("start", workspace).returncode == 0
    flags = [*SMALL, "--text", str(text_file)]
    done = course("train", "--out", "run", *flags, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "my_transformer.GPT" in done.stdout
    done = course("generate", "--model", "run", "--n-new", "5", "--prompt", "cat", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cat")


# --- generation --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [["--temperature", "0"], ["--seed", "5", "--top-k", "7"]])
def test_with_and_without_cache_the_same_text_is_written(trained, how):
    prompt = ["--prompt", "the ca", "--n-new", "10"]
    ways = [(c, a) for c in ("--cache", "--no-cache") for a in ("fused", "explicit")]
    texts = [generate(trained, *prompt, *how, c, "--attention", a)[0] for c, a in ways]
    assert len(set(texts)) == 1
    assert len(texts[0]) == 10
    assert len(set(texts[0])) > 2


def test_a_run_is_the_same_with_the_code_of_the_lessons(tmp_path, text_file):
    fused, explicit = (
        train(tmp_path / way, text_file, "--n-steps", "5", "--attention", way)
        for way in ("fused", "explicit")
    )
    assert fused["validation_loss"] == pytest.approx(explicit["validation_loss"], rel=1e-4)


def test_what_is_fused_writes_through_the_decoder(trained):
    """Its own fast path, which a learner's model and the lessons' code must not take."""
    model, _ = _read_trained(trained, Package(OURS))
    ids = torch.tensor([[1, 2]])
    own = Package(OURS).decoder(model, 1, 8)
    assert isinstance(own, CachedDecoder)
    expected = own.feed(ids)
    fused = Package(OURS).run_by(model, "fused")
    decoder = Package(OURS).decoder(fused, 1, 8)
    assert isinstance(decoder, Decoder)
    assert torch.allclose(decoder.feed(ids), expected, rtol=1e-4, atol=1e-4)
    assert not Package("my_transformer").is_fused(fused)


def test_prompts_of_unequal_length_write_in_one_batch_what_they_write_alone(trained):
    prompts = ["the dogs", "c", "that t"]
    together = [arg for prompt in prompts for arg in ("--prompt", prompt)]
    greedy = ["--temperature", "0", "--n-new", "7"]
    alone = [generate(trained, "--prompt", prompt, *greedy)[0] for prompt in prompts]
    assert generate(trained, *together, *greedy) == alone
    assert len(set(alone)) > 1


def test_a_seed_repeats_a_text_and_samples_differ(trained):
    args = ["--prompt", "the ", "--n-new", "12", "--samples", "3", "--temperature", "1.5"]
    first, second = (generate(trained, *args, "--seed", seed) for seed in (3, 4))
    assert first == generate(trained, *args, "--seed", 3)
    assert first != second
    assert len(set(first)) == 3


def test_a_row_ends_before_its_stop_text(trained):
    model, tokenizer = _read_trained(trained, Package(OURS))

    def text(stop):
        pieces = write(
            model, Package(OURS), tokenizer, ["the "], 12, sampling=Sampling(0.0), stop=stop
        )
        return "".join(piece.text for piece in pieces)

    whole = text(None)
    assert len(whole) == 12
    assert text(whole[3:6]) == whole[: whole.find(whole[3:6])]
    assert text("no such text") == whole


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must hold text"),
        (b" \n\n", "must hold text"),
        (b"caf\xe9", "must be text in UTF-8, got byte 0xe9 at 3"),
        (b"short", "at least 170 tokens"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_text_that_cannot_be_trained_on(tmp_path, content, complaint):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    said = refused("train", "--out", tmp_path / "run", "--text", path, *SMALL)
    assert complaint in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("n_stepps = 3", "Did you mean n_steps?"),
        ("n_steps = 'many'", "n_steps must be of type int"),
        ("n_steps = 0", "n_steps must be at least 1"),
        ("n_heads = 3", "n_heads must divide d_model"),
        ("n_steps =", "must be TOML"),
        ("n_chunks = 5", "n_chunks must divide batch_size"),
        ("tokenizer = 'words'", "tokenizer must be"),
        ("device = 'toaster'", "torch can use here (cpu"),
        ("seed = -1", "seed must be at least 0 and below 2**63, got seed=-1"),
        ("warmup_steps = 1000", "warmup_steps=1000 and n_steps=1000"),
        ("max_lr = 0", "max_lr must be above 0"),
        ("min_lr = -1", "min_lr must be at least 0"),
        ("max_lr = nan", "max_lr must be above 0, got max_lr=nan"),
        ("weight_decay = -1", "weight_decay must be at least 0"),
        ("beta2 = 1", "beta2 must be at least 0 and below 1"),
        ("max_grad_norm = 0", "max_grad_norm must be above 0"),
        ("dtype = 'float8'", "dtype must be"),
        ("attention = 'flash'", "attention must be fused or explicit"),
        ("dropout = 1.5", "dropout must be"),
    ],
)
def test_settings_that_cannot_work(tmp_path, text_file, toml, complaint):
    path = tmp_path / "run.toml"
    path.write_text(f"{toml}\n")
    said = refused("train", "--out", tmp_path / "run", "--text", text_file, "--config", path)
    assert complaint in said


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("n_steps = 77\nmax_lr = 1\n")
    settings = read_settings(path, {"n_steps": 99})
    assert (settings.n_steps, settings.max_lr, settings.d_model) == (99, 1.0, 128)


def test_a_run_is_not_started_over_another(trained, text_file):
    assert "add --resume" in refused("train", "--out", trained, "--text", text_file)
    said = refused("train", "--out", trained, "--resume", "--d-model", "32")
    assert "got another d_model" in said


def test_a_damaged_checkpoint(trained, tmp_path):
    import shutil

    for name, damage in (("model.safetensors", "flip"), ("state.json", "cut"), ("", "pointer")):
        copy = tmp_path / damage
        shutil.copytree(trained, copy)
        path = next(copy.glob("step-*")) / name if name else copy / checkpoint.POINTER
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
        assert "damaged" in refused("generate", "--model", copy)
        assert "damaged" in refused("train", "--out", copy, "--resume")


def test_a_checkpoint_of_another_shape(trained):
    saved = checkpoint.load(trained)
    model = Package(OURS).build(vocab_size=5, context_length=16, d_model=16, n_heads=2, n_layers=2)
    with pytest.raises(ModelError, match=r"holds another model: embeddings.token.weight is"):
        checkpoint.fill(model, saved.weights, "the checkpoint")


def test_what_cannot_be_generated(trained, tmp_path):
    assert "it does not know 'Z€'" in refused("generate", "--model", trained, "--prompt", "Z€")
    assert "at least one token" in refused("generate", "--model", trained, "--prompt", "")
    assert "holds no checkpoint" in refused("generate", "--model", tmp_path)
    assert "either --model DIR or --gpt2 DIR" in refused("generate")
    for option, value in (
        ("--temperature", -1),
        ("--temperature", "nan"),
        ("--top-k", 0),
        ("--top-p", 1.5),
    ):
        said = refused("generate", "--model", trained, "--prompt", "the", option, value)
        assert option[2:].replace("-", "_") in said
