"""A text that outgrows the model's context goes on as `generate` of lesson 9 has it."""

import copy
import json
import string
import sys

import pytest
import torch
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.models import checkpoint
from course_lib.models.generation import Sampling, write
from course_lib.models.text import make_tokenizer
from course_lib.models.whose_model import OURS, Package
from course_lib.models.window import next_logits
from course_lib.transformer.generation import generate
from course_lib.workspace.importing import use_package
from course_lib.workspace.start import start

CONTEXT = 19
CHARACTERS = string.ascii_lowercase + " .,"
WAYS = [(way, use_cache) for way in ("fused", "explicit") for use_cache in (True, False)]


def lively_model(package=OURS):
    """A model of large matrices and a head of its own, whose greedy text goes on varying."""
    torch.manual_seed(3)
    model = Package(package).build(
        vocab_size=len(CHARACTERS), context_length=CONTEXT, d_model=20, n_heads=5, n_layers=3,
        tie_weights=False,
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter)
    return model.eval()


def tokenizer():
    return make_tokenizer(Package(OURS), {"kind": "characters", "characters": CHARACTERS})


def written(model, prompts, n_new, *, package=OURS, temperature=0.0, **how):
    texts, sampling = [""] * len(prompts), Sampling(temperature)
    for piece in write(
        model, Package(package), tokenizer(), prompts, n_new, sampling=sampling, **how
    ):
        texts[piece.row] += piece.text
    return texts


def expected(model, prompt, n_new):
    ids = torch.tensor([tokenizer().encode(prompt)])
    whole = generate(model, ids, n_new, temperature=0.0)
    return tokenizer().decode(whole[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize(("way", "use_cache"), WAYS)
@pytest.mark.parametrize("prompt", ["mia is a ", "m", "a prompt longer than the context is."])
def test_past_the_context_the_text_is_what_generate_of_lesson_9_writes(way, use_cache, prompt):
    model = lively_model()
    text = expected(model, prompt, 60)
    assert len(set(text)) > 8
    ran = Package(OURS).run_by(copy.deepcopy(model), way)
    assert written(ran, [prompt], 60, use_cache=use_cache) == [text]


@pytest.mark.parametrize(("way", "use_cache"), WAYS)
@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-4), (torch.bfloat16, 0.1)]
)
def test_logits_are_those_of_the_last_context_in_every_format(way, use_cache, dtype, most):
    rough = lively_model().to(dtype)
    for parameter in rough.parameters():  # smaller, so that bfloat16's rounding stays in sight
        parameter.data *= 0.4
    exact = copy.deepcopy(rough).double()
    ran = Package(OURS).run_by(copy.deepcopy(rough), way)
    ids = torch.randint(len(CHARACTERS), (3, 30), generator=torch.Generator().manual_seed(1))
    follow = next_logits(ran, Package(OURS), 3, 30, use_cache)
    with torch.no_grad():
        for end in range(5, 31):
            right = exact(ids[:, max(0, end - CONTEXT) : end])[:, -1]
            found = follow(ids[:, :end])
            assert found.dtype == dtype
            assert (found.double() - right).abs().max() < most * right.abs().max(), end


def test_a_learners_package_goes_on_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    use_package(start(tmp_path / "mine"))
    model = lively_model("my_transformer")
    texts = [written(model, ["mia"], 40, package="my_transformer", use_cache=c) for c in (1, 0)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_transformer"]:
        del sys.modules[name]  # the next test's package is another one
    assert texts == [[expected(lively_model(), "mia", 40)]] * 2


@pytest.mark.parametrize(("way", "use_cache"), WAYS)
def test_prompts_of_any_length_write_together_what_they_write_alone(way, use_cache):
    model = lively_model()
    prompts = ["mia is a ", "m", "a prompt longer than the context is.", "the cat"]
    alone = [expected(model, prompt, 45) for prompt in prompts]
    ran = Package(OURS).run_by(copy.deepcopy(model), way)
    assert written(ran, prompts, 45, use_cache=use_cache) == alone


def test_a_stop_text_past_the_context_ends_the_row():
    model = lively_model()
    whole = expected(model, "mia", 60)
    stop = whole[37:40]
    assert whole.find(stop) > CONTEXT
    assert written(model, ["mia"], 60, stop=stop) == [whole[: whole.find(stop)]]


def test_a_seed_repeats_a_text_past_the_context():
    model = Package(OURS).run_by(lively_model(), "fused")
    first, again, other = (
        written(model, ["mia"] * 2, 50, temperature=1.5, seed=seed) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other
    assert len({*first, *other}) == 4


def test_a_position_is_computed_once_while_the_text_fits_and_the_window_for_each_token_after():
    model, fed = lively_model(), []
    model.blocks[0].norm1.register_forward_hook(lambda layer, x, out: fed.append(out.shape[1]))
    written(model, ["mia"], 20)
    assert fed == [3, *[1] * (CONTEXT - 3), *[CONTEXT] * 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder, whose model has a context of 19 characters."""
    model, folder = lively_model(), tmp_path_factory.mktemp("run")
    settings = {"context_length": CONTEXT, "d_model": 20, "n_heads": 5, "n_layers": 3}
    settings |= {"bias": True, "tie_weights": False}
    state = {"step": 1, "settings": settings, "tokenizer": tokenizer().spec}
    checkpoint.save(folder, checkpoint.Checkpoint(state, checkpoint.weights_of(model), {}))
    return folder


def generated(folder, *args):
    args = ["generate", "--model", str(folder), "--prompt", "mia", "--device", "cpu", *args]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("more", [[], ["--no-cache"], ["--samples", "3"]])
def test_it_is_said_once_and_beside_the_text(folder, more):
    done = generated(folder, "--n-new", "30", *more)
    assert done.stderr == (
        "The model sees 19 tokens at once, and the text may grow to 33: past 19 it goes on from "
        "the last 19, all read again for every token.\n"
    )
    assert "mia" in done.stdout


def test_nothing_is_said_of_a_text_whose_beginning_stays_in_sight(folder):
    args = ["--n-new", str(CONTEXT + 1 - 3)]  # nothing is read after the last token
    assert generated(folder, *args).stderr == ""
    (answer,) = json.loads(generated(folder, "--json", *args).stdout)
    assert not answer["past_context"]
    assert "The model sees" in generated(folder, "--n-new", "18").stderr


def test_json_says_it_of_each_text(folder):
    done = generated(folder, "--json", "--prompt", "a", "--n-new", "17", "--temperature", "0")
    assert done.stderr == ""
    assert [one["past_context"] for one in json.loads(done.stdout)] == [False, False]
    done = generated(folder, "--json", "--prompt", "a", "--n-new", "18", "--temperature", "0")
    assert [one["past_context"] for one in json.loads(done.stdout)] == [True, False]
