"""Every command that the text shows is run as it stands there, and what comes out is compared.

A new command in README, CONTRIBUTING, the book, `--help` or a learner's own README fails
`test_every_command_shown_is_run_or_seen_elsewhere` until a story below runs it, or `ELSEWHERE`
says which test does. What takes minutes runs shortened: with one more flag behind the words.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click import Choice
from click.testing import CliRunner
from platform_downloads import CLASS, LESSON, NOTEBOOK, Handed, canvas, gradebook_of, save_as_zip

from course_lib.bugs import all_bugs
from course_lib.cli import main
from course_lib.lessons.exercises import prices, read_notebook
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace.start import README as LEARNERS_README

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
PROGRAMS = Path(sys.executable).parent

FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?P<about>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*?$", re.M | re.S
)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
IS_COMMAND = re.compile(
    r"(\.venv/bin/)?(course|make|pip|pytest|nbgrader|jupyter|torchrun|python3?|git|npm|cd)\s\S"
)
SHELL = ("sh", "bash", "console", "shell")


# --- what the text shows -----------------------------------------------------------------------


def commands_in(text: str) -> list[str]:
    """The commands of the blocks, each line one, then those in the running text.

    A line that ends with a backslash goes on in the next.
    """
    found = []
    for block in FENCE.finditer(text):
        if block["about"].strip() in SHELL:
            body = re.sub(r"\\\n\s*", "", block["body"])
            lines = (re.sub(r"(^|\s+)# .*$", "", line) for line in body.splitlines())
            found += [line.removeprefix("$ ").strip() for line in lines if line.strip()]
    text = FENCE.sub("", text)
    indented = re.findall(r"^ {4}(\S.*)$", text, re.M)
    inline = [" ".join(code.split()) for code in INLINE.findall(text)]
    return found + [words for words in indented + inline if IS_COMMAND.match(words)]


def helps() -> dict[str, str]:
    """What `--help` says, of every command."""
    said = {}
    for words in ([], *([name] for name in main.commands)):
        done = CliRunner().invoke(main, [*words, "--help"])
        assert done.exit_code == 0, done.output
        said[" ".join(["course", *words, "--help"])] = done.output
    return said


def texts() -> dict[str, str]:
    pages = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PAGES}
    return {**pages, "the learner's README": LEARNERS_README, **helps()}


def shown() -> dict[str, list[str]]:
    """Every command that is shown, with the places where it stands."""
    found = {}
    for place, text in texts().items():
        for command in commands_in(text):
            found.setdefault(command, []).append(place)
    return found


# --- how each of them runs ---------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A command as shown, with what makes it short.

    Args:
        more: words put behind it.
        first: words put behind the first one: `make -n course` says what `make course` does.
        status: how it ends.
    """

    words: str
    more: str = ""
    first: str = ""
    status: int = 0

    @property
    def line(self) -> str:
        program, _, rest = self.words.partition(" ")
        program = program.replace(".venv/bin/", f"{PROGRAMS}/")
        return " ".join(word for word in (program, self.first, rest, self.more) if word)


