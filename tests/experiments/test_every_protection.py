"""Every noise with every way to make a sum, for FedSGD and FedAvg: the sum is the clear one, within its stated error.

In simulation noise comes from the seed, so a run in the clear has the same updates; what is left is the sum's error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from common.privacy.mechanisms.hospital import HospitalLevel
from common.privacy.noise import SeededNoise, add_gaussian
from common.privacy.study_facts import facts_of, mechanism_of
from common.seeding import generator
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from common.sums.abilities import stated_error as aggregation_error
from common.sums.exchange import Expected
from experiments.engines._quiet import run_quietly

NOISES = {
    "none": (),
    "dpsgd": ('privacy={name="dpsgd",noise_multiplier=0.5,delta=1e-3}',),
    "dpsgd by epsilon": ('privacy={name="dpsgd",epsilon=5.0,delta=1e-3,unit="sample"}', 'training.batch_size="full"'),
    "hospital": ('privacy={name="hospital",noise_multiplier=0.1,delta=0.1}',),
    "hospital adaptive": ('privacy={name="hospital",noise_multiplier=0.1,delta=0.1,adaptive=true}',),
    "distributed": ('privacy={name="distributed",noise_multiplier=0.5,delta=1e-3,sampling_rate=0.5,colluding=1}',),
}
SUMS = {
    "secagg": "secagg",
    "additive": "additive",
    "bfv distributed": "bfv",
    "bfv shared": '{name="bfv",keys="shared"}',
    "ckks tutorial": "ckks",
    "ckks economical": '{name="ckks",mode="economical"}',
}
STRATEGIES = {
    "fedsgd": ('strategy={name="fedsgd",learning_rate=0.1}', "training={batch_size=8}"),
    "fedavg": ("strategy=fedavg", "training={batch_size=8,steps=2,learning_rate=0.1}"),
}
ALIKE = 'partition={name="iid",hospitals=4}'
"""Where sizes have no part: what hospitals of one size spend is worked out once for all, and in every process."""
FLOAT32 = 1e-6
STEP = {"fedsgd": 0.1, "fedavg": 1.0}
"""Of the server, along the mean."""
EVERY = [
    (noise, way, "fedsgd" if noise == "distributed" else ("fedsgd", "fedavg")[(row + column) % 2])
    for (row, noise), (column, way) in product(enumerate(NOISES), enumerate(SUMS))
]
"""Every noise with every sum, and each of both under either strategy where it has both."""
COSTLY = ("dpsgd by epsilon", "distributed")
"""Worked out for each size of a hospital, with all cases in a step where noise is made for an epsilon; hospitals of
unlike sizes are those of the other noises."""


@pytest.fixture(scope="module")
def in_the_clear() -> dict[tuple[str, str], np.ndarray]:
    return {}


def study_of(tiny: Callable[..., Study], noise: str, way: str, strategy: str, *more: str) -> Study:
    common = ("rounds=1", "federation.least_in_sum=4", f"aggregation={way}", *((ALIKE,) if noise in COSTLY else ()))
    return tiny(*common, *STRATEGIES[strategy], *NOISES[noise], *more)


def model(folder: Path) -> np.ndarray:
    tensors = load_file(folder / "model.safetensors")
    return np.concatenate([tensors[name].reshape(-1).astype(np.float64) for name in sorted(tensors)])


def weights_of(folder: Path) -> list[int]:
    roster = json.loads((folder / "roster.json").read_text())
    return [site["cases"]["train"] for site in roster["sites"]]


def servers_noise(study: Study, length: int, strategy: str) -> np.ndarray:
    """What the server's own noise changed in the model: it pays for an aggregation's rounding, and so differs."""
    mechanism = mechanism_of(study)
    assert isinstance(mechanism, HospitalLevel)
    rounding = aggregation_error(AGGREGATIONS.build(study.aggregation), 1, Expected(length, 1, {"": 1.0}))
    sensitivity = mechanism.clip_norm + rounding * sqrt(length)
    deviation = mechanism.sum_noise(facts_of(study, 1, 1, 4)) * sensitivity
    source = SeededNoise(generator(study.seed, 1, "server", "noise"))
    return (
        STEP[strategy] * (-1 if strategy == "fedsgd" else 1) * add_gaussian(np.zeros(length), deviation, source) / 4
    )


def stated_error(study: Study, folder: Path, noise: str) -> float:
    """Of the mean that the server steps by, from what the aggregation states of its sum."""
    aggregation: Any = AGGREGATIONS.build(study.aggregation)
    cases = weights_of(folder)
    length = len(model(folder))
    scale = 1.0 if noise.startswith("hospital") else float(max(cases))
    step = 2.0**-14 if noise == "distributed" else None
    expected = Expected(length, 1, {f"hospital-{k}": scale for k in range(4)}, step=step)
    bound = aggregation_error(aggregation, 4, expected)
    rounds = json.loads((folder / "rounds.jsonl").read_text().splitlines()[0])
    weight = float(rounds.get("weight_of_all", 0.0)) or 4.0
    assert weight > 0
    return float(bound) / weight


@pytest.mark.parametrize(("noise", "way", "strategy"), EVERY)
def test_the_sum_is_the_clear_one_within_its_stated_error(
    tiny: Callable[..., Study],
    tmp_path: Path,
    in_the_clear: dict[tuple[str, str], np.ndarray],
    noise: str,
    way: str,
    strategy: str,
) -> None:
    if (noise, strategy) not in in_the_clear:
        run_quietly(study_of(tiny, noise, "plain", strategy), tmp_path / "plain")
        in_the_clear[noise, strategy] = model(tmp_path / "plain")
    study = study_of(tiny, noise, SUMS[way], strategy)
    run_quietly(study, tmp_path / "sum")
    clear, summed = in_the_clear[noise, strategy], model(tmp_path / "sum")
    if noise.startswith("hospital"):
        clear = clear - servers_noise(study_of(tiny, noise, "plain", strategy), len(clear), strategy)
        summed = summed - servers_noise(study, len(summed), strategy)
    largest = stated_error(study, tmp_path / "sum", noise) * STEP[strategy]
    assert np.abs(clear - summed).max() <= largest + FLOAT32 * (1 + np.abs(clear).max())


@pytest.mark.parametrize(
    ("noise", "way"),
    [
        ("dpsgd", "secagg"),
        ("dpsgd by epsilon", "bfv distributed"),
        ("hospital", "bfv distributed"),
        ("hospital adaptive", "secagg"),
        ("distributed", "secagg"),
    ],
)
def test_processes_give_the_same_protected_model_as_inline(
    tiny: Callable[..., Study], tmp_path: Path, noise: str, way: str
) -> None:
    models = []
    for engine in ("inline", "processes"):
        run_quietly(study_of(tiny, noise, SUMS[way], "fedsgd", f"engine={engine}", ALIKE), tmp_path / engine)
        models.append(model(tmp_path / engine))
    assert np.array_equal(*models)


@pytest.mark.parametrize("noise", [name for name in NOISES if name != "none"])
def test_a_private_run_lets_out_no_score_of_training_and_says_what_it_spent(
    tiny: Callable[..., Study], tmp_path: Path, noise: str
) -> None:
    run_quietly(study_of(tiny, noise, "plain", "fedsgd", ALIKE), tmp_path)
    record = json.loads((tmp_path / "rounds.jsonl").read_text().splitlines()[0])
    assert record["training"] == {}
    claim = json.loads((tmp_path / "privacy.json").read_text())
    assert {site["rounds"] for site in claim["sites"].values()} == {1}
    assert all(0 < site["epsilon"] <= site["epsilon_rdp"] * 1.001 for site in claim["sites"].values())
    roster = json.loads((tmp_path / "roster.json").read_text())
    assert all(site["labels"] == {} for site in roster["sites"])
