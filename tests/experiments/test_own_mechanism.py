"""A privacy mechanism in a stranger's file: a study runs it, and it is held to what it declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from client.hospital import open_hospital
from client.ledger import Ledger
from client.privacy import Private, Sources
from common.errors import StudyError
from common.learning.client_work import Work
from common.learning.parameters import read
from common.privacy.abilities import NAMES, can, check_declared, no_noisy_steps
from common.privacy.noise import SeededNoise
from common.privacy.noise_coverage import covers, in_words
from common.privacy.study_facts import mechanism_of
from common.seeding import generator
from common.study.catalogue import MECHANISMS
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import run_quietly
from wardround.testing import MechanismTests

OWN = Path(__file__).with_name("own_mechanisms.py")
FEDSGD = ("strategy=fedsgd", "training={batch_size=8}", "rounds=2")


@pytest.fixture(autouse=True)
def _trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


@pytest.fixture
def own(tiny: Callable[..., Study]) -> Callable[..., Study]:
    return lambda name, *more, options="": tiny(*FEDSGD, f'privacy={{name="{OWN}:{name}"{options}}}', *more)


class TestNormalised(MechanismTests):
    @pytest.fixture
    def made(self) -> Any:
        return MECHANISMS.build(Entry(f"{OWN}:Normalised", {}))


class TestServerNoise(MechanismTests):
    @pytest.fixture
    def made(self) -> Any:
        return MECHANISMS.build(Entry(f"{OWN}:ServerNoise", {}))


@pytest.mark.parametrize(("name", "way"), [("Normalised", "plain"), ("ServerNoise", "secagg")])
def test_a_study_runs_it_and_every_hospital_charges_its_ledger(
    own: Callable[..., Study], tmp_path: Path, name: str, way: str
) -> None:
    run_quietly(own(name, f"aggregation={way}"), tmp_path)
    privacy = json.loads((tmp_path / "privacy.json").read_text())
    assert privacy["mechanism"].endswith(f"own_mechanisms.py:{name}")
    assert {one["rounds"] for one in privacy["sites"].values()} == {2}
    assert all(0 < one["epsilon"] < 100 for one in privacy["sites"].values())
    ledgers = [Ledger(hospital_folder(tmp_path, site)) for site in privacy["sites"]]
    assert [len(ledger.contents().entries) for ledger in ledgers] == [2] * len(ledgers)


@pytest.mark.parametrize(("name", "words"), [("Talkative", "let out loss"), ("Noiseless", "gave no noise")])
def test_what_it_did_not_declare_does_not_leave(own: Callable[..., Study], name: str, words: str) -> None:
    study = own(name)
    hospital, mechanism = open_hospital(study.json, 0), mechanism_of(study)
    assert mechanism is not None
    sources = Sources(lambda purpose: generator(1, purpose), lambda purpose: SeededNoise(generator(1, purpose)), None)
    order = Order(study.json, 1, read(hospital.network), Work("gradient"))
    with pytest.raises(StudyError, match=words):
        Private(hospital, order, mechanism, sources).update()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HalfAtServer", r"has place = 'server' and no release"),
        ("Ungridded", r"has place = 'shares' and no grid"),
        ("Misspelt", r"'repeatabel', which is no member of a mechanism; did you mean 'repeatable'\?"),
    ],
)
def test_halves_that_do_not_go_together_are_refused_by_name(own: Callable[..., Study], name: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        own(name)


class Silent:
    """Without any optional member."""

    place: ClassVar[str] = "hospital"
    unit: ClassVar[str] = "patient"
    delta: ClassVar[float] = 1e-5


def test_what_it_does_not_say_is_not_counted_on() -> None:
    silent: Any = Silent()
    assert not any(can(silent, one) for one in NAMES)
    check_declared(silent, "silent")
    assert not covers(silent) and "as if there were no noise" in in_words(silent)
    assert no_noisy_steps(silent) == "its mechanism does not say how a step is made (poisson, noised, clip_norm)"


def test_a_member_of_another_kind_is_refused() -> None:
    for member, value in (("repeatable", 1), ("spare_rounds", -1), ("grid", "fine"), ("statistics", ("a/b",))):
        together = {"value_room": lambda *_: 1, "grid": 0.5}
        silent: Any = type("Silent", (Silent,), {**together, member: value})()
        with pytest.raises(StudyError, match=f"{member} must be"):
            check_declared(silent, "silent")


def test_ours_are_complete(tiny: Callable[..., Study]) -> None:
    study = tiny(*FEDSGD, 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3}')
    assert no_noisy_steps(mechanism_of(study)) == ""
