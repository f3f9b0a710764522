"""Where a hospital's draws come from, simulated and real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from flwr.app import Context, RecordDict

from client.hospital import Hospital, open_hospital
from client.protocol_context import open_local, sources
from common.privacy.noise import SystemNoise
from common.study.catalogue import MECHANISMS
from common.study.federation import RosterEntry
from common.study.study import parse
from common.sums import identity

TEXT = """
title = "Tiny"
rounds = 3
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "iid", hospitals = 5 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedsgd"
training = { batch_size = 8 }
aggregation = "secagg"
federation = { least_in_sum = 3 }
"""
PROMISES = {
    None: (),
    "dpsgd": ("privacy={name='dpsgd', noise_multiplier=1.0, delta=1e-3}",),
    "hospital": ("privacy={name='hospital', noise_multiplier=1.0, delta=0.1}",),
    "distributed": ("privacy={name='distributed', noise_multiplier=1.0, delta=1e-3, sampling_rate=0.5}",),
}
Open = Callable[..., Hospital]


@pytest.fixture(scope="module")
def opened(images: Path) -> Open:
    return lambda *overrides: open_hospital(parse(TEXT, [f'source.folder="{images}"', *overrides]).json, 0)


def simulated() -> Context:
    return Context(1, 1, {"simulated": True}, RecordDict(), {})


def real(hospital: Hospital, folder: Path) -> tuple[Hospital, Context]:
    """The hospital with its keys in a folder, and their roster in the study that it approved."""
    keys = {site: identity.create(folder / site) for site in hospital.roster}
    identity.introduce(folder / hospital.site, keys)
    roster = tuple(RosterEntry(site, sha256(key).hexdigest()) for site, key in keys.items())
    study = replace(hospital.study, federation=replace(hospital.study.federation, roster=roster))
    own = Context(1, 1, {"folder": str(folder / hospital.site)}, RecordDict(), {})
    return replace(hospital, study=study), own


def rounding(hospital: Hospital, context: Context, number: int = 2) -> list[int]:
    return list(open_local(hospital, context, number, "", {}).rng.integers(0, 1 << 30, 4))


def test_every_shipped_mechanism_is_looked_at_here() -> None:
    assert set(MECHANISMS.names()) == set(PROMISES) - {None}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_real_hospital_rounds_as_a_simulated_one_does(promise: str | None, opened: Open, tmp_path: Path) -> None:
    hospital, context = real(opened(*PROMISES[promise]), tmp_path)
    assert rounding(hospital, context) == rounding(hospital, simulated())
    assert rounding(hospital, context, 3) != rounding(hospital, context)


@pytest.mark.parametrize("says", [True, None])
def test_where_a_mechanism_counts_on_it_or_does_not_say_the_system_draws(
    says: bool | None, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = opened(*PROMISES["dpsgd"])
    if says is None:
        monkeypatch.delattr(MECHANISMS.load("dpsgd"), "secret_rounding")
    else:
        monkeypatch.setattr(MECHANISMS.load("dpsgd"), "secret_rounding", says)
    hospital, context = real(hospital, tmp_path)
    assert rounding(hospital, context) != rounding(hospital, context)
    assert rounding(hospital, simulated()) == rounding(hospital, simulated())


def test_noise_and_samples_of_a_real_hospital_are_the_systems(opened: Open, tmp_path: Path) -> None:
    hospital = opened(*PROMISES["dpsgd"])
    hospital, context = real(hospital, tmp_path)
    own = sources(hospital, context, 2)
    assert isinstance(own.noise("noise"), SystemNoise)
    assert list(own.draws("sampling").integers(0, 1 << 30, 4)) != list(own.draws("sampling").integers(0, 1 << 30, 4))
