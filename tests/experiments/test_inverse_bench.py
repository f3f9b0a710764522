"""The benchmark of classical reconstruction: its problems, its way to equal objectives, and its targets."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from common.errors import EngineError
from common.study.options import Entry
from experiments.benchmarks import _inverse_problems as problems
from experiments.benchmarks import inverse
from experiments.benchmarks.inverse import measured

ROW = {"problem": "denoising", "prior": "tv", "wanted": 1e-4, "gap": 5e-5, "psnr": 30.0, "iterations": 10}


def row(solver: str, cpu_s: float, **changed: object) -> dict[str, object]:
    return {**ROW, "solver": solver, "cpu_s": cpu_s, "references_apart": 1e-7, **changed}


def test_targets_are_met_at_an_equal_gap_alone() -> None:
    rows = [row("ours, proximal map", 1.0), row("deepinv TVDenoiser", 9.0), row("scikit-image", 1.5)]
    found = measured({"rows": rows, "projectors": [], "missing": {"SigPy FISTA": "no module"}})
    verdicts = {target.name: target.met for target in found.targets}
    assert verdicts["TV prox beside deepinv"] is True and verdicts["TV prox beside scikit-image"] is False
    assert verdicts["FISTA beside SigPy's"] is None and verdicts["projector beside astra's"] is None
    assert [one["ratio"] for one in found.rows] == [1.0, 9.0, 1.5] and "SigPy FISTA" in found.notes[-1]
    short = [row("ours, proximal map", 1.0, gap=1e-3), row("deepinv TVDenoiser", 9.0)]
    assert measured({"rows": short, "projectors": [], "missing": {}}).targets[0].met is False


def test_a_projector_is_as_fast_as_its_slowest_kernel() -> None:
    common = {"what": "projection", "apart": 1e-5, "ours_ms": 1.0}
    projectors = [{**common, "kernel": "line", "astra_ms": 4.0}, {**common, "kernel": "strip", "astra_ms": 2.0}]
    projectors.append({**projectors[0], "what": "back-projection", "astra_ms": 0.5})
    found = measured({"rows": [], "projectors": projectors, "missing": {}})
    targets = {one.name: one for one in found.targets}
    assert targets["projector beside astra's"].ours == 2 and targets["projector beside astra's"].met is False
    assert targets["the same, there and back"].ours == 2
    projectors[1]["astra_ms"] = 9.0
    found = measured({"rows": [], "projectors": projectors, "missing": {}})
    targets = {one.name: one for one in found.targets}
    assert targets["projector beside astra's"].met is True
    assert targets["the same, there and back"].ours == 2.25


def test_what_was_measured_is_kept_until_a_solver_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def peers(*arguments: str) -> dict[str, Any]:
        asked.append(arguments)
        if len(asked) == 4:
            raise EngineError("switched off")
        return {"rows": [row("ours, fista", 1.0)] if arguments else [], "missing": {}, "versions": {"odl": "1.0.0"}}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inverse, "posed", lambda problem: problem)
    monkeypatch.setattr(inverse, "reference", lambda one, prior: {"fista": 2.0, "admm": 2.0 + 4e-5})
    monkeypatch.setattr(inverse, "_asked", peers)
    console = Console(file=io.StringIO())
    with pytest.raises(EngineError):
        inverse.measure(console)
    found = inverse.measure(console)
    contests = [(name, "2.0") for name in problems.CONTESTS]
    assert asked == [*contests[:4], *contests[3:], ()] and any("odl 1.0.0" in note for note in found.notes)
    agreement = next(one for one in found.targets if one.name == "all methods' objectives apart")
    assert agreement.ours == pytest.approx(2e-5) and agreement.met is False
    inverse.measure(console)
    assert len(asked) == len(contests) + 2
    monkeypatch.setattr(inverse, "_digest_of_solvers", lambda: "another")
    inverse.measure(console)
    assert len(asked) == 2 * len(contests) + 3


@pytest.mark.data
def test_a_solver_is_timed_at_the_first_rung_that_reaches_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "TIMES", 1)
    one, asked = problems.posed("denoising"), []
    assert torch.equal(one.data, problems.posed("denoising").data)

    def run(many: int) -> torch.Tensor:
        asked.append(many)
        return one.truth + max(0, 20 - many) * 0.01

    least = float(one.problem(Entry("tv")).objective(one.truth.double()))
    found = problems.time_to_gap(run, one, Entry("tv"), least, 1e-9)
    assert found.iterations >= 20 and found.gap == 0 and asked == sorted(asked)
