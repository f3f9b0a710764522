"""What was spent: the report's epsilon is that of the hospitals' own ledgers, failed and repeated rounds included."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client import handlers as answers
from client.hospital import Hospital
from client.ledger import Ledger
from client.privacy import Private
from common.errors import RoundError, TooFewHospitalsError
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import run_quietly
from experiments.hospital.ledger_summary import summary_of
from server.charges import FILE, Charges, charged_rounds
from server.reporting.folder import read_run
from server.rounds import Rounds

ALIKE = 'partition={name="iid",hospitals=4}'
"""What hospitals of one size spend is worked out once for all."""
BASE = ("strategy=fedsgd", "training={batch_size=8}", "rounds=3", "federation.least_in_sum=4", "engine=inline", ALIKE)
OWN_NOISE = 'privacy={name="dpsgd",noise_multiplier=2.0,delta=1e-3}'
SHARES = 'privacy={name="distributed",noise_multiplier=1.0,delta=1e-2,sampling_rate=0.5,grid_bits=10,spare_rounds=2}'
SITES = tuple(f"hospital-{number}" for number in range(4))


def claimed(folder: Path) -> dict[str, float]:
    sites = json.loads((folder / "privacy.json").read_text())["sites"]
    return {site: sites[site]["epsilon"] for site in SITES}


def rounds_claimed(folder: Path) -> dict[str, int]:
    sites = json.loads((folder / "privacy.json").read_text())["sites"]
    return {site: sites[site]["rounds"] for site in SITES}


def in_ledgers(folder: Path) -> dict[str, float]:
    return {site: summary_of(hospital_folder(folder, site)).epsilon or 0.0 for site in SITES}


def agree(folder: Path) -> bool:
    return claimed(folder) == pytest.approx(in_ledgers(folder), rel=1e-9)


@pytest.fixture
def failing_after_its_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """hospital-0 charges round 2, and then its disk is full, once."""
    real, failed = Private._trained, []

    def once(self: Private, *arguments: object) -> object:
        if self.hospital.site == "hospital-0" and self.order.round == 2 and not failed:
            failed.append(1)
            raise RuntimeError("a disk was full")
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Private, "_trained", once)


@pytest.mark.usefixtures("failing_after_its_charge")
@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_a_round_that_failed_is_in_the_report_as_it_is_in_the_ledger(
    tiny: Callable[..., Study], tmp_path: Path, aggregation: str
) -> None:
    """The report said what two finished rounds cost, and the ledger knew of three."""
    study = tiny(*BASE, OWN_NOISE, f"aggregation={aggregation}")
    with pytest.raises(TooFewHospitalsError):
        run_quietly(study, tmp_path)
    assert rounds_claimed(tmp_path) == dict.fromkeys(SITES, 2)
    assert agree(tmp_path)
    with pytest.raises(TooFewHospitalsError, match="asked for again, and counted twice"):
        run_quietly(study, tmp_path, resume=True)
    assert rounds_claimed(tmp_path) == dict.fromkeys(SITES, 3)
    assert agree(tmp_path)


def crash_in(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The coordinator dies after the replies of a round and before its record."""
    real, died = Rounds._step, []

    def once(self: Rounds, before: object, collected: object) -> object:
        if before.round + 1 == number and not died:  # type: ignore[attr-defined]
            died.append(1)
            raise RoundError("it died")
        return real(self, before, collected)  # type: ignore[arg-type]

    monkeypatch.setattr(Rounds, "_step", once)


@pytest.mark.parametrize(("privacy", "charges"), [(OWN_NOISE, 3), (SHARES, 4)])
def test_a_round_asked_for_again_after_a_crash_is_counted_as_the_ledger_counts_it(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, privacy: str, charges: int
) -> None:
    """The same noisy update for the same order costs nothing; a share of noise drawn anew does."""
    crash_in(monkeypatch, 2)
    study = tiny(*BASE, privacy, "aggregation=secagg")
    with pytest.raises(RoundError, match="it died"):
        run_quietly(study, tmp_path)
    assert agree(tmp_path)
    run_quietly(study, tmp_path, resume=True)
    assert rounds_claimed(tmp_path) == dict.fromkeys(SITES, charges)
    assert agree(tmp_path)


def test_a_hospital_that_refuses_is_charged_nothing(tiny: Callable[..., Study], tmp_path: Path) -> None:
    place = hospital_folder(tmp_path, "hospital-2")
    place.mkdir(parents=True)
    (place / "privacy-limit.toml").write_text("epsilon = 0.01\ndelta = 1e-3\n")
    run_quietly(tiny(*BASE, OWN_NOISE, "federation.least_in_sum=3"), tmp_path)
    assert claimed(tmp_path)["hospital-2"] == 0.0
    assert not [entry for entry in Ledger(place).contents().entries if entry.kind == "charge"]
    assert agree(tmp_path)


def test_a_hospital_whose_reply_was_lost_counts_as_charged(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trained and was charged, and then failed on the way out: nobody but its ledger knows."""
    real = answers.round_

    def lost(hospital: Hospital, request: Payload, kept: answers.RequestContext) -> Payload:
        reply = real(hospital, request, kept)
        if hospital.site == "hospital-1" and request.numbers["round"] == 2:
            raise RuntimeError("the line is dead")
        return reply

    monkeypatch.setattr(answers, "round_", lost)
    run_quietly(tiny(*BASE, OWN_NOISE, "federation.least_in_sum=3"), tmp_path)
    assert agree(tmp_path)
    assert rounds_claimed(tmp_path) == dict.fromkeys(SITES, 3)


def test_the_page_of_a_run_that_was_killed_counts_the_orders_that_were_sent(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    """Killed without a word, a run leaves the promise as it was before the first round, and the orders."""
    run_quietly(tiny(*BASE, OWN_NOISE), tmp_path)
    promise = json.loads((tmp_path / "privacy.json").read_text())
    before = {site: {**one, "rounds": 0, "epsilon": 0.0, "curve": []} for site, one in promise["sites"].items()}
    (tmp_path / "privacy.json").write_text(json.dumps({**promise, "sites": before}))
    shown = read_run(tmp_path).privacy
    assert shown is not None
    assert {site: one.epsilon for site, one in shown.sites.items()} == pytest.approx(in_ledgers(tmp_path))


def test_a_line_that_a_crash_cut_short_is_of_an_order_that_was_never_sent(tmp_path: Path) -> None:
    charges = Charges(tmp_path)
    charges.asked(1, ["a", "b"])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"round": 2, "asked": ["a", ')
    charges.asked(2, ["a"])
    charges.free(2, "a", "its own limit of privacy spending forbids it")
    assert charged_rounds(charges.lines(), (), ()) == {"a": 1, "b": 1}


def test_rounds_of_before_charges_were_written_count_by_their_records() -> None:
    records = [
        {"round": 1, "selected": ["a", "b"], "dropped": [{"site": "b", "reason": "refused"}]},
        {"round": 2, "selected": ["a"], "dropped": []},
    ]
    lines = [{"round": 2, "asked": ["a", "b"]}]
    assert charged_rounds(lines, records, ["refused"]) == {"a": 2, "b": 1}
