from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from client.hospital import open_hospital, site_names
from common.data.cases import Cases, concatenate
from common.errors import StudyError
from common.learning.parameters import new_network, read, read_gradient, write
from common.study.audit_settings import Audit
from common.study.options import Entry
from common.study.study import parse
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding, Membership
from experiments.attacks.membership.lira import log_odds, moments, offline, online
from experiments.attacks.membership.pool import Pool
from experiments.attacks.membership.rounds import moves_of
from experiments.attacks.membership.shadows import Shadows, forget_shadows, shadows_of
from experiments.attacks.quantile_regression import deviations
from experiments.attacks.rmia import log_ratios, shares_beaten
from experiments.attacks.user_level import by_person
from experiments.audit.questions._joint_chance import Level, Parted
from experiments.audit.questions._roc import (
    auc,
    auc_interval,
    curve,
    delong_variance,
    rate_at,
    rate_without_false_alarm,
)
from experiments.audit.questions.membership import WhoWasTrainedOn, _could_see
from experiments.audit.records import Interval, Trial
from experiments.catalogue import ATTACKS
from experiments.evidence.membership_samples import sampled, samples_of
from experiments.evidence.observing import narrowed, observe
from experiments.evidence.target_model import Target
from experiments.observation import Observation
from experiments.question import Attempt
from experiments.running.run import run_study

MEMBERS, OTHERS = np.array([3.0, 2.0, 5.0]), np.array([1.0, 2.0])
SOME = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=12).map(np.array)


def test_area_and_its_variance_by_hand() -> None:
    """Pairs: 3 beats 1 and 2; 2 beats 1 and ties with 2; 5 beats both: 5.5 of 6.

    Parts of members: 1, 3/4, 1, of variance 1/48; of others: 1 and 5/6, of variance 1/72.
    """
    assert auc(MEMBERS, OTHERS) == pytest.approx(5.5 / 6)
    assert delong_variance(MEMBERS, OTHERS) == pytest.approx(1 / 48 / 3 + 1 / 72 / 2)
    found = auc_interval(MEMBERS, OTHERS, 0.95)
    spread = 1.959964 * np.sqrt(1 / 144 + 1 / 144) / (5.5 / 6 * 0.5 / 6)
    assert found.low == pytest.approx(1 / (1 + np.exp(spread - log(11))), rel=1e-5)
    assert found.high == pytest.approx(1 / (1 + np.exp(-spread - log(11))), rel=1e-5)


@given(SOME, SOME)
def test_the_area_is_the_share_of_pairs_and_lies_below_the_curve(members, others) -> None:
    pairs = [float(one > two) + 0.5 * float(one == two) for one in members for two in others]
    assert auc(members, others) == pytest.approx(np.mean(pairs))
    points = np.array(curve(members, others).points)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(np.mean(pairs))
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    found = auc_interval(members, others, 0.95)
    assert 0 <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 1


def test_intervals_of_areas_hold_the_true_one_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    true = float(norm.cdf(1 / np.sqrt(2)))
    hits = 0
    for _ in range(400):
        found = auc_interval(rng.normal(1, 1, 25), rng.normal(0, 1, 25), 0.9)
        hits += found.low <= true <= found.high
    assert 0.86 < hits / 400 < 0.94


def test_a_perfect_area_still_has_an_interval() -> None:
    """Newcombe's equation at 1: (1 - a)^2 = z^2 a (1 - a) / 9 (1 + 2 (1 - a) / (2 - a) + 2 a / (1 + a))."""
    found = auc_interval(np.array([4.0, 5, 6]), np.array([1.0, 2, 3]), 0.95)
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


def shadows(included: list[list[int]], losses: list[list[float]]) -> Shadows:
    return Shadows(np.array(included, dtype=bool), np.array(losses), 1)


def test_moments_of_few_shadows_are_of_all_cases_and_of_many_their_own() -> None:
    """Two values each, 0 and 2: squares 2, one degree of freedom, so 2 in common; PRIOR 16 draws 2 + 0 to 32/17."""
    means, spreads = moments([np.array([0.0, 2.0]), np.array([5.0, 5.0])])
    assert means.tolist() == [1, 5]
    assert spreads == pytest.approx(np.sqrt([(16 * 1 + 2) / 17, 16 * 1 / 17]))
    many = moments([np.tile([0.0, 2.0], 5000), np.full(10000, 5.0)])[1]
    assert many == pytest.approx([1, 0], abs=0.05)


