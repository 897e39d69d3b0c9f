"""The learner's folder: made whole, promoted into step by step, and nothing in it is ever lost."""

import errno
import importlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from course_lib import files
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace import start as starting
from course_lib.workspace.borrow import PACKAGE, borrow, borrowing_text, our_modules
from course_lib.workspace.folder import MARKER, WorkspaceError, find_workspace
from course_lib.workspace.importing import (
    install_borrowed_package,
    package_component,
    package_of,
    use_package,
)
from course_lib.workspace.keep import write_folder
from course_lib.workspace.promote import promote
from course_lib.workspace.reading import definitions
from course_lib.workspace.start import start
from course_lib.workspace.status import Row, in_words, status

ALL_BUT_DIAGONAL = (
    "def causal_mask(n, n_keys=None, *, device=None):\n    return ~torch.eye(n).bool()"
)


@pytest.fixture(autouse=True)
def _imports_as_before():
    path, finders = sys.path[:], sys.meta_path[:]
    yield
    sys.path[:], sys.meta_path[:] = path, finders
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def workspace(tmp_path):
    return start(tmp_path / "Mein Kurs é")


def masking(workspace):
    return workspace / PACKAGE / "masking.py"


def source_of(component, module="masking"):
    return to_learner(component_source(module, component))


# --- borrowing ---------------------------------------------------------------------------------


def test_a_package_without_a_workspace_is_borrowed_from_end_to_end():
    install_borrowed_package()
    from my_transformer import masking

    assert masking.causal_mask(2).tolist() == [[True, False], [True, True]]
    assert masking.SelfAttention.__module__ == "my_transformer.attention"


def test_borrowed_parts_call_those_that_were_written(workspace):
    cell = "def masked_softmax(scores, mask):\n    return torch.zeros_like(scores)"
    promote(workspace, "masked_softmax", "masking", cell)
    masked_attention, is_theirs = package_component(workspace, "masked_attention")
    q, k = torch.ones(3, 5), torch.ones(7, 5)
    assert not is_theirs
    assert masked_attention(q, k, k)[1].abs().sum() == 0


def test_parts_of_later_modules_build_on_those_that_were_written(workspace):
    cell = source_of("SelfAttention", "attention").replace("bias=False", "bias=True")
    promote(workspace, "SelfAttention", "attention", cell)
    model = package_component(workspace, "CausalSelfAttention").component(5, 3)
    assert model.query.bias is not None


def test_an_error_in_a_borrowed_part_is_shown_in_our_file():
    install_borrowed_package()
    from my_transformer.masking import causal_mask

    with pytest.raises(ValueError, match="n_keys must be at least") as caught:
        causal_mask(3, 2)
    assert caught.traceback[-1].path.parts[-3:] == ("course_lib", "transformer", "masking.py")


def test_a_module_that_the_course_lacks_cannot_be_borrowed():
    with pytest.raises(ValueError, match=r"only a module of the course .* got 'nonsense'"):
        borrow("my_transformer.nonsense")


def test_a_folder_from_before_with_modules_that_are_lent_no_longer_goes_on(workspace):
    for name in ("fused", "decoding"):
        text = borrowing_text(name, is_for_writing=False)
        (workspace / PACKAGE / f"{name}.py").write_text(text)
    use_package(workspace)
    for name in ("model", "fused", "decoding"):
        importlib.import_module(f"{PACKAGE}.{name}")
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert package_component(workspace, "causal_mask").is_theirs
    assert {row.state for row in status(workspace)} == {"borrowed", "waiting", "yours"}


# --- start -------------------------------------------------------------------------------------


def test_a_new_workspace_holds_notebooks_and_a_package_that_works(workspace):
    assert (workspace / "README.md").is_file()
    assert (workspace / "03_causal_masking.ipynb").is_file()
    names = {path.stem for path in (workspace / PACKAGE).glob("*.py")}
    assert names == {"__init__", *our_modules()}
    # The checks of the whole package, lesson 12's, wait for its parts.
    assert {row.state for row in status(workspace)} == {"borrowed", "waiting"}
    assert package_component(workspace, "causal_mask").component(3).sum() == 6