# Stories: the commands that follow each other in one folder, which a function below prepares.
STORIES = {
    "checkout": [
        *(Run(f"make {target}", first="-n") for target in ("course", "lint", "test", "test-all")),
        *(Run(f"make component C={name}", first="-n") for name in ("masked_softmax", "RMSNorm")),
        *(Run(f"make {target}", first="-n") for target in ("test-book", "test-seeds", "gpu")),
        *(Run(f"make {target}", first="-n") for target in ("attack", "fuzz")),
        Run('make course TORCH="--index-url …"', first="-n"),
        Run("pytest tests/test_capstone.py -m slow", "--collect-only -qq"),
        Run("course --help"),
        Run("course train --help"),
        Run("course doctor"),
        *(Run(f"course {name}", "--help") for name in ("start", "bench", "train", "generate")),
        *(Run(f"course {name}", "--help") for name in ("collect", "hand-back")),
        Run("course build", "--root ."),
    ],
    "desk": [
        Run("course start my-transformer"),
        Run("cd my-transformer"),
        Run("course check"),  # nothing is theirs yet, which is no failure
        Run("course status"),
        Run("course hint causal_mask"),
        Run("course export"),
    ],
    "right desk": [
        Run("course lab", "--help"),
        Run("course watch", "--help"),
        Run("course solution causal_mask"),
        Run("course submit 03"),
        Run("course update"),
        Run("course reset causal_mask"),
    ],
    "second desk": [Run("course start my-course"), Run("cd my-course")],
    "written desk": [
        Run("course check", status=1),
        Run("course check trains", status=1),
    ],
    "models": [
        Run("course train --out run", "--n-steps 20 --d-model 32"),
        Run("course train --out run --resume --device cpu", "--n-steps 24"),
        Run('course generate --model run --prompt "mia is a "'),
        Run('course generate --gpt2 DIR --prompt "Once"'),
        Run("course bench --out bench", "train-4x128-float32 --rounds 2"),
    ],
    "shakespeare": [Run("course train --out play --text shakespeare", "--n-steps 9")],
    "shakespeare again": [
        Run(
            "course train --text shakespeare --out play "
            "--n-steps 600 --max-lr 6e-3 --save-every 600",
            "--n-steps 9 --save-every 9",
        )
    ],
    "class": [
        Run("course release 02_self_attention"),
        Run("course grade --submitted submitted --out grades"),
        Run("nbgrader autograde 02_self_attention"),
        Run(".venv/bin/course release 02_self_attention"),
        Run("nbgrader db student import students.csv"),
        Run(".venv/bin/course grade --submitted submitted --out grades"),
        Run(".venv/bin/course grade --submitted submitted --out grades", "--student ada"),
        Run(".venv/bin/course grade --submitted submitted --out grades", "--student ben --again"),
        Run(".venv/bin/course formgrader --out grades", "--help"),  # it runs until it is stopped
        Run(".venv/bin/nbgrader autograde 02_self_attention"),
        Run(".venv/bin/nbgrader generate_feedback 02_self_attention"),
    ],
    "platform": [
        Run(
            "course collect submissions.zip --submitted submitted --lesson 2 --roster gradebook.csv"
        ),
        Run(
            ".venv/bin/course collect submissions.zip --submitted submitted --lesson 2 "
            "--roster gradebook.csv"
        ),
        Run(".venv/bin/course grade --submitted submitted --out grades"),
        Run(
            ".venv/bin/course hand-back --grades grades --to canvas --lesson 2 "
            "--gradebook gradebook.csv --submitted submitted --out back"
        ),
        Run(".venv/bin/course hand-back --grades grades --to csv --out tables"),
        Run(".venv/bin/course hand-back --grades grades --to csv --out tables", "--anonymous"),
    ],
}
SLOW = {"models", "shakespeare", "shakespeare again", "class", "platform", "written desk"}

# Command: the test file that does the same, a word by which it is found there, and the reason.
ELSEWHERE = {
    "nbgrader release_feedback 02_self_attention": (
        "test_formgrader.py", "release_feedback", "needs an exchange, and who submitted through it",
    ),
    'pip install ".[learn]"': ("test_wheel.py", "[learn]", "installs, which needs a registry"),
    "pip install --index-url … torch": ("test_wheel.py", "pip", "the page to look up has the rest"),
    "pip install transformers": ("test_gpt2.py", "from transformers import", "it is here already"),
    "torchrun --nproc-per-node 2 -m course_lib train …": (
        "test_models.py", "torch.distributed.run", "takes settings of its own, to be quick",
    ),
    "course new-component RMSNorm 05": (
        "test_new_component.py", "RMSNorm", "writes into the checkout: there it has a copy",
    ),
    "python tests/short_loop.py RMSNorm": (
        "test_new_component.py", "tests/short_loop.py", "there the component has been begun",
    ),
    "python -m course_lib.gpu --small": ("test_gpu.py", "--small", "is a minute's own test"),
    "python -m course_lib.gpu.pages": ("test_gpu.py", "pages", "writes into the checkout"),
    "course experiments": ("test_experiments.py", '"experiments"', "has the records beside it"),
    "course experiments --list": ("test_experiments.py", "--list", "and so here"),
    "course experiments --again held_back_riddles": (
        "test_experiments.py", "--again", "and compares with them",
    ),
    "course book": ("test_book.py", "build_book", "takes minutes"),
    "course …": ("test_commands.py", "main.commands", "stands for all of them"),
}  # fmt: skip


def test_every_command_shown_is_run_or_seen_elsewhere():
    known = {run.words for story in STORIES.values() for run in story} | set(ELSEWHERE)
    new = {command: places for command, places in shown().items() if command not in known}
    assert not new, "run it in a story, or list it in ELSEWHERE with the reason"
    assert not known - set(shown()), "no text shows it any more: take it out"


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_seen_elsewhere_is_there(command):
    file, word, reason = ELSEWHERE[command]
    assert word in (ROOT / "tests" / file).read_text("utf-8")
    assert reason