def test_lira_of_two_cases_and_four_shadows_by_hand() -> None:
    """Gains 2 and 0 of deviation 1 (two shadows each, variance 1 in all): too unsure to tell them apart, both are 1.

    So each case's two Gaussians lie half a gain beside its centre: (x - c + .5)^2 / 2 - (x - c - .5)^2 / 2 = x - c.
    """
    inside = [np.array([3.0 - 0.5**0.5, 3.0 + 0.5**0.5]), np.array([1.0 - 0.5**0.5, 1.0 + 0.5**0.5])]
    outside = [np.array([1.0 - 0.5**0.5, 1.0 + 0.5**0.5]), np.array([1.0 - 0.5**0.5, 1.0 + 0.5**0.5])]
    assert online(np.array([2.5, 0.0]), inside, outside) == pytest.approx([0.5, -1.0])
    assert offline(np.array([2.5, 0.0]), outside) == pytest.approx([1.5, -1.0])


def test_lira_of_many_shadows_is_the_papers() -> None:
    rng = np.random.default_rng(0)
    gains = np.array([0.0, 4.0])
    inside = [rng.normal(gain, 1, 4000) for gain in gains]
    outside = [rng.normal(0, 1, 4000) for _ in gains]
    expected = norm.logpdf(1.0, gains, 1) - norm.logpdf(1.0, 0, 1)
    assert online(np.ones(2), inside, outside) == pytest.approx(expected, abs=0.2)


def test_log_odds_of_losses_and_those_that_can_be_negative() -> None:
    assert log_odds(np.array([log(2), log(4 / 3)])) == pytest.approx([0, log(3)])
    assert log_odds(np.array([-1.0, 2.0])).tolist() == [1, -2]


def test_rmia_of_three_cases_by_hand() -> None:
    """p under the target: 1/2, 1/4, 1/8; mean under two shadows: 1/2, 1/2, 1/32: ratios 1, 1/2, 4."""
    logs = -np.log(np.array([[0.5, 0.25, 0.125], [0.25, 0.25, 1 / 32], [0.75, 0.75, 1 / 32]]))
    assert np.exp(log_ratios(logs[0], logs[1:])) == pytest.approx([1, 0.5, 4])
    every = np.ones(3, dtype=bool)
    scores = shares_beaten(logs[0], logs[1:], every)
    assert scores == pytest.approx([2 / 3 + 1 / 18, 1 / 3, 1 + 2 / 18])
    assert shares_beaten(logs[0], logs[1:], every, gamma=3.0) == pytest.approx([0 + 1 / 18, 0, 2 / 3 + 2 / 18])


def test_quantile_regression_expects_less_of_what_is_hard() -> None:
    """Strangers' log-odds are twice their feature: a member is whoever lies above that line, however hard."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(220, 3))
    seen = 2 * features[:, 0] + rng.normal(0, 0.3, 220)
    seen[200:210] += 1.5
    scores = deviations(features, seen, np.arange(220) < 200)
    assert scores[200:210].min() > scores[210:].max()
    assert abs(scores[:200].mean()) < 0.1 and 0.8 < scores[:200].std() < 1.2


def test_cases_of_one_person_are_asked_about_together() -> None:
    """Each case alone is as likely in as out; the means of both of a person's are not."""
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(20), 2)
    included = np.repeat(rng.random((16, 20)) < 0.5, 2, axis=1)
    noise = np.repeat(rng.normal(0, 1, (17, 20)), 2, axis=1) * np.tile([1.0, -1.0], 20)
    member = np.repeat(np.arange(20) < 10, 2)
    odds = noise + 0.8 * np.vstack([included, member])
    losses = -np.log(1 / (1 + np.exp(-odds)))
    scores = by_person(losses[16], Shadows(included, losses[:16], 1), _pool(persons))
    assert auc(scores[member], scores[~member]) > 0.99
    assert scores[::2].tolist() == scores[1::2].tolist()


def _pool(persons: np.ndarray) -> Pool:
    names = np.array([str(one) for one in persons])
    cases = Cases.of(np.zeros((len(persons), 1), np.float32), np.zeros(len(persons), np.int64), names, ("a", "b"))
    return Pool(cases, persons, {"a": slice(0, len(persons))}, np.zeros(len(persons), bool))


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


@pytest.fixture(scope="module")
def seen(overfitted: Path) -> Observation:
    """All that the coordinator saw, and whom it may ask about."""
    return _asked(observe(overfitted))


def _asked(seen: Observation) -> Observation:
    return replace(seen, access=samples_of(seen).access)


def trials_of(seen: Observation, names: Sequence[str], seconds: float = 300, **options: Any) -> list[Trial]:
    """Of attacks by name, scored with the truth of the run."""
    run: Any = SimpleNamespace(observed=seen, study=seen.study)
    found: list[Trial] = []
    for name in names:
        attack: Any = ATTACKS.build(Entry(name, options))
        finding = attack.run(seen, np.random.default_rng(0), seconds)
        attempt = Attempt(
            name, attack.source, "coordinator", View(seen), tries_of_all=len(names), question="membership"
        )
        found += WhoWasTrainedOn().scored(attempt, finding, run)
    return found


