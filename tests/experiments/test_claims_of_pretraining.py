from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from experiments.benchmarks._hard_negatives import TEMPERATURES, by_formula, by_gradient
from experiments.benchmarks._kept_rows import CPU_S
from experiments.benchmarks.ssl_claims import (
    AT_ALL,
    AT_ONE,
    AUGMENTATION,
    BATCHES,
    FORMULA,
    GRADIENT,
    SIZE,
    TEMPERATURE,
    charts_of,
    measured,
)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_weights_of_hard_negatives_are_those_of_the_gradient(temperature: float) -> None:
    draws = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 12, 5)))
    first, second = normalize(draws[0], dim=1), normalize(draws[0] + 0.3 * draws[1], dim=1)
    assert by_gradient(first, second, temperature) == pytest.approx(by_formula(first, second, temperature), abs=1e-6)


def test_negatives_that_are_all_as_alike_share_the_gradient_evenly() -> None:
    views = torch.eye(11, dtype=torch.float64)
    assert by_formula(views, views, 0.05) == pytest.approx(2 / 20)
    assert by_gradient(views, views, 0.05) == pytest.approx(2 / 20, abs=1e-6)


def test_claims_are_read_off_the_rows() -> None:
    def row(claim: str, method: str, value: str, **found: float) -> dict[str, object]:
        return {"claim": claim, "method": method, "value": value, "seed": 0, CPU_S: 1.0, AT_ALL: 0.9, **found}

    weights = {f"{one:g}": share for one, share in zip(TEMPERATURES, (0.8, 0.5, 0.3, 0.15, 0.12), strict=True)}
    rows = [row(TEMPERATURE, "simclr", one, **{FORMULA: share, GRADIENT: share}) for one, share in weights.items()]
    for method, gain in (("simclr", 0.04), ("byol", 0.01)):
        rows += [row(SIZE, method, str(size), **{AT_ONE: 0.8 + gain * (size > 16)}) for size in BATCHES]
    rows += [row(AUGMENTATION, "simclr", one, **{AT_ONE: auc}) for one, auc in (("too easy", 0.8), ("fit", 0.9))]
    met = {target.name: target.met for target in measured(rows).targets}
    assert met == {
        "formula and gradient differ by": True,
        "a small temperature weighs hard negatives": True,
        "simclr gains from large batches": True,
        "fit views over too easy": True,
        "fit views over too hard": None,
    }
    assert len(measured(rows).rows) == len(rows)
    assert list(charts_of(rows)) == [TEMPERATURE], "of the others a row is missing"
    rows += [
        row(AUGMENTATION, "simclr", "too hard", **{AT_ONE: 0.7}),
        row(AUGMENTATION, "untrained", "", **{AT_ONE: 0.75}),
    ]
    charts = charts_of(rows)
    assert list(charts) == [TEMPERATURE, SIZE, AUGMENTATION]
    assert all(words in charts[SIZE] for words in ("simclr", "byol", "untrained", ">256<"))
