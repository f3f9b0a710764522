"""One result on every engine. (That of `simulation` and `deployment`: `test_one_file_four_engines.py`.)"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from common.study.study import Study
from common.wire import pieces
from experiments.engines._quiet import run_quietly


@pytest.fixture
def hospitals_read_for_themselves() -> None:
    """Here, the process that they are forked from reads the pool for them."""


@pytest.mark.parametrize("strategy", ["fedavg", "scaffold", "fedsgd"])
def test_processes_give_the_bit_identical_model_of_inline(
    tiny: Callable[..., Study], tmp_path: Path, strategy: str
) -> None:
    own = ["training={batch_size='full'}"] if strategy == "fedsgd" else []
    digests = {
        engine: run_quietly(tiny(f"engine={engine}", f"strategy={strategy}", *own), tmp_path / engine).about
        for engine in ("inline", "processes")
    }
    assert digests["inline"]["model_sha256"] == digests["processes"]["model_sha256"]
    assert len(digests["inline"]["model_sha256"]) == 64


def test_a_client_fraction_draws_the_same_hospitals_on_both(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcomes = [
        run_quietly(tiny(f"engine={engine}", "federation.client_fraction=0.5"), tmp_path / engine)
        for engine in ("inline", "processes")
    ]
    assert [r["selected"] for r in outcomes[0].rounds] == [r["selected"] for r in outcomes[1].rounds]
    assert all(len(record["contributed"]) == 2 for record in outcomes[0].rounds)
    assert outcomes[0].about["model_sha256"] == outcomes[1].about["model_sha256"]


def test_bytes_counted_are_the_bytes_that_travelled(tiny: Callable[..., Study], tmp_path: Path) -> None:
    study = tiny("engine=processes", "federation.record_traffic=true")
    run_quietly(study, tmp_path)
    index = [json.loads(line) for line in (tmp_path / "traffic" / "index.jsonl").read_text().splitlines()]
    travelled: Counter[tuple[str, str]] = Counter()
    for line in index:
        assert (tmp_path / "traffic" / line["file"]).stat().st_size == line["bytes"]
        travelled[line["site"], line["direction"]] += line["bytes"]
    sites = json.loads((tmp_path / "traffic.json").read_text())["sites"]
    assert {site: counts["received"] for site, counts in sites.items()} == {
        site: travelled[site, "to server"] for site in sites
    }


@pytest.mark.parametrize("strategy", ["fedadam", "scaffold"])
def test_a_resumed_run_ends_with_the_model_of_one_that_never_stopped(
    tiny: Callable[..., Study], tmp_path: Path, strategy: str
) -> None:
    whole = run_quietly(tiny("rounds=4", f"strategy={strategy}"), tmp_path / "whole")
    run_quietly(tiny("rounds=2", f"strategy={strategy}"), tmp_path / "parts")
    resumed = run_quietly(tiny("rounds=4", f"strategy={strategy}"), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    assert [record["round"] for record in resumed.rounds] == [1, 2, 3, 4]


def test_a_study_stops_early_at_the_score_it_asks_for(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(tiny("rounds=50", "federation.stop_at_score=0.9"), tmp_path)
    assert len(outcome.rounds) < 50
    assert outcome.rounds[-1]["evaluation"]["pooled"]["accuracy"] >= 0.9


def test_evaluation_of_all_hospitals_is_that_of_the_pooled_cases(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(tiny(), tmp_path)
    roster = json.loads((tmp_path / "roster.json").read_text())["sites"]
    sizes = {one["site"]: one["cases"]["test"] for one in roster}
    sites = outcome.final["test"]["sites"]
    right = sum(round(sites[site]["accuracy"] * sizes[site]) for site in sites)
    assert outcome.final["test"]["pooled"]["accuracy"] == pytest.approx(right / sum(sizes.values()), abs=1e-9)


def test_a_model_that_travels_in_pieces_is_the_same_on_both_and_its_bytes_are_counted(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders in small pieces, and answers as hospitals' processes cut them, which do not hear of that."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 18)
    network = "task={name='classification', network={name='mlp', hidden=[600, 600]}}"
    found = [
        run_quietly(
            tiny(f"engine={engine}", "rounds=1", network, "federation.record_traffic=true"), tmp_path / engine
        )
        for engine in ("inline", "processes")
    ]
    assert 4 * found[0].about["parameters"] > 1 << 20
    assert found[0].about["model_sha256"] == found[1].about["model_sha256"]
    index = [json.loads(line) for line in (tmp_path / "processes/traffic/index.jsonl").read_text().splitlines()]
    came = sum(line["bytes"] for line in index if line["direction"] == "to server")
    sites = json.loads((tmp_path / "processes/traffic.json").read_text())["sites"]
    assert sum(counts["received"] for counts in sites.values()) == came
