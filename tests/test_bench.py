"""`course bench` shows that both sides agree before it times them, and reports each number."""

import json
import sys

import pytest
import torch
from click.testing import CliRunner

from course_lib.cli import main
from course_lib.models import ModelError
from course_lib.models.bench import peers, workloads
from course_lib.models.bench.report import as_markdown, measure, write_report
from course_lib.models.bench.timing import Timing, take_turns
from course_lib.models.whose_model import OURS, Package
from course_lib.workspace.importing import use_package
from course_lib.workspace.start import start

CPU = torch.device("cpu")
TINY = peers.Shape(vocab_size=65, context_length=1024, d_model=24, n_heads=3, n_layers=2)


@pytest.fixture
def tiny(monkeypatch):
    """The workloads with a model of GPT-2's kind that takes milliseconds."""
    monkeypatch.setattr(workloads, "GPT2_SMALL", TINY)
    monkeypatch.setattr(workloads, "MEDIUM", workloads.SMALL)
    return list(workloads.workloads(CPU, Package(OURS)))


def test_every_workload_is_measured_and_reported(tiny, tmp_path):
    measured = measure(tiny, CPU, rounds=2)
    rows = measured["rows"]
    assert [row["name"] for row in rows] == [workload.name for workload in tiny]
    assert all(row["share_of_limit"] > 0 for row in rows)
    assert all(row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1] for row in rows)
    written = write_report(measured, tmp_path)
    assert [path.name for path in written] == ["bench.json", "bench.md", "bench.png", "growth.png"]
    assert json.loads(written[0].read_text())["rows"][0]["name"] == rows[0]["name"]
    table = written[1].read_text()
    assert all(row["about"] in table for row in rows)
    assert measured["machine"]["processor"] in table


def test_a_learners_package_is_measured_the_same_way(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    use_package(start(tmp_path / "mine"))
    mine = list(workloads.workloads(CPU, Package("my_transformer")))
    measured = measure(mine, CPU, rounds=2, ours="my_transformer")
    assert [row["name"] for row in measured["rows"]] == [workload.name for workload in tiny]
    assert "my_transformer, tokens/s" in as_markdown(measured)
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_transformer"]:
        del sys.modules[name]  # the next test's package is another one


def test_a_report_of_one_workload_draws_no_growth(tiny, tmp_path):
    one = next(workload for workload in tiny if workload.name == "after-64-cached")
    measured = measure([one], CPU, rounds=2)
    assert [path.name for path in write_report(measured, tmp_path)][-1] == "bench.png"
    assert as_markdown(measured).count("\n|") == 2


def test_models_that_disagree_are_not_timed(tiny, monkeypatch):
    def another_pair(shape, package):
        ours, theirs = peers.make_pair(shape, package)
        with torch.no_grad():
            ours.blocks[0].mlp.down.weight.mul_(1.5)
        return ours, theirs

    monkeypatch.setattr(workloads, "make_pair", another_pair)
    for workload in tiny:
        if workload.dtype == "float32":
            with pytest.raises(ModelError, match="do not agree"):
                workload.prepare(CPU)


def test_turns_alternate_and_ratios_are_theirs_over_ours():
    order = []
    timing = take_turns(
        lambda: order.append("o"), lambda: order.append("t"), CPU, rounds=4, warm_up=1
    )
    assert "".join(order) == "ot" + "otto" * 2
    assert len(timing.ours) == len(timing.theirs) == 4
    timing = Timing(ours=(1.0, 2.0, 4.0), theirs=(3.0, 4.0, 4.0))
    assert timing.ratio == 2.0


def test_an_unknown_workload_gets_a_suggestion():
    done = CliRunner().invoke(main, ["bench", "decode-1-float3"])
    assert done.exit_code != 0
    assert "Did you mean decode-1-float32?" in done.output
