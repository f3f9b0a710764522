import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.data.cases import Batch, Cases, Quarantined, concatenate, join
from common.data.columns import Ragged, Stacked, column_of, joined
from common.errors import SourceError


def values(count: int, *item: int) -> np.ndarray:
    return np.arange(count * int(np.prod(item)), dtype=np.float32).reshape(count, *item)


def survival(count: int = 6) -> Cases:
    return Cases.of(
        values(count, 3),
        np.arange(count, dtype=np.float32),
        [f"p{index // 2}" for index in range(count)],
        time=np.linspace(1, 2, count),
        event=np.arange(count) % 2 == 0,
        site=np.array(["Köln"] * count),
        views=[values(1, 2 + index % 2)[0] for index in range(count)],
    )


@given(st.lists(st.integers(0, 5), max_size=9), st.data())
def test_indices_compose_and_a_batch_holds_what_indexing_twice_would(first: list[int], data: st.DataObject) -> None:
    cases = survival()
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=6)) if first else []
    rows = np.array(first, dtype=np.int64)[np.array(second, dtype=np.int64)]
    batch = cases.take(np.array(first, dtype=np.int64)).batch(np.array(second, dtype=np.int64))
    np.testing.assert_array_equal(batch.inputs.numpy(), values(6, 3)[rows])
    assert batch.patients == tuple(f"p{row // 2}" for row in rows)
    assert batch.tensor("event").tolist() == [int(row % 2 == 0) for row in rows]
    assert [len(view) for view in batch.each("views")] == [2 + row % 2 for row in rows]


def test_each_kind_of_column_becomes_its_kind_of_tensor() -> None:
    batch = survival().batch()
    assert batch.inputs.dtype == torch.float32
    assert batch.targets.dtype == torch.float32
    assert batch.tensor("time").dtype == torch.float64
    assert batch.tensor("event").dtype == torch.int64
    assert batch.columns["site"] == ("Köln",) * 6


def test_what_is_done_to_a_batch_reaches_no_case() -> None:
    cases = survival()
    for indices in (slice(None), np.arange(6), slice(1, 3)):
        batch = cases.batch(indices)
        batch.inputs.zero_()
        for view in batch.each("views"):
            view.zero_()
    np.testing.assert_array_equal(cases.inputs, values(6, 3))
    assert cases.columns["views"].gather()[0].tolist() == [0, 1]


def test_taking_cases_copies_no_pixel() -> None:
    cases = survival()
    taken = cases.take(np.array([4, 0])).take(np.array([1]))
    column = taken.columns["inputs"]
    assert isinstance(column, Stacked) and np.shares_memory(column.values, cases.inputs)
    own = taken.copied().columns["inputs"]
    assert isinstance(own, Stacked) and len(own.values) == 1


def test_shapes_that_differ_from_case_to_case_are_zeros_of_the_shape() -> None:
    volumes = [np.zeros((1, 4, size, 3), np.float32) for size in (5, 7)]
    cases = Cases.of(volumes, np.zeros(2, int), ["a", "b"], ("x", "y"))
    assert cases.shape.inputs == (1, 4, 0, 3)
    with pytest.raises(SourceError, match=r"task\.patch"):
        _ = cases.batch().inputs
    assert cases.take(np.array([1, 1])).shape.inputs == (1, 4, 7, 3)


def test_cases_of_unlike_size_are_joined_case_by_case() -> None:
    parts = [Cases.of(values(2, 1, size), np.zeros(2, int), ["a", "b"], ("x", "y")) for size in (3, 4)]
    both = concatenate([parts[0], Quarantined("c", "is empty"), parts[1]])
    assert len(both) == 4 and both.shape.inputs == (1, 0)
    assert both.quarantined == (Quarantined("c", "is empty"),)


@pytest.mark.parametrize("other", [values(1, 2, 3), values(1, 1), values(1, 1, 3, 3)])
def test_cases_with_other_channels_or_axes_do_not_fit_together(other: np.ndarray) -> None:
    first = Cases.of(values(1, 1, 3), np.zeros(1, int), ["a"], ("x", "y"))
    with pytest.raises(SourceError, match="do not fit together"):
        concatenate([first, Cases.of(other, np.zeros(1, int), ["b"], ("x", "y"))])


def test_columns_of_unlike_length_are_named_with_their_lengths() -> None:
    with pytest.raises(SourceError, match="inputs 2, targets 3, patients 2"):
        Cases.of(values(2, 1), np.zeros(3, int), ["a", "b"])


def test_one_spacing_is_that_of_all_cases_and_two_are_each_ones_own() -> None:
    cases = Cases.of(values(2, 1), np.zeros(2, int), ["a", "b"], spacing_mm=(1.0, 2.0))
    assert cases.spacing_mm == (1.0, 2.0) and cases.batch().spacings_mm == ((1.0, 2.0),) * 2
    other = cases.with_columns(spacing_mm=np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert other.spacing_mm == () and other.take(np.array([1])).spacing_mm == (3.0, 4.0)


def test_batches_are_joined_with_the_columns_that_all_have() -> None:
    one = Batch.of(torch.zeros(1, 2), torch.zeros(1), ("a",), extra=torch.ones(1))
    both = join([one, one.with_columns(extra=None)])
    assert set(both.columns) == {"inputs", "targets", "patients"} and both.patients == ("a", "a")
    assert torch.equal(join([one, one]).tensor("extra"), torch.ones(2))


def test_a_column_of_arrays_of_one_shape_is_stacked() -> None:
    assert isinstance(column_of([np.zeros(2), np.ones(2)]), Stacked)
    assert isinstance(column_of([np.zeros(2), np.ones(3)]), Ragged)
    assert isinstance(joined([column_of(np.zeros((1, 2))), column_of(np.zeros((1, 3)))]), Ragged)
