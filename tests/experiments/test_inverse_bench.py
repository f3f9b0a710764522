"""The benchmark of classical reconstruction: its problems, its way to equal objectives, and its targets."""

import pytest
import torch

from common.study.options import Entry
from experiments.benchmarks import _inverse_problems as problems
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
    target = next(one for one in found.targets if one.name.startswith("projector"))
    assert target.ours == 2 and target.met is False


@pytest.mark.data
def test_a_solver_is_timed_at_the_first_rung_that_reaches_the_gap(monkeypatch) -> None:
    monkeypatch.setattr(problems, "TIMES", 1)
    one, asked = problems.posed("denoising"), []
    assert torch.equal(one.data, problems.posed("denoising").data)

    def run(many: int) -> torch.Tensor:
        asked.append(many)
        return one.truth + max(0, 20 - many) * 0.01

    least = float(one.problem(Entry("tv")).objective(one.truth.double()))
    found = problems.time_to_gap(run, one, Entry("tv"), least, 1e-9)
    assert found.iterations >= 20 and found.gap == 0 and asked == sorted(asked)