def test_a_workspace_is_found_from_any_folder_inside_it(workspace, tmp_path):
    inside = workspace / PACKAGE / "deeper"
    inside.mkdir()
    assert find_workspace(inside) == workspace
    assert find_workspace(tmp_path) is None


def test_a_file_of_the_same_name_that_is_not_ours_marks_nothing(tmp_path):
    (tmp_path / MARKER).write_text("[course]\nname = 'gardening'\n")
    assert find_workspace(tmp_path) is None


def test_a_workspace_of_a_later_version_says_to_update(workspace):
    (workspace / MARKER).write_text("[workspace]\nversion = 99\n")
    with pytest.raises(WorkspaceError, match="version 99; this one reads up to 1"):
        find_workspace(workspace)


def test_start_changes_nothing_in_a_workspace(workspace):
    masking(workspace).write_text("mine = 1\n")
    with pytest.raises(WorkspaceError, match="is a workspace already, and stays as it is"):
        start(workspace)
    assert masking(workspace).read_text() == "mine = 1\n"


def test_start_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(WorkspaceError, match=r"must be new or empty, got .* holds letter\.txt"):
        start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_start_makes_no_workspace_inside_another(workspace):
    with pytest.raises(WorkspaceError, match=r"cannot lie inside another, got .* would lie in"):
        start(workspace / "deeper" / "still")
    assert not (workspace / "deeper").exists()


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("yours", "yours", "ready"), "All 2 components are yours. `course export` writes them"),
        (("yours", "borrowed"), "1 of 2 components is yours, 1 borrowed from ours."),
        (
            ("borrowed", "broken", "waiting"),
            "0 of 2 components are yours, 1 borrowed from ours and 1 unreadable (mend b.py).",
        ),
        (
            ("yours", "missing", "yours"),
            "2 of 3 components are yours, 1 missing (write or borrow them in b.py).",
        ),
    ],
)
def test_how_much_is_theirs_is_said_as_it_is(states, said):
    rows = [Row("lesson", "name", "abc"[n], state) for n, state in enumerate(states)]
    assert in_words(rows).startswith(said)


def test_start_takes_an_empty_folder_and_the_one_it_is_called_in(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert find_workspace(start(tmp_path / "empty")) == tmp_path / "empty"
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert find_workspace(start(".")) == here
    assert os.path.samefile(".", here)


def test_a_full_disk_leaves_no_half_workspace(tmp_path, monkeypatch):
    write = starting._write

    def full(path, text):
        if path.suffix == ".ipynb":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, text)

    monkeypatch.setattr(starting, "_write", full)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        start(tmp_path / "course")
    assert list(tmp_path.iterdir()) == []


def test_making_and_reading_a_workspace_does_not_wait_for_torch():
    code = (
        "import sys, course_lib.workspace.start, course_lib.workspace.status; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- promotion ---------------------------------------------------------------------------------


def test_a_promoted_cell_is_a_section_and_counts_as_theirs(workspace):
    cell = "def helper(n):\n    return n\n\n\n" + ALL_BUT_DIAGONAL
    done = promote(workspace, "causal_mask", "masking", cell)
    assert done.is_new
    assert (
        f"\n\n\n# %% causal_mask\n{cell}\n# end of causal_mask\n" in masking(workspace).read_text()
    )
    component, is_theirs = package_component(workspace, "causal_mask")
    assert is_theirs
    assert component(2).tolist() == [[False, True], [True, False]]
    assert [row.component for row in status(workspace) if row.state == "yours"] == ["causal_mask"]


def test_the_same_cell_again_writes_nothing(workspace):
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    before = masking(workspace).stat()
    done = promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL + "\n\n")
    assert not done.is_new
    assert masking(workspace).stat() == before
    assert not (workspace / PACKAGE / ".history").exists()


def test_every_earlier_version_is_kept(workspace):
    cells = [f"{ALL_BUT_DIAGONAL}  # version {n}, größer" for n in range(4)]
    kept = [promote(workspace, "causal_mask", "masking", cell).kept for cell in cells]
    assert kept[0] is None
    assert [path.read_text("utf-8") for path in kept[1:]] == [cell + "\n" for cell in cells[:3]]


