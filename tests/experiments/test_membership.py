from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from client.hospital import open_hospital, site_names
from common.learning.parameters import new_network, read, read_gradient, write
from common.study.study import parse
from experiments.attacks.membership.lira import lira_offline, lira_online, log_odds
from experiments.attacks.membership.rmia import log_ratios, rmia
from experiments.attacks.membership.server_rounds import moves_of
from experiments.attacks.membership.shadows import Shadows, train_shadows
from experiments.attacks.membership.target import Target
from experiments.audit.membership import membership_trials
from experiments.audit.membership_scores import each_confidence
from experiments.audit.questions._roc import (
    area,
    area_interval,
    curve,
    delong_variance,
    rate_at,
    rate_without_false_alarm,
)
from experiments.audit.records import Interval, Trial
from experiments.evidence.membership_samples import question_of
from experiments.evidence.observing import observe
from experiments.running.run import run_study

MEMBERS, OTHERS = np.array([3.0, 2.0, 5.0]), np.array([1.0, 2.0])
SOME = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=12).map(np.array)


def test_area_and_its_variance_by_hand() -> None:
    """Pairs: 3 beats 1 and 2; 2 beats 1 and ties with 2; 5 beats both: 5.5 of 6.

    Parts of members: 1, 3/4, 1, of variance 1/48; of others: 1 and 5/6, of variance 1/72.
    """
    assert area(MEMBERS, OTHERS) == pytest.approx(5.5 / 6)
    assert delong_variance(MEMBERS, OTHERS) == pytest.approx(1 / 48 / 3 + 1 / 72 / 2)
    found = area_interval(MEMBERS, OTHERS, 0.95)
    spread = 1.959964 * np.sqrt(1 / 144 + 1 / 144) / (5.5 / 6 * 0.5 / 6)
    assert found.low == pytest.approx(1 / (1 + np.exp(spread - log(11))), rel=1e-5)
    assert found.high == pytest.approx(1 / (1 + np.exp(-spread - log(11))), rel=1e-5)


@given(SOME, SOME)
def test_the_area_is_the_share_of_pairs_and_lies_below_the_curve(members, others) -> None:
    pairs = [float(one > two) + 0.5 * float(one == two) for one in members for two in others]
    assert area(members, others) == pytest.approx(np.mean(pairs))
    points = np.array(curve(members, others).points)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(np.mean(pairs))
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    found = area_interval(members, others, 0.95)
    assert 0 <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 1


def test_intervals_of_areas_hold_the_true_one_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    true = float(norm.cdf(1 / np.sqrt(2)))
    hits = 0
    for _ in range(400):
        found = area_interval(rng.normal(1, 1, 25), rng.normal(0, 1, 25), 0.9)
        hits += found.low <= true <= found.high
    assert 0.86 < hits / 400 < 0.94


def test_a_perfect_area_still_has_an_interval() -> None:
    """Newcombe's equation at 1: (1 - a)^2 = z^2 a (1 - a) / 9 (1 + 2 (1 - a) / (2 - a) + 2 a / (1 + a))."""
    found = area_interval(np.array([4.0, 5, 6]), np.array([1.0, 2, 3]), 0.95)
    low = found.low
    spread = 1 + 2 * (1 - low) / (2 - low) + 2 * low / (1 + low)
    assert (1 - low) ** 2 == pytest.approx(1.959964**2 * low * (1 - low) / 9 * spread, rel=1e-4)
    assert 0.3 < low < 0.7 and found.high == 1


def test_the_rate_of_members_found_without_and_with_few_false_alarms() -> None:
    """Of 100 others one may be above at 1 %. Clopper and Pearson of 2 in 4 at 95 %: 0.0676 to 0.9324."""
    others = np.arange(100.0)
    members = np.array([98.5, 99.5, 200, 50])
    found = rate_without_false_alarm(members, others, 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.067586, 0.932414), rel=1e-4)
    at_one_percent = rate_at(members, others, 0.01, 0.95)
    assert at_one_percent is not None and at_one_percent.value == 0.75
    assert rate_without_false_alarm(np.array([1.0]), np.array([1.0]), 0.95).value == 0, "a tie is a false alarm too"


def test_a_rate_that_so_few_others_cannot_show_is_left_out() -> None:
    others = np.arange(99.0)
    assert rate_at(np.array([200.0]), others, 0.01, 0.95) is None
    assert rate_at(np.array([200.0]), np.arange(1000.0), 0.001, 0.95) is not None


@given(st.integers(1, 8), st.integers(1, 12), st.floats(0.5, 0.999))
def test_the_confidences_of_all_areas_add_up_to_that_of_all_together(
    attacks: int, sites: int, confidence: float
) -> None:
    alone = [each_confidence(confidence, attacks, sites, together=False)] * attacks * sites
    together = [each_confidence(confidence, attacks, sites, together=True)] * attacks if sites > 1 else []
    assert sum(1 - one for one in (*alone, *together)) == pytest.approx(1 - confidence)


