from __future__ import annotations

from collections.abc import Callable

import pytest

from common.errors import StudyError
from common.study.study import Study
from experiments.evidence.poisoned_federation import PoisonedFederation


def test_a_sign_flipping_hospital_ruins_the_mean_and_not_the_median(tiny: Callable[..., Study]) -> None:
    study = tiny("partition={name='iid', hospitals=5}", "rounds=3")
    federation = PoisonedFederation(study)
    honest = federation.score("", "fedavg")
    assert honest > 0.8
    assert not federation.score("sign flip", "fedavg") > honest - 0.3
    for name in ("median", "trimmed_mean", "krum"):
        assert federation.score("sign flip", name) > honest - 0.2, name


def test_one_hospital_of_exchanged_labels_does_not_carry_the_median(tiny: Callable[..., Study]) -> None:
    study = tiny("partition={name='iid', hospitals=5}", "rounds=3")
    assert PoisonedFederation(study).score("label flip", "median") > 0.7


def test_an_unknown_poisoning_is_named(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="'salt'; there are sign flip, sign flip within the bound"):
        PoisonedFederation(tiny()).score("salt", "fedavg")
