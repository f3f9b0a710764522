"""What every partition must do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from client.partition import Partition
from common.data.cases import Cases
from common.errors import StudyError
from wardround.testing.laws import check_options, no_global_draw


class PartitionTests:
    """Inherit, and bind `partition` to one. Its `hospitals` is set to as many as a test needs.

    persons_a_hospital: fewest persons, of two cases each, for each hospital; more for one that needs more to divide.
    """

    partition: Partition
    persons_a_hospital: ClassVar[int] = 2

    @pytest.fixture
    def made(self) -> Any:
        """The partition."""
        return self.partition

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """A study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_every_hospital_gets_a_person_and_no_person_is_parted(self, made: Any) -> None:
        """Of a person in two hospitals, one may train on what the other tests. Mend: divide
        np.unique(cases.patients), and look each case's person up; raise StudyError where there are too few."""
        for hospitals, more, seed in _sizes():
            cases = some_cases(self.persons_a_hospital * hospitals + more)
            assigned = _assigned(made, hospitals, cases, seed)
            found = {int(index) for index in assigned}
            assert found == set(range(hospitals)), f"of {hospitals} hospitals, cases went to {sorted(found)}"
            owners = {(str(person), int(index)) for person, index in zip(cases.patients, assigned, strict=True)}
            assert len(owners) == len(set(cases.patients)), "a person's cases went to several hospitals"

    def test_the_order_of_cases_does_not_matter(self, made: Any) -> None:
        """Files come in any order. Mend: sort persons by name before any draw."""
        cases = some_cases(40)
        order = np.random.default_rng(1).permutation(len(cases))
        straight, shuffled = _assigned(made, 4, cases, 2), _assigned(made, 4, cases.take(order), 2)
        assert np.array_equal(straight[order], shuffled), "cases in another order were divided otherwise"

    def test_it_follows_from_its_generator_alone(self, made: Any) -> None:
        """Hospitals compute it each for itself, and must agree. Mend: take every draw from `rng`."""
        cases = some_cases(40)
        with no_global_draw("assign"):
            first, second = (_assigned(made, 4, cases, 2) for _ in range(2))
        assert np.array_equal(first, second), "the same generator divided otherwise"

    def test_too_few_persons_are_refused_with_their_number(self, made: Any) -> None:
        """An empty hospital would stop the run. Mend: raise StudyError that says how many persons there are."""
        with pytest.raises(StudyError, match="2 patients cannot be"):
            _assigned(made, 3, some_cases(2), 0)

    @pytest.mark.parametrize("sort", ["classes", "outlines", "numbers"])
    def test_cases_of_every_sort_are_divided(self, made: Any, sort: str) -> None:
        """Targets may be outlines or numbers. Mend: where classes are needed and there are none, raise StudyError, or
        make some of the targets."""
        rng = np.random.default_rng(0)
        names = np.repeat([f"p{index}" for index in range(12)], 2)
        sorts: dict[str, tuple[NDArray[Any], tuple[str, ...]]] = {
            "classes": (np.repeat(np.arange(12) % 3, 2), ("a", "b", "c")),
            "outlines": (rng.integers(0, 2, (24, 4, 4)).astype(np.uint8), ("a", "b")),
            "numbers": (np.arange(24, dtype=np.float32), ()),
        }
        targets, classes = sorts[sort]
        inputs = np.zeros((24, 1, 4, 4) if sort == "outlines" else (24, 3), np.float32)
        assigned = _assigned(made, 3, Cases.of(inputs, targets, names, classes), 0)
        assert {int(index) for index in assigned} == {0, 1, 2}, "a hospital got nobody"

    def test_adapting_changes_neither_targets_nor_persons_nor_what_was_given(self, made: Any) -> None:
        """It stands for another scanner, not for another truth. Mend: cases.with_columns(inputs=...)."""
        cases, given = some_cases(20), some_cases(20)
        with no_global_draw("adapt"):
            first, second = (replace(made, hospitals=3).adapt(cases, 1, np.random.default_rng(4)) for _ in range(2))
        assert first.inputs.tobytes() == second.inputs.tobytes(), "the same generator gave other inputs"
        assert cases.inputs.tobytes() == given.inputs.tobytes(), "adapt changed the cases it was given"
        assert np.array_equal(first.targets, cases.targets), "adapt changed the targets"
        assert np.array_equal(first.patients, cases.patients), "adapt changed the persons"

    def test_what_a_hospital_sees_of_a_person_follows_that_person_alone(self, made: Any) -> None:
        """Else one person's data are in another's, and a promise to one is broken. Mend: adapt each case by itself,
        or declare in `pooled_statistics` what is computed from several."""
        if made.pooled_statistics:
            pytest.skip(f"it declares that it computes {made.pooled_statistics[0].what}")
        partition = replace(made, hospitals=3)
        for shape in ((40, 1, 4, 4), (40, 5)):
            inputs = np.random.default_rng(1).normal(size=shape).astype(np.float32)
            cases = some_cases(20).with_columns(inputs=inputs)
            one, others = cases.patients == "p00003", np.flatnonzero(cases.patients != "p00003")
            altered = cases.inputs.copy()
            altered[one] = 1000 * altered[one] + 7
            before, after, without = (
                partition.adapt(held, 1, np.random.default_rng(4)).inputs
                for held in (cases, cases.with_columns(inputs=altered), cases.take(others))
            )
            same = before[others].tobytes() == after[others].tobytes() == without.tobytes()
            assert same, "one person changed what is seen of others"


def some_cases(persons: int, classes: int = 4, each: int = 2) -> Cases:
    """Small images of persons named p00000 and on, `each` of the same class."""
    names = np.repeat([f"p{index:05d}" for index in range(persons)], each)
    targets = np.repeat(np.arange(persons) % classes, each)
    inputs = np.random.default_rng(0).normal(size=(len(names), 1, 4, 4)).astype(np.float32)
    return Cases.of(inputs, targets, names, tuple(map(str, range(classes))))


def _assigned(made: Any, hospitals: int, cases: Cases, seed: int) -> NDArray[np.int64]:
    assigned: NDArray[np.int64] = replace(made, hospitals=hospitals).assign(cases, np.random.default_rng(seed))
    assert assigned.shape == (len(cases),), f"{len(cases)} cases got {assigned.shape} places"
    return assigned


def _sizes() -> list[tuple[int, int, int]]:
    """Hospitals, persons beyond the fewest, seed."""
    rng = np.random.default_rng(0)
    drawn = [(int(rng.integers(1, 7)), int(rng.integers(31)), int(rng.integers(2**32))) for _ in range(20)]
    return [(1, 0, 0), (6, 0, 1), (6, 30, 2), (2, 1, 3), *drawn]
