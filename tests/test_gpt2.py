"""A GPT-2 folder as Hugging Face writes it: the same logits, the same tokens, text from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

from course_lib.cli import main
from course_lib.models import ModelError
from course_lib.models.gpt2 import GPT2Tokenizer, read_gpt2
from course_lib.models.whose_model import OURS, Package
from course_lib.transformer.generation import generate
from course_lib.workspace.start import start

HARD = [
    "", " ", "  ", "a", " a", "  a", "\n", "\n\n  b", "tabs\t\there", "it's we're I'VE you'll'd",
    "123 4567 ½ ² Ⅻ ٣٤", "naïve café Ünïcödé", "日本語のテキスト", "Здравствуй, мир", "👩‍👩‍👧 🏳️‍🌈",
    "x=y+1;//!!?…—", "_under_score__", "\u00a0nbsp\u2003em space", "a\u0301 combining",
    "<|endoftext|>", "end<|endoftext|>begin", "\x00\x1f\x7f", "ＦＵＬＬ　ｗｉｄｔｈ", "'s 's'S ’s",
    "trailing space ", "   many   spaces   ", "\r\nwindows\r\n", "مرحبا بالعالم", "हिन्दी",
    "\U0001f600" * 5,
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random GPT-2, its merges learned from this file, saved as Hugging Face saves them."""
    folder = tmp_path_factory.mktemp("gpt2")
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator([Path(__file__).read_text("utf-8"), *HARD] * 3, trainer)
    theirs.model.save(str(folder))
    theirs.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=theirs.get_vocab_size(), n_positions=48, n_embd=24, n_layer=3, n_head=4,
            bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_logits_agree_with_transformers(folder):
    model, tokenizer = read_gpt2(folder, Package(OURS))
    theirs = GPT2LMHeadModel.from_pretrained(folder).eval()
    ids = torch.randint(tokenizer.vocab_size, (3, 48), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (model(ids) - theirs(ids).logits).abs().max() < 1e-4


@pytest.mark.parametrize("text", HARD)
def test_hard_strings_are_cut_as_tokenizers_cuts_them(folder, theirs, text):
    ours = GPT2Tokenizer.read(folder)
    assert ours.encode(text) == theirs.encode(text).ids
    assert ours.decode(ours.encode(text)) == text


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40))
def test_any_string_is_cut_as_tokenizers_cuts_it(folder, theirs, text):
    ours = GPT2Tokenizer.read(folder)
    assert ours.encode(text) == theirs.encode(text).ids
    assert ours.decode(ours.encode(text)) == text


def test_text_is_written_from_a_folder_and_is_transformers_own(folder):
    arguments = ["generate", "--gpt2", str(folder), "--prompt", "the same", "--n-new", "20"]
    done = CliRunner().invoke(main, [*arguments, "--temperature", "0", "--json"])
    assert done.exit_code == 0, done.output
    tokenizer = GPT2Tokenizer.read(folder)
    ids = torch.tensor([tokenizer.encode("the same")])
    model = GPT2LMHeadModel.from_pretrained(folder).eval()
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, min_new_tokens=20,
        do_sample=False, pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    expected = tokenizer.decode(written[0, ids.shape[1] :].tolist())
    assert json.loads(done.stdout)[0]["text"] == expected
    assert len(set(written[0].tolist())) > 3


@pytest.mark.parametrize("more", [[], ["--no-cache"], ["--attention", "explicit"]])
def test_past_gpt2s_context_the_text_goes_on_from_its_end(folder, more):
    arguments = ["generate", "--gpt2", str(folder), "--prompt", "the same", "--n-new", "90"]
    done = CliRunner().invoke(main, [*arguments, "--temperature", "0", "--json", *more])
    assert done.exit_code == 0, done.output
    model, tokenizer = read_gpt2(folder, Package(OURS))
    ids = torch.tensor([tokenizer.encode("the same")])
    assert ids.shape[1] + 90 > 48
    written = generate(model, ids, 90, temperature=0.0)[0, ids.shape[1] :].tolist()
    (answer,) = json.loads(done.stdout)
    assert answer["text"] == tokenizer.decode(written)
    assert answer["past_context"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("config.json", None, "cannot be read"),
        ("config.json", b"{", "must be JSON"),
        ("config.json", b"{}", "must say 'vocab_size'"),
        ("model.safetensors", None, r"must hold model\.safetensors"),
        ("model.safetensors", b"PK\x03\x04", "cannot be read as GPT-2"),
        ("vocab.json", b"[]", "must hold a JSON object"),
        ("merges.txt", b"a b c\n", "two tokens a line"),
    ],
)
def test_a_folder_that_is_not_gpt2_is_refused(folder, tmp_path, name, content, complaint):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / name).unlink() if content is None else (copy / name).write_bytes(content)
    with pytest.raises(ModelError, match=complaint):
        read_gpt2(copy, Package(OURS))


def test_a_learners_package_writes_the_same_with_gpt2s_weights(folder, tmp_path):
    workspace = start(tmp_path / "mine")
    args = ["generate", "--gpt2", str(folder), "--prompt", "The cat", "--n-new", "8", "--json"]
    mine = subprocess.run(
        [sys.executable, "-m", "course_lib", *args, "--temperature", "0", "--device", "cpu"],
        cwd=workspace, capture_output=True, text=True,
    )  # fmt: skip
    assert mine.returncode == 0, mine.stderr
    ours = CliRunner().invoke(main, [*args, "--temperature", "0", "--device", "cpu"])
    assert json.loads(mine.stdout) == json.loads(ours.stdout)
