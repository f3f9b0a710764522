"""An auditor's hand in sums over hospitals: a mechanism's own code clips, adds up and adds what noise it claims."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from client.hospital import open_hospital
from common.errors import StudyError
from common.study.study import Study
from experiments.access import Signals
from experiments.evidence.audited_training import NO_PROMISE, promised_by, training_of, why_not
from experiments.evidence.planted import DOUBLE_CLIP, HALF_NOISE, NO_NOISE, Fault

DPSGD = ('privacy={name="dpsgd",noise_multiplier=1.5,delta=1e-3,clip_norm=0.5}', "strategy=fedsgd")
SHARES = ('privacy={name="distributed",noise_multiplier=1.5,delta=1e-3,clip_norm=0.5}', "aggregation=secagg")
SERVER = ('privacy={name="hospital",noise_multiplier=1.5,delta=1e-2,clip_norm=0.5}', "aggregation=secagg")
MECHANISMS = {
    "dpsgd": DPSGD,
    "shares": (*SHARES, "strategy=fedsgd", "privacy.sampling_rate=1.0"),
    "server": SERVER,
}
AT, LONG = np.arange(5, 25), 5.0
NOTHING = Fault("nothing")


@pytest.fixture(params=MECHANISMS)
def released(request: pytest.FixtureRequest, tiny: Callable[..., Study]) -> Callable[[Fault], NDArray[np.float32]]:
    """A step's sum with twenty loud units, less the hospital's own part, in clip norms; at a sampling rate of 1."""
    study = tiny(
        *MECHANISMS[request.param], 'training={batch_size="full"}' if request.param == "dpsgd" else "rounds=3"
    )
    hospital = open_hospital(study.json, 0)
    signals = Signals(AT, np.full(len(AT), LONG, np.float32))

    def step(fault: Fault, repeat: int = 1) -> NDArray[np.float32]:
        private = training_of(hospital, fault, repeat).alone()
        total, own = private.step(signals)
        return np.asarray((total - own) / private.clip_norm, np.float32)

    return step


def test_what_is_released_is_each_unit_clipped_and_the_claimed_noise(
    released: Callable[[Fault], NDArray[np.float32]],
) -> None:
    silent, noisy = released(NO_NOISE), released(NOTHING)
    assert silent[AT] == pytest.approx(1, abs=2e-3)
    assert np.abs(np.delete(silent, AT)).max() < 1e-6
    assert np.std(noisy - silent) == pytest.approx(1.5, rel=0.05)
    assert np.std(released(HALF_NOISE) - silent) == pytest.approx(0.75, rel=0.05)


def test_a_clip_to_twice_the_norm_lets_twice_as_much_in_on_the_noise_there_was(
    released: Callable[[Fault], NDArray[np.float32]],
) -> None:
    found = released(DOUBLE_CLIP)
    assert np.mean(found[AT]) == pytest.approx(2, abs=4 * 1.5 / np.sqrt(len(AT)))
    assert np.std(np.delete(found, AT)) == pytest.approx(1.5, rel=0.05)


def test_draws_are_new_every_step_and_every_time(released: Callable[..., NDArray[np.float32]]) -> None:
    once, again = released(NOTHING, 1), released(NOTHING, 2)
    assert abs(np.corrcoef(once, again)[0, 1]) < 0.1


def test_a_hospital_is_no_case_among_others(tiny: Callable[..., Study]) -> None:
    hospital = open_hospital(tiny(*SERVER).json, 0)
    with pytest.raises(StudyError, match="a hospital is what this promise is about"):
        training_of(hospital).begun(hospital.train)


def test_who_is_promised_what(tiny: Callable[..., Study]) -> None:
    sites = ("a", "b")
    assert why_not(tiny()) == NO_PROMISE
    assert all(why_not(tiny(*settings)) == "" for settings in MECHANISMS.values())
    assert promised_by(tiny(*DPSGD), sites) == sites
    assert promised_by(tiny(*SERVER), sites) == ("a",)
