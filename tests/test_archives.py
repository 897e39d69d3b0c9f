"""Archives that want more than to be read: each is refused with a sentence, and only that one."""

import io
import os
import stat
import struct
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_downloads import (
    CLASS,
    LESSON,
    NOTEBOOK,
    Handed,
    canvas,
    moodle,
    notebook,
    one_each,
    save_as_folder,
    save_as_zip,
    zipped,
)

from course_lib.grading.classroom import students_of
from course_lib.platforms import archives
from course_lib.platforms.archives import Refused, unpack
from course_lib.platforms.collecting import collect

ADA, OTHERS = CLASS[0], CLASS[1:3]


def archive(*entries, **options):
    """A zip of entries, each a name or a ZipInfo, and what is in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **options) as made:
        for name, content in entries:
            made.writestr(name, content)
    return packed.getvalue()


def info(name, mode=None, **about):
    made = zipfile.ZipInfo(name)
    if mode is not None:
        made.create_system, made.external_attr = 3, mode << 16
    for key, value in about.items():
        setattr(made, key, value)
    return made


def twice(one, other):
    """An archive with two files under one name, which Python writes only with a warning."""
    made = archive((one, b"1"), (other, b"2"))
    return made.replace(other.encode(), one.encode())


def encrypted():
    made = bytearray(archive((NOTEBOOK, b"1")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        made[made.index(mark) + at] |= 1
    return bytes(made)


def with_a_wrong_sum():
    made = archive((NOTEBOOK, b"abcdefgh"), compression=zipfile.ZIP_STORED)
    return made.replace(b"abcdefgh", b"abcdefgH")


def that_says_too_little():
    """Its directory says 10 bytes of a file that unpacks to a million."""
    made = bytearray(archive((NOTEBOOK, b"0" * 10**6), compression=zipfile.ZIP_DEFLATED))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", made, made.index(mark) + at, 10)
    return bytes(made)


def bomb():
    return archive((NOTEBOOK, bytes(30 * 2**20)), compression=zipfile.ZIP_DEFLATED)


def many_small_bombs():
    nothing = bytes(9 * 2**20)
    return archive(*((f"{n}.bin", nothing) for n in range(30)), compression=zipfile.ZIP_DEFLATED)


def tried(content):
    """What an archive holds, and why it is refused: one of them."""
    try:
        return unpack(content), ""
    except Refused as reason:
        return {}, str(reason)


ATTACKS = {
    "a link": (archive((info(NOTEBOOK, stat.S_IFLNK | 0o777), b"/etc/passwd")), "is a link"),
    "a device": (archive((info(NOTEBOOK, stat.S_IFCHR | 0o666), b"")), "is no file"),
    "an absolute path": (archive((f"/etc/{NOTEBOOK}", b"1")), "has an absolute path"),
    "a drive": (archive((f"C:\\{NOTEBOOK}", b"1")), "has an absolute path"),
    "two dots": (archive((f"../../{NOTEBOOK}", b"1")), "leads out of its folder"),
    "two dots of Windows": (archive((f"..\\..\\{NOTEBOOK}", b"1")), "leads out of its folder"),
    "a control character": (archive((f"a\x1b[2J{NOTEBOOK}", b"1")), "is no name of a file"),
    "an encrypted file": (encrypted(), "is encrypted"),
    "another archive in it": (archive(("a/inner.zip", zipped({NOTEBOOK: b"1"}))),
                              "holds another archive, a/inner.zip"),
    "names that differ by case": (archive((NOTEBOOK, b"1"), (NOTEBOOK.upper(), b"2")),
                                  "are one name where case does not count"),
    "one name twice": (twice("aa.ipynb", "bb.ipynb"), "are one name"),
    "a file that is a folder too": (archive(("A", b"1"), (f"a/{NOTEBOOK}", b"2")), "are one name"),
    "a bomb": (bomb(), "times its size"),
    "too much together": (many_small_bombs(), "it unpacks to 270 MB, more than 250 MB"),
    "too many files": (archive(*((f"{n}.py", b"") for n in range(2_001))), "more than 2,000 files"),
    "another method": (archive((NOTEBOOK, b"1" * 99), compression=zipfile.ZIP_LZMA),
                       "packed in a way that is not read"),
    "a wrong sum": (with_a_wrong_sum(), "is broken"),
    "a size that is a lie": (that_says_too_little(), "is broken"),
    "half of one": (zipped({NOTEBOOK: notebook()})[:99], "is no zip archive that can be read"),
    "none at all": (b"PK, they said", "is no zip archive that can be read"),
    "nothing": (b"", "is no zip archive that can be read"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_concerns_its_student_alone(attack, tmp_path):
    content, why = ATTACKS[attack]
    with pytest.raises(Refused, match=why):
        unpack(content)
    handed = [Handed(ADA, {"work.zip": content}), *one_each(OTHERS)]
    source = save_as_folder(moodle(handed), tmp_path / "downloads")
    submitted = tmp_path / "submitted"
    before = sorted(tmp_path.rglob("*"))
    report = collect([source], submitted, lesson=LESSON)
    (line,) = report.not_understood
    assert line.startswith("Ada Lovelace 9101: work.zip: ")
    assert why in line
    assert len(report.collected) == len(OTHERS)
    assert len(students_of(submitted)) == len(OTHERS)
    made = {path for path in tmp_path.rglob("*") if submitted not in path.parents}
    assert made == {*before, submitted}


def of_a_platform(entry):
    """What a platform gave: an entry that somebody made bad among those of others."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name, content in moodle(one_each(OTHERS)).items():
            made.writestr(name, content)
        made.writestr(*entry)
    return packed.getvalue()


