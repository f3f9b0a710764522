"""One tiny study under every protection, each run attacked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from common.study.study import Study
from experiments.audit import conduct
from experiments.audit.cast import cast_of
from experiments.audit.conduct import Effort
from experiments.audit.dossier.prices import in_words, prices
from experiments.audit.matrix import audit_matrix, protections
from experiments.audit.questions import _canaries, _canary_results, _trade_off
from experiments.audit.questions._canary_results import planned_guessing
from experiments.audit.questions._trade_off import trade_off

FEW = ("analytic", "exact_batch", "imprint", "loss_threshold", "gradient_canaries")
SINGLE_CASES = {"plain FedSGD, batch of 1", "secagg, FedSGD", "bfv, FedSGD"}
"""A sum over hospitals of a gradient of one case each is that of a small batch, which exact inversion takes apart."""
FEW_STEPS = {"plain FedAvg, E = 1", "plain FedAvg, E = 5"}
"""Of some eight cases each, under which a unit may have answered to one case: it is then rebuilt nearly."""
ALIKE = 'partition={name="iid",hospitals=4}'
"""What hospitals of one size promise is worked out once for all."""
RECORDED = ("federation.record_traffic=true", "federation.least_in_sum=4", "rounds=1", ALIKE)


@pytest.fixture(scope="module")
def places() -> dict[str, Path]:
    return {}


@pytest.fixture
def place(
    tiny: Callable[..., Study],
    tmp_path_factory: pytest.TempPathFactory,
    places: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder of the matrix, made once; by few attacks, since those have tests of their own."""
    if not places:
        folder = tmp_path_factory.mktemp("matrix")
        ours = cast_of(())
        few = replace(ours, attacks={name: ours.attacks[name] for name in FEW})
        monkeypatch.setattr(conduct, "cast_of", lambda _: few)
        monkeypatch.setattr(_canaries, "PLANTED_REPEATS", 1)
        with coarse_bounds(monkeypatch):
            audit_matrix(tiny(*RECORDED), "tiny", folder, Effort(0.5, pictures=True), lambda _: None)
        places["matrix"] = folder
    return places["matrix"]


@contextmanager
def coarse_bounds(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Epsilon from fewer sizes of noise, a tenth apart, and wider cells of losses: a bound that is lower, as true."""
    kept = (trade_off, planned_guessing)
    for function in kept:
        function.cache_clear()
    for module, name, value in (
        (_canary_results, "FINENESS", 1.1),
        (_canary_results, "MOST_NOISE", 64),
        (_canary_results, "LEAST_NOISE", -32),
        (_canary_results, "COARSE", 2),
        (_trade_off, "WIDER_CELLS", 30),
    ):
        patch.setattr(module, name, value)
    yield
    for function in kept:
        function.cache_clear()


def test_the_protections_are_those_the_issue_of_an_audit_names(tiny: Callable[..., Study]) -> None:
    rows = {one.name: one.study for one in protections(tiny(), 1e-3)}
    assert rows["plain FedSGD, batch of 1"].training.batch_size == 1
    assert (rows["plain FedAvg, E = 1"].training.epochs, rows["plain FedAvg, E = 5"].training.epochs) == (1, 5)
    promised = {name: study.privacy.options["epsilon"] for name, study in rows.items() if study.privacy}
    assert set(promised.values()) == {10.0, 1.0}
    assert {study.aggregation.name for study in rows.values()} == {"plain", "secagg", "bfv"}


def test_cases_come_back_of_what_is_not_private_alone_and_no_measured_epsilon_exceeds_the_promised(
    place: Path,
) -> None:
    rows = {row["protection"]: row for row in json.loads((place / "matrix.json").read_text())}
    identified = {name for name, row in rows.items() if row["identified"]}
    assert identified >= SINGLE_CASES and identified <= SINGLE_CASES | FEW_STEPS
    assert rows["plain FedSGD, batch of 1"]["similarity"] > 0.99
    assert set(rows["plain FedSGD, batch of 1"]["verdicts"].values()) == {"red"}
    private = [row for row in rows.values() if row["promised_epsilon"] is not None]
    assert len(private) == 3
    assert all((row["measured_epsilon"] or 0) <= row["promised_epsilon"] for row in private)
    assert {row["priced_against"] for row in private} == {"plain FedAvg, E = 1"}
    assert all(row["score"] is not None and row["score_name"] == "accuracy" for row in rows.values())
    assert rows["plain FedSGD, batch of 1"]["lights"]["reconstruction"] == "red"


def test_the_page_has_a_column_for_each_and_every_column_leads_to_its_report(place: Path) -> None:
    page = (place / "matrix.html").read_text()
    rows = json.loads((place / "matrix.json").read_text())
    assert len(rows) == 8
    for row, folder in zip(rows, sorted(place.glob("*/audit.html")), strict=True):
        assert row["protection"] in page and f'href="{folder.parent.name}/audit.html"' in page
    for words in ("Epsilon measured", "If the coordinator cheats", "data:image/png"):
        assert words in page


def test_an_audit_of_a_run_beside_the_comparison_says_what_each_promise_costs(place: Path) -> None:
    costs, note = prices(place / "4-dp-sgd-epsilon-10", "tiny")
    assert [one.epsilon for one in costs] == pytest.approx([10.0, 1.0, 1.0], rel=0.02)
    assert all(one.cost == pytest.approx(costs[0].without - (one.without - one.cost)) for one in costs)
    assert in_words(costs[0]).startswith("Epsilon 10 costs") and "a first idea" in note
