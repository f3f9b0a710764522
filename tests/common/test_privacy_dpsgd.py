from __future__ import annotations

import pytest

from common.errors import StudyError, UnknownNameError
from common.learning.client_work import Sends, Training
from common.privacy.accounting import epsilon_of
from common.privacy.mechanism import Facts
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.release import Release


def facts(training: Training | None = None, sends: Sends = "delta", patients: int = 100, cases: int = 400) -> Facts:
    return Facts(patients, cases, 3, 10, sends, training or Training(batch_size=8, steps=5))


def test_a_step_expects_a_batch_of_units() -> None:
    assert Dpsgd(noise_multiplier=1).sampling_rate(facts()) == 8 / 100
    assert Dpsgd(unit="sample", noise_multiplier=1).sampling_rate(facts()) == 8 / 400
    assert Dpsgd(noise_multiplier=1).sampling_rate(facts(Training(batch_size="full"))) == 1
    assert Dpsgd(noise_multiplier=1).sampling_rate(facts(Training(batch_size=200))) == 1


@pytest.mark.parametrize(
    ("training", "sends", "steps"),
    [
        (Training(batch_size=8, steps=5), "delta", 5),
        (Training(batch_size=8, epochs=2), "delta", 2 * 13),
        (Training(batch_size=8, epochs=2), "gradient", 1),
        (Training(batch_size="full", epochs=3), "delta", 3),
    ],
)
def test_a_round_releases_one_sum_a_step(training: Training, sends: Sends, steps: int) -> None:
    rate = 1.0 if training.batch_size == "full" else 0.08
    assert Dpsgd(noise_multiplier=1.5).round_releases(facts(training, sends)) == (Release(1.5, rate, steps),)


def test_the_noise_for_an_epsilon_keeps_it_over_all_rounds_and_hardly_more() -> None:
    (release,) = Dpsgd(epsilon=4.0, delta=1e-4).round_releases(facts())
    spent = epsilon_of([Release(release.noise_multiplier, 0.08, 5 * 10)], 1e-4).epsilon
    assert 3.95 < spent <= 4.0


def test_a_delta_that_promises_nothing_is_refused() -> None:
    Dpsgd(noise_multiplier=1, delta=1e-3).check(facts(patients=100))
    with pytest.raises(StudyError, match="delta must be below 1 / 100"):
        Dpsgd(noise_multiplier=1, delta=0.02).check(facts(patients=100))


def test_a_hospital_without_units_is_refused() -> None:
    with pytest.raises(StudyError, match="needs a patient"):
        Dpsgd(noise_multiplier=1).check(facts(patients=0, cases=0))


def test_noise_or_epsilon_is_given_and_not_both() -> None:
    for options in ({}, {"noise_multiplier": 1.0, "epsilon": 1.0}):
        with pytest.raises(StudyError, match="noise_multiplier or epsilon, and not both"):
            Dpsgd(**options)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="patient"):
        Dpsgd(unit="pateint", noise_multiplier=1)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="clip_norm must be above zero"):
        Dpsgd(clip_norm=0, noise_multiplier=1)