FOLDER = "Ada Lovelace_9101_assignsubmission_file"


@pytest.mark.parametrize(("entry", "why"), [
    ((info(f"{FOLDER}/{NOTEBOOK}", stat.S_IFLNK | 0o777), b"/etc/passwd"), "is a link"),
    ((f"{FOLDER}/../../{NOTEBOOK}", b"1"), "leads out of its folder"),
    ((f"/{FOLDER}/{NOTEBOOK}", b"1"), "has an absolute path"),
])  # fmt: skip
def test_in_a_platforms_archive_a_bad_file_concerns_its_student_alone(entry, why, tmp_path):
    source = tmp_path / "download.zip"
    source.write_bytes(of_a_platform(entry))
    report = collect([source], tmp_path / "submitted")
    (line,) = report.not_understood
    assert "Ada Lovelace" in line
    assert why in line
    assert len(report.collected) == len(OTHERS)


def test_a_link_in_a_folder_that_was_downloaded_is_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(notebook("secret"))
    source = save_as_folder(moodle(one_each(OTHERS)), tmp_path / "downloads")
    (source / FOLDER).mkdir()
    (source / FOLDER / NOTEBOOK).symlink_to(secret)
    report = collect([source], tmp_path / "submitted")
    (line,) = report.not_understood
    assert line == f"{FOLDER}/{NOTEBOOK}: it is a link, or no file"
    assert len(report.collected) == len(OTHERS)


def test_a_link_where_a_submission_would_go_is_not_written_through(tmp_path):
    elsewhere, submitted = tmp_path / "elsewhere", tmp_path / "submitted"
    elsewhere.mkdir()
    submitted.mkdir()
    (submitted / "lovelaceada_101").symlink_to(elsewhere)
    report = collect([save_as_zip(canvas(one_each([ADA])), tmp_path / "d.zip")], submitted)
    (line,) = report.kept
    assert "is a link" in line
    assert list(elsewhere.iterdir()) == []


def test_a_directory_of_millions_of_files_is_refused_before_it_is_read():
    name = b"a" * 20
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0,
                        len(name), 0, 0, 0, 0, 0, 0) + name  # fmt: skip
    n = 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(entry) * n, 0, 0)
    start = time.process_time()
    with pytest.raises(Refused, match="more than 2,000 files"):
        unpack(entry * n + end)
    assert time.process_time() - start < 1.0  # to list them takes many seconds


def big(content):
    """An archive as it is written beyond 4 GB, where sizes take eight bytes."""
    at = content.rindex(b"PK\x05\x06")
    n, size, offset = struct.unpack_from("<HLL", content, at + 10)
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, n, n, size, offset)
    where = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    short = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return content[:at] + end + where + short


def test_an_archive_beyond_4_gb_is_read_as_any(monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRY", 100)  # so that its length is no directory's
    content = archive((NOTEBOOK, os.urandom(10**6)))
    assert unpack(big(content)) == unpack(content)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=5))
def test_an_archive_of_any_names_gives_its_files_or_a_sentence(files):
    found, reason = tried(zipped(files))
    assert reason.isprintable()
    assert not reason or ": " in reason
    for path, content in found.items():
        assert all(part not in ("", ".", "..") and "/" not in part for part in path)
        name = "/".join(path)
        assert content in (files.get(name), *files.values())


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 60))
def test_an_archive_in_which_a_byte_is_another_is_read_or_refused(at, byte, cut):
    content = bytearray(zipped({NOTEBOOK: notebook(), "my_transformer/model.py": b"x = 1"}))
    content[at % len(content)] = byte
    found, reason = tried(bytes(content[: len(content) - cut % 3]))
    assert reason.isprintable()
    assert bool(reason) != bool(found)


def test_names_that_a_program_wrote_without_saying_that_they_are_utf_8_are_read():
    made = bytearray(archive(("Über mich.ipynb", b"1")))
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        made[made.index(mark) + at] &= ~0x08
    assert unpack(bytes(made)) == {("Über mich.ipynb",): b"1"}


def test_limits_are_what_the_sentences_say():
    assert (archives.MAX_FILES, archives.MAX_BYTES) == (2_000, 250 * 2**20)
