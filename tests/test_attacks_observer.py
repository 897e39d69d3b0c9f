"""What is seen inside a submission's own interpreter earns it nothing."""

import pytest
from attacks import EARNS_NOTHING, EARNS_THE_CORE
from attacks.form import result_of
from attacks.observer import ATTACKS, BORROWED

from course_lib.checks.cases.scoring import CORE_SHARE
from course_lib.checks.observe.load import lent
from course_lib.grading import sandbox as sandboxes
from course_lib.grading.sandbox import Sandbox

pytestmark = pytest.mark.slow

MOST = {EARNS_NOTHING: 0.0, EARNS_THE_CORE: CORE_SHARE}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as box:
        yield box


def name_of(attack):
    return f"{attack.component}-{attack.name}"


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
def test_an_attack_on_the_observer_earns_nothing(sandbox, attack):
    result = result_of(attack, sandbox.observe)
    assert result["points"] <= MOST[attack.expects], result["message"]


@pytest.mark.parametrize("attack", BORROWED, ids=name_of)
def test_reference_code_would_earn_points_if_it_were_there(sandbox, attack, monkeypatch):
    everything = {path.stem: path.read_text() for path in lent.FOLDER.glob("[!_]*.py")}
    monkeypatch.setattr(sandboxes, "sources_for", lambda job: everything)
    result = result_of(attack, sandbox.observe)
    assert result["points"] >= CORE_SHARE, result["message"]