def test_every_flag_in_the_text_is_one_and_takes_the_value_it_is_shown_with():
    known = {}
    for command in main.commands.values():
        for option in command.params:
            for flag in option.opts:
                known.setdefault(flag, []).append(option)
    known["--index-url"] = known["--help"] = []  # pip's, and every command's
    for place, text in texts().items():
        for code in INLINE.findall(FENCE.sub("", text)):
            flag, _, value = code.partition(" ")
            if re.fullmatch(r"--[a-z][a-z0-9-]*", flag):
                assert flag in known, f"{place}: {code}"
                kinds = [option.type for option in known[flag] if isinstance(option.type, Choice)]
                assert not value or all(value in kind.choices for kind in kinds), f"{place}: {code}"


# --- the folders -------------------------------------------------------------------------------


def prepare(story: str, folder: Path) -> None:
    """What the commands of a story find in their folder."""
    if story == "checkout":
        for name in ("course_lib", "book", "exercises", "solutions", "tests"):
            skipped = shutil.ignore_patterns("__pycache__", ".pytest_cache")
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        for path in ROOT.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
    elif story == "written desk":
        write_inverted_mask(folder)
    elif story == "right desk":
        write_right_mask(folder)
    elif story == "models":
        save_tiny_gpt2(folder / "DIR")
    elif story == "class":
        shutil.copytree(ROOT / "exercises", folder / "exercises")
        shutil.copy(ROOT / "nbgrader_config.py", folder)
        (folder / "students.csv").write_text("id\nada\nben\ncleo\n", "utf-8")
        for line in tree_of_a_class().splitlines()[1:]:
            place = folder / "submitted" / line.strip()
            place.parent.mkdir(parents=True)
            solved = "solutions" if line.strip().startswith("ada") else "exercises"
            shutil.copy(ROOT / solved / place.parent.name / place.name, place)
    elif story == "platform":
        write_canvas_downloads(folder)


def write_canvas_downloads(folder: Path) -> None:
    """What Canvas gives of a class of two: one has solved the lesson, one has not begun."""
    name = f"{LESSON}/{NOTEBOOK}"
    solved, blank = ((ROOT / top / name).read_bytes() for top in ("solutions", "exercises"))
    handed = [Handed(CLASS[0], {NOTEBOOK: solved}), Handed(CLASS[2], {NOTEBOOK: blank})]
    save_as_zip(canvas(handed), folder / "submissions.zip")
    points = sum(prices(read_notebook(LESSON)).values())
    (folder / "gradebook.csv").write_bytes(
        gradebook_of("canvas", [CLASS[0], CLASS[2]], most=f"{points:g}")
    )


def write_inverted_mask(folder: Path) -> None:
    """A learner's folder in which the mask is the one of the message on the first page."""
    from course_lib.workspace.start import start

    start(folder)
    bug = next(bug for bug in all_bugs() if bug.title == "the mask was inverted")
    right = to_learner(component_source("masking", "causal_mask"))
    assert bug.component == "causal_mask"
    wrong = right.replace("def causal_mask", "def _right_mask")
    with (folder / "my_transformer" / "masking.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{wrong}\n\n\ndef causal_mask(*sizes, **options):\n")
        file.write("    return ~_right_mask(*sizes, **options)\n")


def write_right_mask(folder: Path) -> None:
    """A learner's folder in which one part has passed."""
    from course_lib.workspace.promote import promote
    from course_lib.workspace.start import start

    start(folder)
    promote(
        folder, "causal_mask", "masking", to_learner(component_source("masking", "causal_mask"))
    )