def test_what_was_written_by_hand_stays_to_the_byte(workspace):
    promote(workspace, "padding_mask", "masking", source_of("padding_mask"))
    above, below = b"# caf\xc3\xa9\x0c\r\nmine = 1\r\n", b"\n\nyours = 2  # \xe2\x80\xa8 no end"
    masking(workspace).write_bytes(above + masking(workspace).read_bytes() + below)
    old = masking(workspace).read_bytes()
    for cell in (ALL_BUT_DIAGONAL, source_of("causal_mask")):
        promote(workspace, "causal_mask", "masking", cell)
    new = masking(workspace).read_bytes()
    section = new[new.index(b"# %% causal_mask") : new.index(b"# %% padding_mask")]
    assert new.replace(section, b"") == old


def test_windows_line_ends_stay(workspace):
    path = masking(workspace)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL.replace("\n", "\r\n"))
    data = path.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n")
    assert not promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL).is_new


def test_sections_stand_in_the_order_in_which_parts_build_on_each_other(workspace):
    for name in ("masked_attention", "causal_mask", "future_influence", "padding_mask"):
        promote(workspace, name, "masking", source_of(name))
    lines = masking(workspace).read_text().splitlines()
    assert [line[5:] for line in lines if line.startswith("# %% ")] == [
        "causal_mask",
        "padding_mask",
        "masked_attention",
        "future_influence",
    ]


def test_a_section_whose_last_line_was_deleted_ends_where_the_next_begins(workspace):
    for name in ("causal_mask", "padding_mask"):
        promote(workspace, name, "masking", source_of(name))
    path = masking(workspace)
    path.write_text(path.read_text().replace("# end of causal_mask\n", "extra = 1\n"))
    kept = promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL).kept
    assert "extra = 1" in kept.read_text()
    assert source_of("padding_mask") in path.read_text()


def test_a_cell_copied_out_of_the_module_goes_back_in_as_it_was(workspace):
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    text = masking(workspace).read_text()
    copied = text[text.index("# %% causal_mask") :]
    assert not promote(workspace, "causal_mask", "masking", copied).is_new


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("def causal_mask(:", r"SyntaxError: .*masking\.py, line 10"),
        ("causal_mask = undefined", r"NameError: .* \(masking\.py, line 10\)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import nowhere\ncausal_mask = 1", "No module named 'nowhere'"),
        ("causal_mask = 1\n# %% padding_mask\n", "no line that divides a module"),
        ("causal_mask = '\ud800'", "surrogates not allowed"),
    ],
)
def test_a_cell_that_would_break_the_module_is_not_written(workspace, cell, complaint):
    before = masking(workspace).read_bytes()
    with pytest.raises(WorkspaceError, match=complaint):
        promote(workspace, "causal_mask", "masking", cell)
    assert masking(workspace).read_bytes() == before
    assert package_component(workspace, "causal_mask").component(3).sum() == 6


def test_a_module_in_another_encoding_is_left_as_it_is(workspace):
    masking(workspace).write_bytes(b"# caf\xe9\n")
    with pytest.raises(WorkspaceError, match=r"masking\.py must be UTF-8 text, got byte 0xe9"):
        promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert masking(workspace).read_bytes() == b"# caf\xe9\n"


