"""The class's list, in every form in which it comes: everybody is found in it, or nobody is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_downloads import CLASS, as_csv, roster_of

from course_lib.grading.classroom import recorded
from course_lib.platforms import PlatformError
from course_lib.platforms.people import (
    CANVAS,
    EMAIL,
    LOGIN,
    SIS,
    NotFound,
    People,
    Person,
    folder_name,
)
from course_lib.platforms.roster import read_roster
from course_lib.platforms.tables import Table

QUIET = settings(max_examples=80, deadline=None, derandomize=True, database=None)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def saved(tmp_path, content):
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    return path


FORMS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with its mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, the other way round": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without its mark": lambda text: text.encode("utf-16-le"),
    "with Excel's line": lambda text: ("sep=,\r\n" + text).encode(),
    "line ends of Unix": lambda text: text.replace("\r\n", "\n").encode(),
    "line ends of an old Mac": lambda text: text.replace("\r\n", "\r").encode(),
    "no last line end": lambda text: text.removesuffix("\r\n").encode(),
    "empty lines": lambda text: ("\r\n" + text + "\r\n,,,\r\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("platform", ["canvas", "moodle", "gradescope", "classroom50", "other"])
def test_everybody_is_read_from_every_form(platform, form, tmp_path):
    text = roster_of(platform).decode()
    found = read_roster(saved(tmp_path, FORMS[form](text)))
    assert len(found) == len(CLASS)
    people = People(found)
    for student in CLASS:
        key = people.find(Person({}, (student.name,)))
        assert student.login in (key, key.partition("@")[0])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_list_may_have_another_delimiter(delimiter, tmp_path):
    rows = [["Username", "Full name"], ["ada", "Lovelace, Ada"], ["bo", "B, o; and more"]]
    for before in ("", "\r\n", f"{delimiter}\r\n\r\n"):
        content = before.encode() + as_csv(rows, delimiter)
        assert set(read_roster(saved(tmp_path, content))) == {"ada", "bo"}


def test_a_list_of_windows_is_read(tmp_path):
    rows = [["Username", "Full name"], ["jose", "José Müller – “Pepe”"]]
    content = as_csv(rows).decode().encode("cp1252")
    (person,) = read_roster(saved(tmp_path, content)).values()
    assert person.names == ("José Müller – “Pepe”",)


def test_a_name_may_hold_the_end_of_a_line(tmp_path):
    rows = [["Username", "Full name"], ["ada", "Ada\r\nLovelace"], ["bo", "Bo\nB"]]
    found = read_roster(saved(tmp_path, as_csv(rows)))
    assert [person.names for person in found.values()] == [("Ada Lovelace",), ("Bo B",)]


@pytest.mark.parametrize(("content", "why"), [
    (b"", "a row of headings"),
    (b"\r\n,,\r\n", "a row of headings"),
    (b"Points,Weight\r\n1,2\r\n", "says who somebody is.*got Points, Weight"),
    (b"Username,Full name\r\n", "list a class"),
    (b"Student,ID\r\n    Points Possible,\r\n", "list a class"),
    (b'Username,Full name\r\nada,"Ada\r\n', "every quote must end"),
    (b"Username\r\nada\x81\xff\r\n", "Windows-1252"),
    (b"Username,Full name\r\nada,A\r\nADA,B\r\n", "must differ for all, got 'ADA' for A and B"),
])  # fmt: skip
def test_what_is_no_list_is_refused_with_a_sentence(content, why, tmp_path):
    with pytest.raises(PlatformError, match=why):
        read_roster(saved(tmp_path, content))


def test_folders_are_named_after_the_column_that_is_asked_for(tmp_path):
    path = saved(tmp_path, roster_of("canvas"))
    assert set(read_roster(path)) >= {"ada", "jose"}
    assert set(read_roster(path, "SIS User ID")) >= {"S101", "S102"}
    with pytest.raises(PlatformError, match=r"--key must be a heading.*got 'Login'"):
        read_roster(path, "Login")
    with pytest.raises(PlatformError, match=r"must differ.*Group A.*--key"):
        read_roster(path, "Section")


def test_the_surest_mark_counts_before_a_name():
    people = People({
        "ada": Person({CANVAS: "1", SIS: "S1", LOGIN: "ada"}, ("Lovelace, Ada",)),
        "eve": Person({CANVAS: "2", SIS: "S2", LOGIN: "eve"}, ("Eve",)),
    })  # fmt: skip
    assert people.find(Person({CANVAS: "2"}, ("Ada Lovelace",))) == "eve"
    assert people.find(Person({EMAIL: "EVE"}, ("Ada Lovelace",))) == "eve"  # a login as an address
    assert people.find(Person({}, ("lovelaceada",))) == "ada"
    assert people.find(Person({}, ("ÁDA LOVELACE",))) == "ada"
    with pytest.raises(NotFound):  # the same name, and another number: somebody else
        people.find(Person({CANVAS: "3"}, ("Ada Lovelace",)))


@QUIET
@given(st.lists(ANY, min_size=1, max_size=6, unique=True))
def test_no_two_people_have_one_folder_and_each_is_one_that_the_grader_takes(keys):
    names = [folder_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    for name in names:
        assert name == name.strip()
        assert 0 < len(name.encode()) <= 140
        assert not name.startswith((".", "=", "+", "-", "@", "\t"))
        assert not set("/\\\0\r\n") & set(name)
        assert recorded(name) == name


@QUIET
@given(
    st.lists(st.lists(ANY, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(",;\t")
)
def test_a_table_is_written_as_it_was_read_and_reads_as_it_was_written(rows, delimiter):
    headings = ["Username", "Full name", "Score"]
    content = as_csv([headings, *rows], delimiter)
    table = Table(content, "table")
    assert table.content() == content
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    assert [table.row(n) for n in range(len(table))] == filled
    for number in range(len(table)):
        table.set(number, 2, "7.5")
    again = Table(table.content(), "table")
    assert [again.row(n) for n in range(len(again))] == [[*row[:2], "7.5"] for row in filled]
