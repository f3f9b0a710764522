from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from client.splitting import split
from common.data.cases import Cases
from common.study.split_settings import Split


def cases_of(patients: list[str], given_split: list[str] | None = None) -> Cases:
    count = len(patients)
    named = None if given_split is None else np.array(given_split)
    return Cases.of(
        np.arange(count, dtype=np.float32)[:, None], np.zeros(count, int), patients, ("a", "b"), given_split=named
    )


patients = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=60)


@given(patients, st.integers(0, 99), st.floats(0, 0.4), st.floats(0, 0.4))
def test_every_case_is_in_one_part_and_no_patient_in_two(
    names: list[str], seed: int, validation: float, test: float
) -> None:
    parts = split(cases_of(names), Split(validation, test), seed)
    held = [set(part.patients) for part in parts.values()]
    assert sum(map(len, held)) == len(set(names))
    assert sum(map(len, parts.values())) == len(names)
    assert len(parts["train"]) > 0


@given(patients, st.randoms(use_true_random=False))
def test_the_order_of_cases_changes_nothing(names: list[str], random: object) -> None:
    shuffled = names.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    straight, mixed = (split(cases_of(order), Split(0.2, 0.3), 5) for order in (names, shuffled))
    assert {part: set(cases.patients) for part, cases in straight.items()} == {
        part: set(cases.patients) for part, cases in mixed.items()
    }


def test_shares_are_of_patients_and_rounded() -> None:
    parts = split(cases_of([f"p{index}" for index in range(20)]), Split(0.1, 0.25), 0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 13, "validation": 2, "test": 5}


def test_another_seed_splits_otherwise() -> None:
    names = [f"p{index}" for index in range(40)]
    first, second = (set(split(cases_of(names), Split(), seed)["test"].patients) for seed in (1, 2))
    assert first != second


def test_a_prescribed_test_set_is_kept_and_validation_cut_from_training() -> None:
    names = [f"p{index}" for index in range(20)]
    parts = split(cases_of(names, ["train"] * 15 + ["test"] * 5), Split(0.2, 0.5), 0)
    assert set(parts["test"].patients) == set(names[15:])
    assert (len(parts["train"]), len(parts["validation"])) == (12, 3)


def test_a_patient_prescribed_to_two_parts_is_only_tested() -> None:
    parts = split(cases_of(["a", "a", "b"], ["train", "test", "train"]), Split(0, 0), 0)
    assert (list(parts["test"].patients), list(parts["train"].patients)) == (["a", "a"], ["b"])


INDEPENDENT = Split(0.2, 0.3, "independent")


def places(names: list[str], shares: Split, given_split: list[str] | None = None) -> dict[str, str]:
    parts = split(cases_of(names, given_split), shares, 7)
    return {patient: part for part, own in parts.items() for patient in own.patients.tolist()}


@given(patients, st.data())
def test_with_independent_places_nobody_moves_when_one_goes(names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    left = [name for name in names if name != gone]
    before, after = places(names, INDEPENDENT), places(left, INDEPENDENT) if left else {}
    assert after == {name: place for name, place in before.items() if name != gone}


def test_a_cut_ranking_moves_others_when_one_goes() -> None:
    names = [f"p{index}" for index in range(20)]
    shares, moved = Split(0.2, 0.3, "exact"), 0
    for gone in names:
        after = places([name for name in names if name != gone], shares)
        moved = max(moved, sum(place != places(names, shares)[name] for name, place in after.items()))
    assert moved >= 1


def test_independent_places_follow_the_shares_on_average() -> None:
    held = list(places([f"p{index}" for index in range(20_000)], INDEPENDENT).values())
    shares = [held.count(name) / len(held) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.015)


def test_the_number_of_a_patient_is_the_first_bytes_of_its_digest() -> None:
    """By hand: SHA-256 of "7, unit separator, p0" and "... p1"; numbers below .3 test, below .5 validate."""
    for name in ("p0", "p1", "p2", "p3", "p4", "p5"):
        number = int(sha256(f"7\x1f{name}".encode()).hexdigest()[:16], 16) / 16**16
        expected = "test" if number < 0.3 else "validation" if number < 0.5 else "train"
        assert places([name], INDEPENDENT) == {name: expected}


def test_one_hospital_without_a_prescribed_test_patient_still_has_none_cut() -> None:
    names = [f"p{index}" for index in range(40)]
    own = replace(cases_of(names, ["train"] * 40), prescribed=("test",))
    for assignment in ("independent", "exact"):
        parts = split(own, Split(0.2, 0.3, assignment), 0)
        assert len(parts["test"]) == 0
        assert 0 < len(parts["validation"]) < 20


def test_a_hospital_of_one_patient_may_have_nobody_to_train() -> None:
    sizes = {
        part for seed in range(40) for part, own in split(cases_of(["a"]), INDEPENDENT, seed).items() if len(own)
    }
    assert sizes == {"train", "validation", "test"}