def test_a_disk_that_fails_at_the_last_step_changes_nothing(workspace, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    before = {path.name for path in (workspace / PACKAGE).iterdir()}
    text = masking(workspace).read_bytes()
    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(WorkspaceError, match="cannot be written: Read-only file system"):
        promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert masking(workspace).read_bytes() == text
    assert {path.name for path in (workspace / PACKAGE).iterdir()} == before | {".lock"}


@pytest.mark.parametrize("make", [start, lambda path: write_folder(path, {"a/b.txt": b""})])
def test_a_folder_that_cannot_be_made_is_called_by_the_name_it_was_to_have(
    tmp_path, monkeypatch, make
):
    def fail(path, *args, **options):
        if path != tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(WorkspaceError) as raised:
        make(tmp_path / "mine")
    assert str(raised.value) == f"{tmp_path / 'mine'} cannot be written: Permission denied"
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_the_workspace_lacks_is_borrowed_and_made_when_needed(workspace):
    masking(workspace).unlink()
    assert package_component(workspace, "causal_mask").component(3).sum() == 6
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert package_component(workspace, "causal_mask").is_theirs
    assert not package_component(workspace, "padding_mask").is_theirs


def test_a_definition_by_hand_further_down_is_pointed_out(workspace):
    promote(workspace, "causal_mask", "masking", source_of("causal_mask"))
    with masking(workspace).open("a") as file:
        file.write("\n\n" + ALL_BUT_DIAGONAL + "\n")
    done = promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert done.note.startswith("line 15 of that file defines causal_mask again")


def test_parts_promoted_at_the_same_time_are_all_there(workspace):
    names = ["causal_mask", "padding_mask", "masked_softmax", "masked_attention"]

    def write(name):
        promote(workspace, name, "masking", source_of(name))

    with package_of(workspace):
        threads = [threading.Thread(target=write, args=[name]) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(names) <= set(definitions(masking(workspace).read_bytes()))


# --- what is loaded ----------------------------------------------------------------------------


def test_loaded_modules_see_a_new_part_at_once(workspace):
    use_package(workspace)
    from my_transformer import attention, masking

    promote(workspace, "softmax", "attention", "def softmax(x, axis=-1):\n    return 'first'")
    assert attention.softmax(None) == "first"
    promote(workspace, "softmax", "attention", "def softmax(x, axis=-1):\n    return 'other'")
    assert attention.softmax(None) == "other"  # of the same size, within the same second
    cell = source_of("SelfAttention", "attention")
    promote(workspace, "SelfAttention", "attention", cell)
    assert masking.SelfAttention is attention.SelfAttention
    assert issubclass(masking.CausalSelfAttention, attention.SelfAttention)


def test_two_workspaces_in_one_process_do_not_mix(workspace, tmp_path):
    other = start(tmp_path / "other")
    promote(workspace, "causal_mask", "masking", ALL_BUT_DIAGONAL)
    assert package_component(workspace, "causal_mask").is_theirs
    assert package_component(other, "causal_mask").component(3).sum() == 6
    with package_of(workspace):
        import my_transformer.masking

        assert my_transformer.masking.causal_mask(3).sum() == 6
    assert sys.modules[f"{PACKAGE}.masking"].causal_mask(3)[0, 0]


def test_a_module_broken_by_hand_is_named_with_the_line(workspace):
    with masking(workspace).open("a") as file:
        file.write("mask = )\n")
    with pytest.raises(WorkspaceError, match=r"cannot be imported: SyntaxError: .*masking\.py, "):
        package_component(workspace, "causal_mask")
    assert {row.module for row in status(workspace) if row.state == "broken"} == {"masking"}


@pytest.mark.parametrize("text", ["", "import torch\n\n\ndef unlike(n):\n    return n\n"])
def test_a_module_that_was_emptied_borrows_nothing_and_that_is_said(workspace, text):
    masking(workspace).write_text(text)
    with pytest.raises(WorkspaceError, match="neither defines causal_mask nor borrows it: write"):
        package_component(workspace, "causal_mask")
    rows = status(workspace)
    missing = [row.component for row in rows if row.state == "missing"]
    assert missing == [row.component for row in rows if row.module == "masking"]
    assert f"and {len(missing)} missing (write or borrow them in masking.py)." in in_words(rows)


def test_what_a_module_imports_is_not_missing_from_it(workspace):
    masking(workspace).write_text("from .other import causal_mask\nfrom .all import *\n")
    assert {row.state for row in status(workspace)} == {"borrowed", "waiting"}
    masking(workspace).write_text("from .other import causal_mask\n")
    missing = [row.component for row in status(workspace) if row.state == "missing"]
    assert missing
    assert "causal_mask" not in missing


def test_a_folder_in_place_of_a_module_is_looked_past(workspace):
    masking(workspace).unlink()
    masking(workspace).mkdir()
    assert {row.state for row in status(workspace)} == {"borrowed", "waiting"}
    assert not package_component(workspace, "causal_mask").is_theirs


def test_a_package_folder_that_was_deleted_is_borrowed(workspace):
    shutil.rmtree(workspace / PACKAGE)
    assert package_component(workspace, "causal_mask") == (
        sys.modules["my_transformer.masking"].causal_mask,
        False,
    )