def auc_of(trials: Sequence[Trial], attack: str, site: str = "") -> Interval:
    (trial,) = [one for one in trials if (one.attack, one.site) == (attack, site)]
    return trial.intervals["auc"]


ON_ROUNDS = ("loss_threshold", "losses_over_rounds", "gradient_cosines", "all_for_one", "quantile_regression")
WITH_SHADOWS = ("lira_online", "lira_offline", "rmia")


def test_every_attack_tells_the_members_of_a_model_that_learned_by_heart(seen: Observation) -> None:
    trials = trials_of(seen, ON_ROUNDS) + trials_of(seen, WITH_SHADOWS, shadows=4)
    assert {trial.site for trial in trials} == {"", "hospital-0", "hospital-1", "hospital-2"}
    for name in (*ON_ROUNDS, *WITH_SHADOWS):
        found = auc_of(trials, name)
        assert found.low > 0.5 or (name == "lira_offline" and found.value > 0.55), (
            "two shadows without a case are few"
        )
    assert all(trial.curve is not None for trial in trials)


def test_of_a_model_that_saw_none_of_the_cases_nothing_is_told(seen: Observation) -> None:
    outside = narrowed(seen, "outsider")
    strange = read(new_network(seen.study.build_task(), seen.shape, 99))
    unseen = replace(outside, models={4: strange})
    trials = trials_of(unseen, ("loss_threshold", "quantile_regression")) + trials_of(unseen, WITH_SHADOWS, shadows=4)
    for trial in trials:
        assert trial.intervals["auc"].low <= 0.5 <= trial.intervals["auc"].high, trial.attack
        assert trial.figures["chance_of_named"] > 0.05 and trial.figures["chance_of_auc"] > 0.05


def test_who_sees_too_little_is_told_what(seen: Observation) -> None:
    outside = narrowed(seen, "outsider")
    blind = replace(seen, access=Access())
    for name, view, reason in (
        ("losses_over_rounds", outside, "final model alone"),
        ("gradient_cosines", outside, "no two models"),
        ("all_for_one", outside, "no single updates"),
        ("user_level", seen, "more than one case"),
        ("quantile_regression", replace(seen, access=replace(seen.access, population=None)), "strangers"),
        *((name, blind, "nobody to tell") for name in (*ON_ROUNDS[:3], *WITH_SHADOWS)),
    ):
        attack: Any = ATTACKS.build(Entry(name))
        found = attack.run(view, np.random.default_rng(0), 1.0)
        assert not found.possible and reason in found.reason, name


def test_candidates_are_half_members_and_say_neither_name_nor_split(noise: Path) -> None:
    study = parse(TEXT, [f'source.folder="{noise}"'])
    samples = sampled(study, site_names(study), 20)
    asked = samples.candidates["hospital-1"]
    hospital = open_hospital(study.json, 1)
    trained = list(dict.fromkeys(hospital.train.patients.tolist()))
    for patient, (member, place) in enumerate(zip(asked.member, asked.places, strict=True)):
        (inputs,) = asked.cases.inputs[asked.patients == patient]
        own = hospital.train.inputs[hospital.train.patients == trained[place - 1]]
        assert bool(member) == bool(place) and (not member or (own == inputs).all())
    assert asked.member.sum() == 10 and len(asked.member) == 20
    assert set(asked.cases.patients.tolist()) == {f"1-{number}" for number in range(20)}
    assert "given_split" not in asked.cases.columns
    assert samples.population is not None
    everybody = concatenate([*(one.cases for one in samples.candidates.values()), samples.population])
    assert len(np.unique(everybody.inputs.reshape(len(everybody), -1), axis=0)) == len(everybody)
    assert asked.by_patient(np.arange(len(asked.cases)).astype(float)).tolist() == list(range(20))


def test_a_person_at_two_hospitals_is_asked_about_once_and_is_no_stranger(monkeypatch: Any) -> None:
    """Anna is trained on at a and in the tests of b; Ben is in the tests of both."""
    from experiments.evidence import membership_samples

    def hospital(train: list[str], test: list[str]) -> Any:
        def cases(names: list[str]) -> Cases:
            inputs = np.arange(len(names), dtype=np.float32)[:, None]
            return Cases.of(inputs, np.zeros(len(names), np.int64), names, ("x", "y"))

        return SimpleNamespace(splits={"train": cases(train), "validation": cases([]), "test": cases(test)})

    own = {"a": hospital(["anna", "carl", "dora"], ["ben", "emil"]), "b": hospital(["fay", "gus"], ["anna", "ben"])}
    monkeypatch.setattr(membership_samples, "hospital_of", lambda study, site: own[site])
    study: Any = SimpleNamespace(seed=1)
    samples = sampled(study, ("a", "b"))
    assert len(samples.candidates["a"].member) == 4
    assert "b" not in samples.candidates, "nobody is left there who is a stranger and not asked about already"