def test_of_scores_of_pure_noise_hardly_any_study_has_an_area_surely_above_guessing() -> None:
    """Six attacks on five hospitals and on all together, 200 studies: 5 % of them at most, and some binomial luck."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        pairs = rng.normal(size=(6, 5, 2, 10))
        lows = [
            area_interval(*pair, each_confidence(0.95, 6, 5, together=False)).low for one in pairs for pair in one
        ]
        pooled = pairs.transpose(0, 2, 1, 3).reshape(6, 2, 50)
        lows += [area_interval(*pair, each_confidence(0.95, 6, 5, together=True)).low for pair in pooled]
        wrong += max(lows) > 0.5
    assert wrong <= 16


def shadows(included: list[list[int]], losses: list[list[float]]) -> Shadows:
    return Shadows(np.array(included, dtype=bool), np.array(losses), 1)


def test_lira_of_two_cases_and_four_shadows_by_hand() -> None:
    """Losses log 2, log(4/3), ... are log-odds 0, log 3, ...: moments and densities follow by hand."""
    half, three = log(2), log(4 / 3)
    assert log_odds(np.array([half, three])) == pytest.approx([0, log(3)])
    built = shadows([[1, 0], [1, 0], [0, 1], [0, 1]], [[three, half], [half, half], [half, three], [half, half]])
    spread = np.sqrt(4 * (log(3) / 2) ** 2 / 2)
    quiet = 1e-6
    online = lira_online(np.array([half, half]), built)
    middle = norm.logpdf(0, log(3) / 2, spread)
    assert online == pytest.approx([middle - norm.logpdf(0, 0, quiet)] * 2)
    assert lira_offline(np.array([half, three]), built) == pytest.approx([0, log(3) / quiet])


def test_losses_that_can_be_negative_are_their_own_statistic() -> None:
    assert log_odds(np.array([-1.0, 2.0])).tolist() == [1, -2]


def test_rmia_of_three_cases_by_hand() -> None:
    """p under the target: 1/2, 1/4, 1/8; mean under two shadows: 1/2, 1/2, 1/32: ratios 1, 1/2, 4."""
    logs = -np.log(np.array([[0.5, 0.25, 0.125], [0.25, 0.25, 1 / 32], [0.75, 0.75, 1 / 32]]))
    built = shadows([[1, 0, 1], [0, 1, 0]], logs[1:].tolist())
    assert np.exp(log_ratios(logs[0], built.losses)) == pytest.approx([1, 0.5, 4])
    every = np.ones(3, dtype=bool)
    scores = rmia(logs[0], built, every)
    assert scores == pytest.approx([2 / 3 + 1 / 18, 1 / 3, 1 + 2 / 18])
    assert rmia(logs[0], built, every, gamma=3.0) == pytest.approx([0 + 1 / 18, 0, 2 / 3 + 2 / 18])


TEXT = """
title = "Images without a pattern"
rounds = 3
seed = 4
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "quantity", hospitals = 3 }
task = { name = "classification", network = { name = "mlp", hidden = [32] } }
strategy = "fedavg"
aggregation = "plain"
training = { epochs = 10, batch_size = 8, learning_rate = 0.01, optimiser = "adam" }
split = { validation = 0.1, test = 0.4 }
federation = { record_traffic = true }
"""


def write_noise(folder: Path, train: int, val: int, test: int) -> Path:
    """Images and labels that have nothing to do with one another: what is learned is learned by heart."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", train), ("val", val), ("test", test)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 2, (count, 1), dtype=np.uint8)
    np.savez(folder / "noise.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise(tmp_path_factory.mktemp("noise"), 150, 30, 120)


@pytest.fixture(scope="module")
def overfitted(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has learned by heart."""
    folder = tmp_path_factory.mktemp("run") / "run"
    run_study(parse(TEXT, [f'source.folder="{noise}"']), "noise", folder)
    return folder


def area_of(trials: Sequence[Trial], attack: str, site: str = "") -> Interval:
    (trial,) = [one for one in trials if (one.attack, one.site) == (attack, site)]
    return trial.intervals["auc"]


def test_every_attack_tells_the_members_of_a_model_that_learned_by_heart(overfitted: Path) -> None:
    trials = membership_trials(observe(overfitted), 0.95, 300, shadows=4)
    names = {trial.attack for trial in trials}
    assert names == {
        "loss_threshold",
        "losses_over_rounds",
        "gradient_cosines",
        "lira_online",
        "lira_offline",
        "rmia",
    }
    assert {trial.site for trial in trials} == {"", "hospital-0", "hospital-1", "hospital-2"}
    for name in names:
        assert area_of(trials, name).low > 0.5, name
    assert all(trial.curve is not None for trial in trials)


def test_of_a_model_that_saw_none_of_the_cases_nothing_is_told(overfitted: Path) -> None:
    seen = observe(overfitted, "outsider")
    strange = read(new_network(seen.study.build_task(), seen.shape, 99))
    trials = membership_trials(replace(seen, models={4: strange}), 0.999, 300, shadows=4)
    assert {trial.attack for trial in trials} == {"loss_threshold", "lira_online", "lira_offline", "rmia"}
    for trial in trials:
        assert trial.intervals["auc"].low <= 0.5 <= trial.intervals["auc"].high, trial.attack


def test_candidates_are_half_members_and_everybody_elses_cases_are_of_strangers(noise: Path) -> None:
    study = parse(TEXT, [f'source.folder="{noise}"'])
    question = question_of(study, "hospital-1", 20)
    assert question is not None
    asked = question.candidates
    hospital = open_hospital(study.json, 1)
    trained = set(hospital.train.patients.tolist())
    truly = [patient in trained for patient in asked.cases.patients.tolist()]
    assert asked.member[asked.patients].tolist() == truly
    assert asked.member.sum() == 10 and len(asked.member) == 20
    assert not trained & set(question.population.patients.tolist())
    assert not set(asked.cases.patients.tolist()) & set(question.population.patients.tolist())
    assert asked.by_patient(np.arange(len(asked.cases)).astype(float)).tolist() == list(range(20))


def test_a_hospital_without_test_patients_is_not_asked_and_says_so(noise: Path, tmp_path: Path) -> None:
    folder = write_noise(tmp_path, 150, 30, 2)
    study = parse(TEXT, [f'source.folder="{folder}"', "split.test=0", "rounds=1", "training.epochs=1"])
    without = [site for site in site_names(study) if question_of(study, site) is None]
    assert without
    run_study(study, "noise", tmp_path / "run")
    refused = [
        trial for trial in membership_trials(observe(tmp_path / "run"), 0.95, 300, shadows=2) if not trial.possible
    ]
    assert [trial.site for trial in refused] == without
    assert "no patient for tests" in refused[0].reason


def test_a_cosine_is_that_of_the_whole_gradient(overfitted: Path) -> None:
    seen = observe(overfitted)
    question = question_of(seen.study, "hospital-0", 10)
    assert question is not None
    cases = question.candidates.cases
    network = new_network(seen.study.build_task(), seen.shape, 0)
    write(network, seen.models[2])
    direction = np.random.default_rng(0).normal(size=seen.final_model.size)
    found = Target.of(seen).cosines(seen.models[2], cases, direction)
    for index in range(3):
        network.zero_grad()
        seen.study.build_task().loss(network, cases.batch(slice(index, index + 1))).sum().backward()
        gradient = read_gradient(network).astype(np.float64)
        expected = gradient @ direction / np.linalg.norm(gradient) / np.linalg.norm(direction)
        assert found[index] == pytest.approx(expected, rel=1e-4)


def test_every_shadow_has_a_complement_and_learned_its_half_better(overfitted: Path) -> None:
    seen = observe(overfitted)
    question = question_of(seen.study, "hospital-0", 40)
    assert question is not None
    built = train_shadows(seen, question.candidates.cases, np.random.default_rng(1), 300, most=4)
    assert len(built) == 4
    assert (built.included[0] ^ built.included[1]).all() and (built.included[2] ^ built.included[3]).all()
    assert built.losses[built.included].mean() < built.losses[~built.included].mean()


def test_a_short_time_gives_two_shadows_of_fewer_rounds(overfitted: Path) -> None:
    seen = observe(overfitted)
    question = question_of(seen.study, "hospital-0", 40)
    assert question is not None
    built = train_shadows(seen, question.candidates.cases, np.random.default_rng(1), 1e-3)
    assert (len(built), built.rounds) == (2, 1)


def test_who_sees_less_is_told_so_and_tries_what_is_left(overfitted: Path) -> None:
    seen = observe(overfitted, "hospital", "hospital-2")
    trials = membership_trials(seen, 0.95, 300, shadows=2)
    by_attack = {trial.attack: trial for trial in trials if trial.site == ""}
    assert set(by_attack) == {"loss_threshold", "losses_over_rounds", "gradient_cosines", "lira_offline", "rmia"}
    assert by_attack["gradient_cosines"].knowledge == "the models of all rounds"
    assert by_attack["loss_threshold"].knowledge == "the final model"


def test_a_sum_tells_no_hospital_from_another(noise: Path, tmp_path: Path) -> None:
    study = parse(TEXT, [f'source.folder="{noise}"', "rounds=1", 'aggregation="secagg"'])
    run_study(study, "noise", tmp_path / "run")
    seen = observe(tmp_path / "run")
    assert not seen.singles
    first, second = (moves_of(seen, site) for site in seen.sites[:2])
    np.testing.assert_array_equal(first[0].descent, second[0].descent)
    change = seen.models[1].astype(np.float64) - seen.final_model
    cosine = change @ first[0].descent / np.linalg.norm(change) / np.linalg.norm(first[0].descent)
    assert cosine == pytest.approx(1, abs=1e-3), "a sum of changes points from the new model to the old"