def save_tiny_gpt2(folder: Path) -> None:
    """A folder as Hugging Face writes GPT-2's, with a token for each byte and random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from course_lib.models.gpt2 import _printable_bytes

    folder.mkdir()
    vocabulary = {token: number for number, token in enumerate(_printable_bytes().values())}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    torch.manual_seed(0)
    sizes = {"vocab_size": 256, "n_positions": 48, "n_embd": 24, "n_layer": 2, "n_head": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(**sizes, **ends)).save_pretrained(folder)


def stand_in_for_shakespeare(folder: Path) -> str:
    """What makes `course` download another text than the true one, which is not in the checkout."""
    text = folder / "stand-in.txt"
    text.write_text("To be, or not to be, that is the question.\n" * 400, "utf-8")
    return (
        "import functools, hashlib, http.server, pathlib, threading\n"
        "import course_lib.cli, course_lib.models.text as text\n"
        f"path = pathlib.Path({str(text)!r})\n"
        "files = functools.partial(\n"
        "    http.server.SimpleHTTPRequestHandler, directory=str(path.parent))\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), files)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "text.SHAKESPEARE_URL = f'http://127.0.0.1:{server.server_port}/{path.name}'\n"
        "text.SHAKESPEARE_SHA256 = hashlib.sha256(path.read_bytes()).hexdigest()\n"
        "course_lib.cli.main(prog_name='course')\n"
    )


def shell(line: str, cwd: Path, **environment) -> subprocess.CompletedProcess:
    """The line, typed into a shell in this folder."""
    paths = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=240,
        env={**os.environ, **paths, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def tell(story: str, folder: Path) -> dict[str, str]:
    """Run a story; what each of its commands has said."""
    prepare(story, folder)
    said, cwd, environment = {}, folder, {}
    if story.startswith("shakespeare"):
        programs = folder / "programs"
        programs.mkdir()
        (programs / "stand_in.py").write_text(stand_in_for_shakespeare(folder), "utf-8")
        (programs / "course").write_text(
            f'#!/bin/sh\nexec {sys.executable} {programs / "stand_in.py"} "$@"\n'
        )
        (programs / "course").chmod(0o755)
        environment["PATH"] = f"{programs}:{os.environ['PATH']}"
        environment["XDG_CACHE_HOME"] = str(folder / "cache")
    for run in STORIES[story]:
        if run.words.startswith("cd "):
            cwd = cwd / run.words.removeprefix("cd ")
            assert cwd.is_dir(), run.words
            continue
        done = shell(run.line, cwd, **environment)
        assert done.returncode == run.status, f"{run.line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{run.line}\n{done.stderr}"
        said[run.line] = done.stdout + done.stderr
    return said


@pytest.mark.parametrize(
    "story",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in STORIES],
)
def test_the_commands_run_as_they_stand(story, tmp_path):
    said = tell(story, tmp_path)
    assert all(said.values())  # none of them is silent
    if story == "class":
        for name in files_of_the_grades():
            assert (tmp_path / "grades" / name).exists(), name
    if story == "platform":
        rows = list(csv.reader((tmp_path / "back/gradebook.csv").read_text("utf-8").splitlines()))
        assert [row[6] for row in rows[2:]] == [rows[1][6], "0"]
        assert "2 pages of feedback." in "".join(said.values())
        assert (tmp_path / "tables/grades_wide.csv").exists()
    if story == "checkout":
        assert "Nothing has changed." in said["course build --root ."]
        assert all("test_" in text for line, text in said.items() if "pytest" in line)


# --- what comes out ----------------------------------------------------------------------------


def output_blocks() -> dict[str, list[str]]:
    """The blocks that show what a program prints or a folder holds, by page."""
    found = {}
    for path in PAGES:
        for block in FENCE.finditer(path.read_text("utf-8")):
            if block["about"].strip() == "text":
                found.setdefault(str(path.relative_to(ROOT)), []).append(block["body"])
    return found


def tree_of_a_class() -> str:
    """The folder of submissions that the page for teachers shows."""
    (tree,) = (block for block in output_blocks()["book/teaching.md"])
    return tree


def files_of_the_grades() -> list[str]:
    """The files that the page for teachers promises in `grades/`."""
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "book/teaching.md").read_text("utf-8"), re.M)
    assert len(rows) >= 4
    return rows


def test_the_messages_shown_are_what_a_check_in_the_terminal_says(tmp_path):
    write_inverted_mask(tmp_path)
    done = shell("course check causal_mask", tmp_path)
    assert done.returncode == 1
    messages = {
        place: blocks for place, blocks in output_blocks().items() if "teaching" not in place
    }
    assert set(messages) == {"README.md", "book/index.md"}
    assert all(block in done.stdout for blocks in messages.values() for block in blocks)


ADVICE = re.compile(r"^\s*(?:Go on|Write|More):\s+(course .*)$", re.M)


def test_what_a_command_advises_can_be_typed(tmp_path):
    """Also for a folder whose name has a space in it."""
    out = ["--n-layers", "1", "--d-model", "8", "--n-steps", "4", "--device", "cpu"]
    done = CliRunner().invoke(main, ["train", "--out", str(tmp_path / "my run"), *out])
    advised = ADVICE.findall(done.stdout)
    done = CliRunner().invoke(main, ["hint", "causal_mask"])
    advised += ADVICE.findall(done.stdout)
    assert [line.split()[1] for line in advised] == ["generate", "hint"]
    for line in advised:
        done = shell(line, tmp_path)
        assert done.returncode == 0, done.stderr