def test_a_hospital_without_test_patients_says_so_and_one_of_few_that_nothing_could_be_seen(
    noise: Path, tmp_path: Path
) -> None:
    folder = write_noise(tmp_path, 150, 30, 2)
    study = parse(TEXT, [f'source.folder="{folder}"', "split.test=0", "rounds=1", "training.epochs=1"])
    run_study(study, "noise", tmp_path / "run")
    seen = _asked(observe(tmp_path / "run"))
    without = [site for site in site_names(study) if site not in seen.access.candidates]
    assert without
    trials = trials_of(seen, ["loss_threshold"])
    run: Any = SimpleNamespace(observed=seen, study=seen.study)
    said = {site: list(WhoWasTrainedOn().standing(site, trials, run)) for site in seen.sites}
    assert all(light == "amber" for reasons in said.values() for light, _, _ in reasons)
    few = next(site for site in seen.sites if site not in without)
    assert "not powerful enough" in said[few][0][1]
    assert not any(trial.settings["could_be_seen"] for trial in trials)


def test_what_all_hospitals_show_together_is_no_power_to_hold_one_of_them_green(seen: Observation) -> None:
    """The last hospital's own trial could have seen nothing, the others' and that of all together could."""
    trials = trials_of(seen, ["loss_threshold"])
    assert all(trial.settings["could_be_seen"] for trial in trials)
    few = next(trial.site for trial in reversed(trials) if trial.site)
    weak = [replace(trial, settings={**trial.settings, "could_be_seen": trial.site != few}) for trial in trials]
    run: Any = SimpleNamespace(observed=seen, study=seen.study)
    said = {
        site: " ".join(words for _, words, _ in WhoWasTrainedOn().standing(site, weak, run)) for site in seen.sites
    }
    assert [site for site, words in said.items() if "not powerful enough" in words] == [few]


def test_power_is_to_have_seen_a_red_light_and_not_an_amber_one() -> None:
    """Of 30 patients and 8 others a perfect order has a lower limit of .60, between amber (.55) and red (.65)."""
    run: Any = SimpleNamespace(study=SimpleNamespace(audit=Audit()))
    level = Level(0.05, 8, 4).of("a")
    perfect = auc_interval(np.ones(30), np.zeros(8), 1 - level)
    assert 0.55 < perfect.low < 0.65
    assert not _could_see(Parted(np.ones(30), np.zeros(8)), level, run)
    assert _could_see(Parted(np.ones(60), np.zeros(10)), level, run)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ((), "claims nothing"),
        ((Membership(np.zeros(3), "hospital-0"),), "shape"),
        ((Membership(np.full(46, np.nan), "hospital-0"),), "finite"),
        ((Membership(np.zeros(3), "nowhere"),), "no Membership"),
        (("members",), "no Membership"),
    ],
)
def test_claims_that_cannot_be_scored_are_refused_in_words(seen: Observation, claims: Any, words: str) -> None:
    run: Any = SimpleNamespace(observed=seen, study=seen.study)
    with pytest.raises(StudyError, match=words):
        WhoWasTrainedOn().scored(
            Attempt("mine", "", "me", View(seen)), Finding("mine", "me", True, claims=claims), run
        )


def test_a_cosine_is_that_of_the_whole_gradient(seen: Observation) -> None:
    cases = seen.access.candidates["hospital-0"]
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


def test_shadows_are_trained_once_for_all_attacks_and_each_has_a_complement(seen: Observation) -> None:
    forget_shadows()
    _, few = shadows_of(seen, 1e-3)
    assert (len(few), few.rounds) == (2, 1), "a short time gives two shadows of fewer rounds"
    forget_shadows()
    pool, two = shadows_of(seen, 300, most=2)
    _, four = shadows_of(seen, 300, most=4)
    assert (len(two), len(four), four.rounds) == (2, 4, 3)
    assert (four.losses[:2] == two.losses).all(), "the first two are kept"
    assert (four.included[0] ^ four.included[1]).all() and (four.included[2] ^ four.included[3]).all()
    assert four.losses[four.included].mean() < four.losses[~four.included].mean()
    assert len(pool.cases) == four.losses.shape[1]


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
