"""A hospital with a limit of its own leaves a run before it overspends, and says so in words that tell nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import TooFewHospitalsError
from common.study import Study
from experiments.engines._local_grid import hospital_folder
from experiments.quiet import run_quietly

PRIVATE = (
    "strategy=fedsgd",
    "training={batch_size=8}",
    'privacy={name="dpsgd",noise_multiplier=2.0,delta=1e-3}',
    "rounds=4",
)
REASON = "its own limit of privacy spending forbids it"


def limited(folder: Path, site: str, epsilon: float) -> None:
    """The hospital's administrator sets a limit, before the run."""
    place = hospital_folder(folder, site)
    place.mkdir(parents=True)
    (place / "privacy-limit.toml").write_text(f"epsilon = {epsilon}\ndelta = 1e-3\n")


@pytest.mark.parametrize("way", ["plain", "secagg"])
def test_a_run_goes_on_without_the_hospital_whose_budget_is_spent(
    tiny: Callable[..., Study], tmp_path: Path, way: str
) -> None:
    study = tiny(*PRIVATE, f"aggregation={way}", "federation.minimum_hospitals=3")
    free = run_quietly(study, tmp_path / "free")
    assert all(not record["dropped"] for record in free.rounds)
    claim = json.loads((tmp_path / "free" / "privacy.json").read_text())["sites"]["hospital-1"]
    limited(tmp_path / "limited", "hospital-1", claim["curve"][1][1] * 1.001)
    outcome = run_quietly(study, tmp_path / "limited")
    dropped = {record["round"]: [(d["site"], d["reason"]) for d in record["dropped"]] for record in outcome.rounds}
    assert dropped == {1: [], 2: [], 3: [("hospital-1", REASON)], 4: [("hospital-1", REASON)]}
    spent = json.loads((tmp_path / "limited" / "privacy.json").read_text())["sites"]
    assert spent["hospital-1"]["rounds"] == 2 and spent["hospital-0"]["rounds"] == 4
    assert spent["hospital-1"]["epsilon"] == pytest.approx(claim["curve"][1][1])


def test_a_run_stops_where_the_study_demands_every_hospital(tiny: Callable[..., Study], tmp_path: Path) -> None:
    limited(tmp_path, "hospital-2", 0.01)
    with pytest.raises(TooFewHospitalsError, match="limit of privacy spending"):
        run_quietly(tiny(*PRIVATE, "federation.minimum_hospitals=4"), tmp_path)
    assert "limit of privacy spending" in json.loads((tmp_path / "about.json").read_text())["reason"]
