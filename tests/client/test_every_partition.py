"""What every partition must do, and what each one promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.partitions.dirichlet import Dirichlet
from client.partitions.feature_shift import FeatureShift
from client.partitions.quantity import Quantity
from client.partitions.shards import Shards
from common.data.cases import Cases
from common.data.skew import label_divergence, size_gini
from common.errors import StudyError
from common.study.catalogue import PARTITIONS
from common.study.options import Entry


def some_cases(patients: int, classes: int = 4, each: int = 2) -> Cases:
    names = np.repeat([f"p{index:05d}" for index in range(patients)], each)
    targets = np.repeat(np.arange(patients) % classes, each)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(len(names), 1, 4, 4)).astype(np.float32)
    return Cases.of(inputs, targets, names, tuple(map(str, range(classes))))


def build(name: str, hospitals: int) -> Any:
    return PARTITIONS.build(Entry(name, {"hospitals": hospitals}))


@pytest.fixture(params=PARTITIONS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 30), st.integers(0, 2**32))
def test_every_hospital_gets_a_patient_and_no_patient_is_parted(hospitals: int, more: int, seed: int) -> None:
    for entry in PARTITIONS.names():
        cases = some_cases(2 * hospitals + more)
        assigned = build(entry, hospitals).assign(cases, np.random.default_rng(seed))
        assert set(assigned) == set(range(hospitals))
        owners = {(patient, hospital) for patient, hospital in zip(cases.patients, assigned, strict=True)}
        assert len(owners) == 2 * hospitals + more


def test_the_order_of_cases_does_not_matter(name: str) -> None:
    cases = some_cases(40)
    order = np.random.default_rng(1).permutation(len(cases))
    straight = build(name, 4).assign(cases, np.random.default_rng(2))
    shuffled = build(name, 4).assign(cases.take(order), np.random.default_rng(2))
    np.testing.assert_array_equal(straight[order], shuffled)


def test_another_seed_divides_otherwise(name: str) -> None:
    cases = some_cases(60)
    first, second = (build(name, 3).assign(cases, np.random.default_rng(seed)) for seed in (1, 2))
    assert (first != second).any()


def test_too_few_patients_are_refused(name: str) -> None:
    with pytest.raises(StudyError, match="2 patients cannot be"):
        build(name, 3).assign(some_cases(2), np.random.default_rng(0))


def test_masks_are_divided_too(name: str) -> None:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (24, 4, 4)).astype(np.uint8)
    names = np.repeat([f"p{index}" for index in range(12)], 2)
    cases = Cases.of(np.zeros((24, 1, 4, 4), np.float32), masks, names, ("a", "b"))
    assert set(build(name, 3).assign(cases, rng)) == {0, 1, 2}


def test_cases_whose_targets_are_numbers_are_divided_too(name: str) -> None:
    rng = np.random.default_rng(0)
    names = np.repeat([f"p{index}" for index in range(12)], 2)
    features, numbers = rng.normal(size=(24, 3)).astype(np.float32), np.arange(24, dtype=np.float32)
    assert set(build(name, 3).assign(Cases.of(features, numbers, names), rng)) == {0, 1, 2}


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


def test_what_a_hospital_sees_of_a_patient_follows_that_patient_alone(name: str) -> None:
    """Unless the partition says what else it computes: one patient changed, every other bit for bit the same."""
    partition = build(name, 3)
    if partition.pooled_statistics:
        pytest.skip(f"{name} says that it computes {partition.pooled_statistics[0].what}")
    for inputs_shape in ((40, 1, 4, 4), (40, 5)):
        cases = some_cases(20)
        rng = np.random.default_rng(1)
        cases = cases.with_columns(inputs=rng.normal(size=inputs_shape).astype(np.float32))
        altered = cases.inputs.copy()
        altered[cases.patients == "p00003"] = 1000 * altered[cases.patients == "p00003"] + 7
        others = np.flatnonzero(cases.patients != "p00003")
        before, after, without = (
            partition.adapt(held, 1, np.random.default_rng(4)).inputs
            for held in (cases, cases.with_columns(inputs=altered), cases.take(others))
        )
        assert before[others].tobytes() == after[others].tobytes() == without.tobytes()
