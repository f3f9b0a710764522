"""Every example of CONTRIBUTING.md is true: it stands alone, is clean, binds its kind's word, and does its work."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from pstats import Stats
from types import ModuleType

import numpy as np
import pytest
import torch
from flwr.serverapp import ServerApp
from rich.console import Console

from common.data.cases import Shape
from common.sums.aggregation import Local
from common.sums.cohort import Cohort
from common.sums.exchange import Payload
from common.sums.identity import simulated
from common.sums.update import Update
from experiments.evidence.observing import observe
from experiments.running.run import run_study
from server.strategy import Contributions
from tests.ended import ended
from wardround.testing.__main__ import tried
from wardround.testing.of_file import KINDS
from wardround.testing.runs import tiny_study

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", TEXT, flags=re.DOTALL))


@pytest.fixture
def example(monkeypatch):
    """The module that an example makes, run as if it stood where it says."""

    def load(path):
        name = path.removesuffix(".py").replace("/", ".")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(EXAMPLES[path], f"<CONTRIBUTING.md: {path}>", "exec"), vars(module))
        return module

    return load


def test_no_example_has_become_a_real_file():
    assert not [path for path in EXAMPLES if (ROOT / path).exists()]


def test_every_example_is_clean_where_it_says_it_stands(tmp_path):
    """Checked together in a shadow of the tree, with the project's own settings."""
    for path, text in EXAMPLES.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    settings = ["--config", str(ROOT / "pyproject.toml")]
    done = ended([sys.executable, "-m", "ruff", "check", *settings, str(tmp_path)])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_in_a_file_of_a_strangers_keeps_every_law_that_it_inherits(path, tmp_path):
    """Outside of the tree, by its path, as `wardround test mine.py` does."""
    mine = tmp_path / "mine.py"
    mine.write_text(EXAMPLES[path], encoding="utf-8")
    verdicts = tried(str(mine))
    assert not [one for one in verdicts if one.outcome == "BROKEN"]
    assert len([one for one in verdicts if one.outcome == "kept"]) >= 3
    assert len([one for one in verdicts if one.outcome == "not tried"]) <= 2


def test_every_kind_that_is_one_class_in_one_file_has_an_example():
    kinds = {re.search(r"^(\w+): .* = \w+\n\Z", text, flags=re.MULTILINE)[1] for text in EXAMPLES.values()}
    elsewhere = {"question", "adversary"}  # in docs/own-model.md, which test_own_model.py runs
    assert kinds == KINDS.keys() - {"mechanism", "loss"} - elsewhere


def test_the_task_learns(example):
    task = example("common/learning/tasks/smoothed.py").task(smoothing=0.0)
    cases = example("client/sources/two_groups.py").source().cases("hospital-01", 0)
    network, batch = task.build_network(cases.shape), cases.batch()
    loss = task.loss(network, batch)
    assert loss.shape == (60,)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(50):
        optimiser.zero_grad()
        task.loss(network, batch).mean().backward()
        optimiser.step()
    assert task.loss(network, batch).mean() < loss.mean()
    assert task.score(network, batch)["accuracy"].value > 0.6


def test_the_network_fits_its_shape(example):
    network = example("common/learning/networks/linear.py").network(bias=False).build(Shape((1, 4, 4), 3))
    assert network(torch.zeros(2, 1, 4, 4)).tolist() == [[0, 0, 0]] * 2


def test_the_source_is_the_same_for_the_same_seed(example):
    source = example("client/sources/two_groups.py").source(hospitals=2)
    assert source.sites() == ("hospital-01", "hospital-02")
    one, same, other = (source.cases(site, 5) for site in ("hospital-01", "hospital-01", "hospital-02"))
    assert np.array_equal(one.inputs, same.inputs)
    assert not np.array_equal(one.inputs, other.inputs)


def test_the_partition_keeps_patients_whole(example):
    cases = example("client/sources/two_groups.py").source().cases("hospital-01", 0)
    hospital = (
        example("client/partitions/alphabetical.py").partition(hospitals=7).assign(cases, np.random.default_rng(0))
    )
    assert set(hospital.tolist()) == set(range(7))


def test_the_strategy_steps_by_its_learning_rate(example):
    strategy = example("server/strategies/fedsign.py").strategy(learning_rate=0.5)
    contributions = Contributions(Update((np.array([8.0, -2.0, 0.0], np.float32),), 4.0), None, 4.0)
    _, model = strategy.step({}, np.zeros(3, np.float32), contributions)
    assert model.tolist() == [0.5, -0.5, 0.0]


def test_the_aggregation_rounds_before_anything_leaves(example):
    aggregation = example("common/sums/aggregations/rounded.py").aggregation(decimals=1)
    local = Local("a", 1, "", simulated("a", ["a"], 0), {}, np.random.default_rng(0), Cohort(("a",)))
    payload = aggregation.protect(Update((np.array([0.26, -1.04], np.float32),), 2.0), Payload(), local)
    assert isinstance(payload, Payload)
    np.testing.assert_allclose(payload.array, [0.3, -1.0], rtol=1e-6)


def test_the_engine_runs_the_server_and_keeps_its_profile(example, tmp_path):
    server_app, seen = ServerApp(), []

    @server_app.main()
    def main(grid, context):
        seen.append((len(list(grid.get_node_ids())), context.run_config["rounds"]))

    engine = example("experiments/engines/profiled.py").engine()
    engine.run(
        server_app=server_app,
        client_app="client.app:app",
        sites=("a", "b"),
        run_config={"rounds": 3},
        folder=tmp_path / "run",
    )
    assert seen == [(2, 3)]
    assert Stats(str(tmp_path / "run" / "profile.pstats")).total_calls > 0


def test_the_benchmark_measures(example):
    measured = example("experiments/benchmarks/mean.py").benchmark(Console(quiet=True))
    assert {row["step"] for row in measured.rows} == {"average", "copy"}


def test_the_attack_reads_single_updates_and_says_where_it_cannot(example, tmp_path):
    attack = example("experiments/attacks/loudest.py").attack(rounds=1)
    findings = {}
    for aggregation in ("plain", "secagg"):
        study = tiny_study(f"aggregation={aggregation}")
        run_study(study, "small", tmp_path / aggregation)
        findings[aggregation] = attack.run(observe(tmp_path / aggregation), np.random.default_rng(0), 1.0)
    plain, summed = findings["plain"], findings["secagg"]
    assert set(plain.figures) == {"ashford-general", "brackwater-university", "coldharbour-infirmary"}
    assert min(plain.figures.values()) > 0
    assert not summed.possible
    assert summed.reason == "sees no single update"
