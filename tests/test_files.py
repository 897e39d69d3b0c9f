"""A file is written whole or not at all, whatever happens meanwhile."""

import errno
import os
import stat

import pytest

from course_lib import files
from course_lib.files import write_atomically


def test_text_and_bytes_are_written_as_they_are_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "é.txt"
    write_atomically(path, "one\r\ntwo é\n")
    assert path.read_bytes() == "one\r\ntwo é\n".encode()
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_and_an_old_one_keeps_its_own(tmp_path):
    path, plain = tmp_path / "grades.csv", tmp_path / "plain"
    plain.touch()
    write_atomically(path, "new")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write_atomically(path, "newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    link.symlink_to(path)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_what_is_read_only_stays(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)  # root may write it all
    with pytest.raises(PermissionError, match="it is read-only"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_an_error_names_the_file_and_not_its_draft(tmp_path, monkeypatch):
    def fail(draft, *args):
        raise PermissionError(errno.EACCES, "Permission denied", str(draft))

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(PermissionError) as raised:
        write_atomically(tmp_path / "file", "new")
    assert raised.value.filename == str(tmp_path / "file")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, step, error
):
    def fail(*args):
        raise error

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_the_old_file_goes(tmp_path, monkeypatch):
    done = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(files.os, step, lambda *a, s=step, r=real: (done.append(s), r(*a)))
    write_atomically(tmp_path / "file", "new")
    assert done[:2] == ["fsync", "replace"]
