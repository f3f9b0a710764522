"""Every partition of ours passes the tests that anybody's inherits, and what each one promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from client.partitions.dirichlet import Dirichlet
from client.partitions.feature_shift import FeatureShift
from client.partitions.quantity import Quantity
from client.partitions.shards import Shards
from common.data.cases import Cases
from common.data.skew import label_divergence, size_gini
from common.study.catalogue import PARTITIONS
from common.study.options import Entry
from wardround.testing import PartitionTests
from wardround.testing.partitions import some_cases


class TestEveryPartition(PartitionTests):
    @pytest.fixture(params=PARTITIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return PARTITIONS.build(Entry(str(request.param), {"hospitals": 4}))

    def test_another_seed_divides_otherwise(self, made: Any) -> None:
        cases, partition = some_cases(60), replace(made, hospitals=3)
        first, second = (partition.assign(cases, np.random.default_rng(seed)) for seed in (1, 2))
        assert (first != second).any()


def test_mcmahans_shards_are_two_a_client_of_at_most_two_digits_and_a_seam() -> None:
    cases = some_cases(60_000, classes=10, each=1)
    assigned = Shards(100).assign(cases, np.random.default_rng(0))
    labels = [set(cases.targets[assigned == hospital]) for hospital in range(100)]
    assert np.bincount(assigned).tolist() == [600] * 100
    assert max(map(len, labels)) == 2
    assert sum(len(own) == 2 for own in labels) > 80


def test_a_prescribed_test_set_is_cut_by_the_same_shards() -> None:
    cases = some_cases(2000, classes=10, each=1)
    split = np.where(np.arange(2000) // 10 % 4 == 0, "test", "train")
    cases = Cases.of(cases.inputs, cases.targets, cases.patients, cases.classes, given_split=split)
    assigned = Shards(10).assign(cases, np.random.default_rng(0))
    for hospital in range(10):
        own = assigned == hospital
        assert (split[own] == "test").sum() == 50
        trained, tested = set(cases.targets[own & (split == "train")]), set(cases.targets[own & (split == "test")])
        assert len(tested & trained) >= 1


def counts(cases: Cases, assigned: np.ndarray) -> dict[str, dict[str, int]]:
    return {
        str(hospital): {
            str(label): int(((assigned == hospital) & (cases.targets == label)).sum()) for label in range(4)
        }
        for hospital in set(assigned)
    }


def test_a_small_alpha_skews_labels_and_a_large_one_does_not() -> None:
    cases = some_cases(2000)
    skewed, even = (
        label_divergence(counts(cases, Dirichlet(5, alpha).assign(cases, np.random.default_rng(3))))
        for alpha in (0.1, 1000.0)
    )
    assert even < 0.005
    assert skewed > 0.2


def test_quantity_follows_its_power_law() -> None:
    cases = some_cases(1000, each=1)
    sizes = np.bincount(Quantity(4, exponent=1.0).assign(cases, np.random.default_rng(0)))
    np.testing.assert_allclose(sizes, 1000 * np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12), atol=1)
    assert size_gini(dict(zip("abcd", sizes.tolist(), strict=True))) > 0.25


def test_feature_shift_changes_images_and_nothing_else() -> None:
    cases, partition = some_cases(20), FeatureShift(3)
    shifted = partition.adapt(cases, 1, np.random.default_rng(4))
    again = partition.adapt(cases, 1, np.random.default_rng(4))
    other = partition.adapt(cases, 2, np.random.default_rng(5))
    assert shifted.inputs.tobytes() == again.inputs.tobytes() != other.inputs.tobytes()
    assert np.abs(shifted.inputs - cases.inputs).mean() > 0.05
    assert shifted.columns["targets"] is cases.columns["targets"]


def test_no_strength_is_no_shift() -> None:
    cases = some_cases(5)
    assert FeatureShift(2, strength=0).adapt(cases, 0, np.random.default_rng(0)) is cases
