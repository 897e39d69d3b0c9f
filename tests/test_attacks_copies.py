"""Nothing of the course but what a job is given can be read in a sandbox, wherever it lies."""

import compileall
import json
import shutil
import sys
import time
from pathlib import Path

import pytest
from attacks.copies import ATTACKS
from attacks.form import result_of

from course_lib.grading import wall
from course_lib.grading.copies import copies_within
from course_lib.grading.sandbox import Sandbox

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
LESSON = "02_self_attention"


def install(site: Path) -> None:
    """What `pip install --target` makes of a wheel, and a link to a checkout beside it."""
    shutil.copytree(ROOT / "course_lib", site / "course_lib")
    compileall.compile_dir(site / "course_lib" / "transformer", quiet=2)
    (site / "build_a_transformer-0.1.0.dist-info").mkdir()
    (site / "build_a_transformer-0.1.0.dist-info" / "RECORD").write_text("course_lib/cli.py,,\n")
    checkout = site / "checkout"
    (checkout / "course_lib").mkdir(parents=True)
    shutil.copytree(ROOT / "solutions" / LESSON, checkout / "solutions" / LESSON)
    (site / "checkout.pth").write_text(f"{checkout}\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder on the interpreter's path in which the course is installed."""
    site = tmp_path_factory.mktemp("env") / "site-packages"
    install(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield site


@pytest.fixture(scope="module")
def sandbox(installed):
    with Sandbox() as box:
        yield box


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_copy_can_be_read(sandbox, attack):
    assert result_of(attack, sandbox.observe)["points"] == 0.0


def test_a_copy_would_earn_points_if_it_were_there(installed, monkeypatch):
    monkeypatch.setattr(wall, "copies_within", lambda shown: [])
    with Sandbox() as box:
        points = {attack.name: result_of(attack, box.observe)["points"] for attack in ATTACKS}
    assert all(points.values()), points


def test_copies_are_found_in_every_kind_of_installation(tmp_path):
    lib = tmp_path / "lib"
    site, other = lib / "python3.13" / "site-packages", lib / "python3" / "dist-packages"
    checkout = lib / "src" / "course"
    for folder in (site, other / "course_lib", checkout / "course_lib"):
        folder.mkdir(parents=True)
    about = site / "Build-a-Transformer-0.1.0.dist-info"
    about.mkdir()
    address = json.dumps({"url": checkout.as_uri(), "dir_info": {"editable": True}})
    (about / "direct_url.json").write_text(address)
    (site / "__editable___build_a_transformer_0_1_0_finder.py").write_text("MAPPING = {}")
    (site / "local.pth").write_text(f"import sys\n{checkout}\n")
    (site / "torch").mkdir()
    assert set(copies_within([lib])) == {
        about,
        other / "course_lib",
        site / "__editable___build_a_transformer_0_1_0_finder.py",
        checkout,
    }


def test_looking_for_copies_takes_little_time(installed):
    started = time.perf_counter()
    copies_within([Path("/usr/lib"), Path(sys.base_prefix, "lib"), Path(sys.prefix, "lib")])
    assert time.perf_counter() - started < 5.0


def test_of_the_system_only_programs_and_libraries_are_there():
    bound = {option[1] for option in wall._mounts([], {}) if option[0] == "--ro-bind"}
    assert "/usr/lib" in bound
    assert not bound & {"/usr", "/usr/share", "/usr/src", "/usr/local", "/usr/local/share"}
