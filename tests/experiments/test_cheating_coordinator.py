"""A coordinator that cheats, played against hospitals' own code: what comes back, and which of it they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from common.study.study import Study
from common.sums.exchange import Payload
from common.sums.update import Vector
from experiments.access import Access
from experiments.attack import UNTRIED, Finding, declared
from experiments.attacks.cheating import played
from experiments.attacks.cheating.orders import later_rounds, order_of
from experiments.attacks.latent_traps import decoded, hand_on
from experiments.audit import conduct
from experiments.audit.adversaries.cheating import SEVERAL_MODELS, AskedHospitals, chosen, played_of, smallest
from experiments.catalogue import ATTACKS
from experiments.engines._quiet import run_quietly
from experiments.evidence.budget import Budget
from experiments.evidence.ground_truth import truth_of
from experiments.evidence.observing import observe, sent_orders
from experiments.observation import Observation
from tests.experiments.judging import cast_for

RECORDED = ("federation.record_traffic=true", "federation.evaluate_every=0", "rounds=2")
CARRIER = ("strategy=fedsgd", 'training={batch_size="full"}', 'task.network={name="mlp", hidden=[256]}')
LOGISTIC = ("strategy=fedsgd", 'training={batch_size="full"}', 'task.network="logistic"')
NOISE = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-3}'
LATE = "later"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Study], Path]:
    """Each study is run once."""
    made: dict[str, Path] = {}

    def run(study: Study) -> Path:
        if study.json not in made:
            made[study.json] = tmp_path_factory.mktemp("run")
            run_quietly(study, made[study.json])
        return made[study.json]

    return run


def opened(folder: Path) -> tuple[Observation, AskedHospitals]:
    """All of them in one sum where single updates are hidden, else the first alone."""
    observed, orders = observe(folder), sent_orders(folder)
    sites = observed.sites[:1] if observed.singles else observed.sites
    answers = AskedHospitals(observed.study, orders, sites)
    return replace(observed, access=Access(answers=answers)), answers


def made(name: str, folder: Path) -> Finding:
    found: Finding = ATTACKS.load(name)().run(opened(folder)[0], np.random.default_rng(0), 5.0)
    return found


def share_back(finding: Finding, error: float = 1e-2) -> float:
    """Of inputs that are some case's, but for an error of any value."""
    near = []
    for back in finding.reconstructions:
        assert back.study is not None
        true = truth_of(back.study, back.round, back.sites).inputs.reshape(-1, *back.inputs.shape[1:])
        errors = np.abs(back.inputs[:, None] - true[None]).reshape(len(back.inputs), len(true), -1).max(2)
        near += (errors.min(1) < error).tolist()
    return float(np.mean(near))


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
@pytest.mark.parametrize(
    ("name", "why"), [("imprint", "an imprint"), ("trap_weights", "traps"), ("separate_models", "an imprint")]
)
def test_cases_come_back_from_hospitals_that_check_nothing_and_their_checks_refuse_it(
    aggregation: str, name: str, why: str, tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    finding = made(name, runs(tiny(*CARRIER, *RECORDED, f"aggregation={aggregation}")))
    if (aggregation, name) == ("plain", "separate_models"):
        assert "read alone here" in finding.reason
        return
    assert finding.possible and not finding.settings["own_study"]
    assert share_back(finding) > 0.5
    refused = finding.settings["refused"]
    assert "seed gives" in refused["first"] and why in refused[LATE]
    assert refused["listed"] == refused[LATE]


@pytest.mark.parametrize("name", ["blurred_imprint", "scattered_imprint"])
def test_an_imprint_is_refused_under_noise_and_in_several_directions(
    name: str, tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    observed = opened(runs(tiny(*CARRIER, *RECORDED, "aggregation=plain")))[0]
    sharp, blurred = (ATTACKS.load(name)(blur=blur) for blur in (0.01, 0.05))
    finding = sharp.run(observed, np.random.default_rng(0), 30.0)
    assert finding.possible and "imprint" in finding.settings["refused"]["listed"]
    assert share_back(blurred.run(observed, np.random.default_rng(0), 30.0)) < 0.1


def test_traps_in_less_than_half_of_the_units_are_seen_by_no_check(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    finding = made("diluted_traps", runs(tiny(*CARRIER, *RECORDED, "aggregation=plain")))
    assert share_back(finding) > 0.5 and finding.settings["refused"]["listed"] == ""


def test_a_study_of_the_coordinators_own_is_stopped_by_the_list_alone(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    finding = made("diluted_traps", runs(tiny(*LOGISTIC, *RECORDED, NOISE)))
    assert finding.settings["own_study"] and share_back(finding) > 0.5
    assert "approved-studies.txt" in finding.settings["refused"]["listed"]
    assert finding.settings["refused"][LATE] == ""


def test_a_study_of_local_steps_is_sent_its_own_kind_of_work_and_tells_too(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    settings = (CARRIER[2], 'training.batch_size="full"', "strategy=scaffold", "aggregation=secagg")
    finding = made("trap_weights", runs(tiny(*settings, *RECORDED)))
    assert finding.settings["sends"] == "delta" and share_back(finding, 0.1) > 0.5
    assert "traps" in finding.settings["refused"]["listed"]


def test_a_study_of_one_round_has_no_later_model_that_a_hospital_answers_to(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    finding = made("diluted_traps", runs(tiny(*CARRIER, *RECORDED, "rounds=1")))
    assert finding.settings["refused"]["listed"] == "the study ends with round 1; 2 came"


def test_noise_hides_cases_from_every_made_up_model(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    folder = runs(tiny(*CARRIER, *RECORDED, NOISE))
    for name in ("imprint", "diluted_traps"):
        assert share_back(made(name, folder)) == 0


def test_different_models_for_hospitals_open_no_sum_however_honest_they_look(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    observed, answers = opened(runs(tiny(*CARRIER, *RECORDED, "aggregation=secagg")))
    honest = order_of(observed.study, 2, observed.models[2])
    other = order_of(observed.study, 2, moved(observed.models[2]))
    assert answers.refused(honest)["listed"] == "" == answers.refused(other)["listed"]
    assert answers.refused(honest, {answers.sites[-1]: other})["listed"] == SEVERAL_MODELS


def moved(model: Vector) -> Vector:
    """By a rounding."""
    return np.nextafter(model, np.float32(1))


def test_one_case_is_fished_for_and_the_hospital_sees_it(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    finding = made("fishing", runs(tiny(*CARRIER, *RECORDED, "aggregation=plain", "training.batch_size=16")))
    if finding.possible:
        assert share_back(finding) == 1 and "fished for" in finding.settings["refused"]["listed"]
    else:
        assert "go through together" in finding.reason


def test_convolutions_hand_pictures_on_and_their_windows_are_decoded() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 16, 4), nn.ReLU(), nn.Linear(4, 2)),
    )
    carried, halvings = hand_on(network, (1, 16, 16))
    down, right = np.mgrid[:16, :16] / 16
    picture = np.sin(6 * down) * np.cos(5 * right)
    with torch.no_grad():
        latent = network[:7](torch.tensor(picture[None, None], dtype=torch.float32)).numpy()[0].astype(np.float64)
    back = decoded(latent, carried, halvings, (1, 16, 16))[0]
    assert np.corrcoef(back.ravel(), picture.ravel())[0, 1] > 0.9


def test_what_cannot_be_played_is_said_with_its_reason(
    tiny: Callable[..., Study], runs: Callable[[Study], Path]
) -> None:
    folder = runs(tiny(*CARRIER, *RECORDED, "aggregation=plain"))
    for name, words in (("latent_traps", "convolutions with ReLU"), ("decepticon", "no attention")):
        finding = made(name, folder)
        assert not finding.possible and words in finding.reason and UNTRIED not in finding.settings


def test_an_audit_plays_them_all_and_says_which_no_check_sees(
    tiny: Callable[..., Study], runs: Callable[[Study], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cheats = [name for name in ATTACKS.names() if "answers" in declared(ATTACKS.load(name), "needs")]
    monkeypatch.setattr(conduct, "cast_of", lambda _: cast_for(attacks=cheats))
    monkeypatch.setattr(played, "LEAST_S", 60.0)
    report = conduct.audit_run(runs(tiny(*CARRIER, *RECORDED, "aggregation=secagg")), conduct.Effort(1.0))
    tried = {trial.attack: trial for trial in report.trials if trial.observer == "cheating"}
    assert {"imprint", "blurred_imprint", "scattered_imprint", "trap_weights", "diluted_traps"} <= set(tried)
    assert {"separate_models", "fishing", "latent_traps", "decepticon"} <= set(tried)
    assert tried["trap_weights"].refused and not tried["diluted_traps"].refused
    reasons = {(light, words) for one in report.verdicts for light, words in one.reasons}
    assert any(light == "green" and "refused by a hospital that checks" in words for light, words in reasons)


def test_of_many_hospitals_few_are_played_the_smallest_and_the_largest_among_them_and_said() -> None:
    cases = {f"hospital-{number:03}": 10 + (37 * number) % 100 for number in range(100)}
    few = chosen(sorted(cases), cases)
    assert [cases[site] for site in few] == [10, 60, 109]
    assert "of 100 hospitals 3" in played_of(sorted(cases), few[:1]) and played_of(["a", "b"], ["a"]) == ""
    assert chosen(["b", "a"], {"a": 5, "b": 5}) == ("a", "b") and chosen(["a"], {}) == ("a",)


def test_a_sum_is_asked_for_of_the_smallest_recorded_round() -> None:
    payload = Payload(None)
    orders = {(1, "a"): payload, (1, "b"): payload, (1, "c"): payload, (2, "b"): payload, (2, "c"): payload}
    assert smallest(orders) == ("b", "c")
    assert "2 of 3 hospitals" in played_of(["a", "b", "c"], ["b", "c"])


def test_orders_end_with_the_seconds_and_the_last_one_knows(tiny: Callable[..., Study]) -> None:
    now = iter(range(1000))
    slow = Budget(4.0, lambda: float(next(now)))
    assert list(later_rounds(tiny("rounds=9"), 10, slow)) == [(2, False), (3, True)]
    ample = Budget(1e6, lambda: float(next(now)))
    assert [last for _, last in later_rounds(tiny(), 3, ample)] == [False, False, True]
    assert len(list(later_rounds(tiny(), 10, Budget(0.0)))) == 1
