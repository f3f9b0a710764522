"""Errors of noisy answers on heart's ages, beside OpenDP's at the same epsilon, and what distributed noise costs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.analyses.bounded_mean import BoundedMean
from common.analyses.private_quantile import PrivateQuantile
from common.asking.abilities import most_rounds_of
from common.asking.analysis import Analysis, Query
from common.asking.exact_sums import added, checked, counts
from common.asking.noise import SumNoise
from common.asking.pooled import NoisySums
from common.asking.records import Records
from common.errors import EngineError
from common.privacy.noise import SeededNoise
from common.seeding import generator
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find

Floats = NDArray[np.float64]
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
LONGEST_PEER_S = 300
EPSILONS = (0.1, 1.0)
LOW, HIGH = 0.0, 120.0
MEDIAN_EPSILON, FLAT_YEARS = 0.05, 2.4
REPEATS, MEDIANS = 2000, 300
WITHIN = 1.05
GROUPS = ((4, 4, 0), (6, 5, 1), (10, 8, 2))
"""Hospitals that answer, hospitals whose noise is counted on, and those of them that may collude."""


def measure(console: Console) -> Measured:
    """Root mean squared errors; median: mean absolute errors, in years."""
    ages = [_ages(path) for path in sorted(find("heart-disease-4centre", "heart").glob("processed.*.data"))]
    values = np.concatenate(ages)
    console.print(f"  {len(values)} ages, {REPEATS} answers each")
    peer = _peer(values)
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    for epsilon in EPSILONS:
        for name, ours in _errors(ages, epsilon).items():
            theirs = peer.get(str(epsilon), {}).get(name)
            rows.append(_row(f"{name}, epsilon {epsilon:g}", ours, "OpenDP", theirs))
            met = None if theirs is None else ours <= WITHIN * theirs
            targets.append(Target(f"{name} at {epsilon:g}", ours, theirs, None, f"at most {WITHIN} of OpenDP's", met))
    _median(ages, rows, targets)
    for group in GROUPS:
        _distributed(*group, rows, targets)
    notes = (
        f"OpenDP runs in the Python that {PEERS_PYTHON} names; its mean is a count and a centred sum, half of "
        "epsilon each, which is the best that its parts make of it.",
        "Ours comes from four hospitals that add a share of the noise each.",
    )
    return Measured("Noisy answers", rows, targets, notes)


def _row(name: str, ours: float, peer: str, theirs: float | None) -> dict[str, Cell]:
    return {"answer": name, "error": ours, "beside": peer, "its error": theirs, "ratio": theirs and ours / theirs}


def _ages(path: Path) -> Floats:
    return np.genfromtxt(path, delimiter=",", usecols=0, missing_values="?").astype(np.float64)


def _tables(ages: list[Floats]) -> list[Records]:
    return [
        Records({"age": one}, np.array([f"{i}" for i in range(len(one))]), f"{at}") for at, one in enumerate(ages)
    ]


def _errors(ages: list[Floats], epsilon: float) -> Mapping[str, float]:
    values = np.concatenate(ages)
    bins = noise_of(SumNoise(epsilon, shares=4), int(HIGH - LOW) * REPEATS // 20, 4)
    means = [float(one["mean"]) for one in _asked(BoundedMean("age", LOW, HIGH), ages, epsilon, REPEATS)]
    return {
        "count": _root(noise_of(SumNoise(epsilon, shares=4), 10 * REPEATS, 4, "count")),
        "histogram": _root(bins),
        "mean": _root(np.array(means) - values.mean()),
    }


def noise_of(noise: SumNoise, size: int, hospitals: int, purpose: str = "") -> Floats:
    """(size,) the noise of sums of nothing."""
    query, source = Query({"n": counts(size)}), SeededNoise(generator(1, "bench noise", noise.epsilon, purpose))
    nothing = checked(query.parts, {"n": np.zeros(size, np.int64)})
    return added(query.parts, [noise.add_share(query, nothing, source) for _ in range(hospitals)])["n"]


def _asked(analysis: Analysis, ages: list[Floats], epsilon: float, times: int) -> list[Mapping[str, float]]:
    noise = SumNoise(epsilon, shares=len(ages), rounds=most_rounds_of(analysis))
    sums, tables = NoisySums(noise, SeededNoise(generator(1, "bench answers", epsilon))), _tables(ages)
    return [sums.ask(analysis, tables).answer.numbers for _ in range(times)]


def _root(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _median(ages: list[Floats], rows: list[dict[str, Cell]], targets: list[Target]) -> None:
    """Beside the flat histogram of a year a bin, and the exponential mechanism of one who has all the data."""
    truth = float(np.median(np.concatenate(ages)))
    found = [
        float(one["quantile"]) for one in _asked(PrivateQuantile("age", LOW, HIGH), ages, MEDIAN_EPSILON, MEDIANS)
    ]
    ours = float(np.mean(np.abs(np.array(found) - truth)))
    flat, central = _flat(np.concatenate(ages), truth), _exponential(np.concatenate(ages), truth)
    name = f"median, epsilon {MEDIAN_EPSILON:g}, years"
    rows.append(_row(name, ours, "flat histogram", flat))
    rows.append(_row(name, ours, "exponential mechanism, central", central))
    bound = min(flat, FLAT_YEARS) / 2
    targets.append(Target("median", ours, flat, bound, "at most half of a flat histogram's", ours <= bound))


def _flat(values: Floats, truth: float) -> float:
    years = np.arange(LOW, HIGH + 1)
    true = np.histogram(values, years)[0]
    noise = noise_of(SumNoise(MEDIAN_EPSILON, shares=4), true.size * MEDIANS, 4, "flat").reshape(MEDIANS, -1)
    below = np.cumsum(true + noise, axis=1)
    found = years[np.argmax(below >= below[:, -1:] / 2, axis=1)] + 0.5
    return float(np.mean(np.abs(found - truth)))


def _exponential(values: Floats, truth: float) -> float:
    """Of all tenths of a year, each weighed by how far it is from having as many below as above."""
    places = np.arange(LOW, HIGH, 0.1)
    score = -np.abs((values[:, None] < places).sum(axis=0) - (values[:, None] > places).sum(axis=0))
    weights = np.exp(MEDIAN_EPSILON * (score - score.max()) / 2)
    return float(np.sum(weights / weights.sum() * np.abs(places - truth)))


def _distributed(
    hospitals: int, shares: int, colluding: int, rows: list[dict[str, Cell]], targets: list[Target]
) -> None:
    noise = SumNoise(1.0).of_shares("sum", shares, colluding)
    ours = _root(noise_of(noise, REPEATS * 50, hospitals, f"{hospitals}"))
    central = sqrt(2) / (2 * np.sinh(0.5))
    bound = sqrt(hospitals / (shares - colluding)) * float(central)
    name = f"noise of {hospitals} hospitals, {shares} shares, {colluding} colluding"
    rows.append(_row(name, ours, "one trusted curator", float(central)))
    said = f"at most {WITHIN} sqrt(hospitals / (shares - colluding)) of a curator's"
    targets.append(Target(name, ours, float(central), bound, said, ours <= WITHIN * bound))


def _peer(values: Floats) -> dict[str, dict[str, float]]:
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    script = Path(__file__).with_name("_noisy_answers_peer.py")
    work = {"values": values.tolist(), "low": LOW, "high": HIGH, "epsilons": EPSILONS, "repeats": REPEATS}
    with TemporaryDirectory() as place:
        asked, found = Path(place) / "work.json", Path(place) / "found.json"
        asked.write_text(json.dumps(work))
        try:
            subprocess.run([python, str(script), str(asked), str(found)], timeout=LONGEST_PEER_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {error}") from error
        answered: dict[str, dict[str, float]] = json.loads(found.read_text())
    return answered


benchmark: Benchmark = measure
