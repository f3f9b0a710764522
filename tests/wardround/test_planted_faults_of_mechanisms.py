"""As test_planted_faults_of_learning, of privacy mechanisms: what they promise, and both their halves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from common.privacy.mechanisms.hospital import HospitalLevel
from common.sums.update import Update
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import MechanismTests


@dataclass(frozen=True)
class Somebody(HospitalLevel):
    unit: ClassVar[Any] = "somebody"  # type: ignore[misc]


class Free(HospitalLevel):
    def round_releases(self, facts: Any) -> Any:
        return ()


class Careless(HospitalLevel):
    def check(self, facts: Any) -> None:
        pass


class Quieter(HospitalLevel):
    def sum_noise(self, facts: Any) -> float:
        return 0.9 * super().sum_noise(facts)


class Unclipped(HospitalLevel):
    def hospital_update(self, at: Any) -> Any:
        update, steps = at.own_update()
        return Update(update.vectors, 1.0), steps


class Telling(HospitalLevel):
    def hospital_update(self, at: Any) -> Any:
        update, steps = super().hospital_update(at)
        return replace(update, statistics=at.own_update()[0].statistics), steps


class Weighing(HospitalLevel):
    def hospital_update(self, at: Any) -> Any:
        update, steps = super().hospital_update(at)
        return replace(update, weight=1.0 + float(np.linalg.norm(update.vectors[0]))), steps


class FreeAgain(HospitalLevel):
    def round_releases(self, facts: Any) -> Any:
        return []


MECHANISMS = {
    FROZEN: (thawed(HospitalLevel),),
    "it_says_whom_it_hides_and_who_adds_the_noise": (Somebody,),
    "its_releases_cost_what_an_accountant_can_work_out": (Free,),
    "two_rounds_cost_more_than_one": (FreeAgain,),
    "a_delta_that_a_hospital_with_few_units_makes_meaningless_is_refused": (Careless,),
    "its_noise_hides_what_one_unit_adds": (Quieter, Unclipped),
    "nothing_leaves_beside_what_it_declares": (Telling, Weighing),
}


@pytest.mark.parametrize(("law", "fault"), pairs(MECHANISMS))
def test_a_faulty_mechanism_is_caught(law: str, fault: type) -> None:
    broken(MechanismTests, law, fault(noise_multiplier=1.0, delta=0.1))


def test_no_law_is_without_a_planted_fault() -> None:
    assert laws(MechanismTests) == MECHANISMS.keys()
