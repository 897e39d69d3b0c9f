"""`course doctor` tries every part of the wall, and ends with 1 where one does not stand."""

import json

from click.testing import CliRunner

from course_lib.cli import main
from course_lib.grading import doctor
from course_lib.grading.sandbox import Sandbox


def findings():
    return {finding.name: finding for finding in doctor.examine()}


def test_on_this_machine_everything_that_is_needed_stands():
    """As for every test of the sandbox, bubblewrap must be here."""
    found = findings()
    assert doctor.is_trusted(found.values()), found
    assert {attempt.name for attempt in doctor.ATTEMPTS} < set(found)
    assert not any(finding.needed for name, finding in found.items() if name == "own time")


def test_a_wall_with_holes_is_not_trusted(monkeypatch):
    monkeypatch.setattr(doctor, "Sandbox", lambda limits: Sandbox("none", limits=limits))
    found = findings()
    assert not doctor.is_trusted(found.values())
    holes = {name for name, finding in found.items() if not finding.stands and finding.needed}
    assert {"files", "system calls (seccomp)"} <= holes
    assert "memory limit" not in holes
    assert "is not refused (success)" in found["files"].said


def test_without_bubblewrap_it_says_how_to_get_it_and_ends_with_1(monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "! bubblewrap" in done.stdout
    assert "apt install bubblewrap" in done.stdout
    assert "Do not grade here" in done.stdout
    assert "none" not in done.stdout.replace("none of cpu", "")
    done = CliRunner().invoke(main, ["doctor", "--json"])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["trusted"]) == (1, False)
    lacking = {each["name"] for each in said["findings"] if each["needed"] and not each["stands"]}
    assert lacking == {"bubblewrap", "wall"}


def test_a_machine_that_is_short_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor, "_available_memory", lambda: 2**30)
    monkeypatch.setattr(doctor, "DISK_BYTES", 2**60)
    found = {finding.name: finding for finding in doctor._what_a_class_takes()}
    assert not found["memory"].stands
    assert "--workers 1" in found["memory"].advice
    assert not doctor.is_trusted(found.values())  # no room on the disk
    assert doctor.is_trusted([found["memory"]])


def test_a_control_group_counts_only_where_it_is_ours(tmp_path):
    process, root = tmp_path / "proc", tmp_path / "sys"
    own = root / "user.slice" / "course"
    process.mkdir()
    own.mkdir(parents=True)
    (process / "cgroup").write_text("3:cpuset:/\n0::/user.slice/course\n")
    (process / "mountinfo").write_text(f"30 22 0:26 / {root} rw - cgroup2 cgroup2 rw\n")
    (own / "cgroup.subtree_control").write_text("")
    (own / "cgroup.controllers").write_text("memory pids\n")
    assert doctor.own_group(process) is None
    (own / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert doctor.own_group(process) == own
    (own / "cgroup.subtree_control").unlink()
    assert doctor.own_group(process) is None
    assert doctor.own_group(tmp_path / "nothing") is None


def test_due_dates_that_are_not_understood_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "course.toml"
    assert doctor._deadlines(tmp_path).stands
    file.write_text("[late]\npercent_a_day = 10\n[02_self_attention]\nexcused = ['ada']\n")
    assert doctor._deadlines(tmp_path).said == "course.toml: 0 due, 10 % a day, 1 excused"
    file.write_text("[late]\npercent_a_day = 200\n")
    found = [each for each in doctor._what_a_class_takes() if each.name == "due dates"]
    assert not found[0].stands
    assert "must be a number from 0 to 100" in found[0].said
