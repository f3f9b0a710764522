"""A hospital with a limit of its own leaves a run before it overspends, and says so in words that tell nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client import handlers as answers
from client.hospital import Hospital
from common.errors import TooFewHospitalsError
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import run_quietly

ALIKE = 'partition={name="iid",hospitals=4}'
"""What hospitals of one size spend is worked out once for all."""
PRIVATE = (
    ALIKE,
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
    study = tiny(*PRIVATE, f"aggregation={way}", "federation.least_in_sum=3")
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
        run_quietly(tiny(*PRIVATE, "federation.least_in_sum=4"), tmp_path)
    assert "limit of privacy spending" in json.loads((tmp_path / "about.json").read_text())["reason"]


DISTRIBUTED = (ALIKE, "strategy=fedsgd", "training={batch_size=8}", "aggregation=secagg", "rounds=3")
SPARE = (
    'privacy={{name="distributed",noise_multiplier=1.0,delta=1e-2,sampling_rate=0.5,grid_bits=10,spare_rounds={}}}'
)


@pytest.fixture
def one_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hospital fails once, in the second round, after which the coordinator is resumed."""
    real, failed = answers.round_, []

    def once(hospital: Hospital, request: Payload, kept: answers.RequestContext) -> Payload:
        if hospital.site == "hospital-0" and request.numbers["round"] == 2 and not failed:
            failed.append(hospital.site)
            raise RuntimeError("a disk was full")
        return real(hospital, request, kept)

    monkeypatch.setattr(answers, "round_", once)


@pytest.mark.usefixtures("one_incident")
def test_a_distributed_promise_has_no_round_for_one_asked_again_unless_the_study_keeps_some(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny(*DISTRIBUTED, SPARE.format(0), "federation.least_in_sum=4", "engine=inline")
    for resume, reason in ((False, "incident"), (True, "asked for again, and counted twice")):
        with pytest.raises(TooFewHospitalsError, match=reason):
            run_quietly(study, tmp_path, resume=resume)


@pytest.mark.usefixtures("one_incident")
@pytest.mark.parametrize(
    "privacy", [SPARE.format(1), 'privacy={name="hospital",noise_multiplier=1.0,delta=0.1}', PRIVATE[3]]
)
def test_a_run_that_stopped_for_an_incident_is_resumed_to_its_end(
    privacy: str, tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny(*DISTRIBUTED, privacy, "federation.least_in_sum=4", "engine=inline")
    with pytest.raises(TooFewHospitalsError, match="incident"):
        run_quietly(study, tmp_path)
    outcome = run_quietly(study, tmp_path, resume=True)
    assert [record["round"] for record in outcome.rounds] == [1, 2, 3]
    assert all(not record["dropped"] for record in outcome.rounds)
