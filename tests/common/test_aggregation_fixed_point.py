from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StudyError, WireError
from common.sums.aggregations._agreement import Agreement, hospitals_of, read_agreement, with_agreement
from common.sums.aggregations._fixed_point import CLIPPED, FixedPoint
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.sums.update import Update


def agreement(length: int = 3, vectors: int = 1, scale: float = 10.0) -> Agreement:
    return Agreement(("a", "b"), length, vectors, ("training/loss", "validation/dice"), scale)


def test_one_update_by_hand() -> None:
    """8 bits over [-1, 1]: a step is 2/255; -1, 0.2 and 1 are levels 0, 153 and 255 without rounding."""
    update = Update((np.float32([-10.0, 2.0, 10.0]),), 10.0)
    words = FixedPoint(8, 1.0).encode(update, agreement(), np.random.default_rng(0))
    assert words[0] == 0
    assert words[1] in (152, 153, 154)
    assert words[2] == 255
    assert words.size == 3 + 8 * 8
    weight = sum(int(limb) << (8 * k) for k, limb in enumerate(words[3 + 8 : 3 + 16]))
    assert weight == 10 << 40


@given(
    st.integers(4, 28),
    st.integers(0, 3),
    st.lists(st.tuples(st.floats(-0.99, 0.99), st.integers(1, 10), st.floats(-5, 5)), min_size=1, max_size=6),
)
def test_the_sum_of_words_is_the_sum_of_updates(
    bits: int, margin: int, parts: list[tuple[float, int, float]]
) -> None:
    codec, agreed = FixedPoint(bits, 1.0, margin), agreement()
    rng = np.random.default_rng(3)
    updates = [
        Update((np.full(3, u * n, np.float32),), float(n), {"training/loss": Mean.of([loss])}) for u, n, loss in parts
    ]
    totals = sum(codec.encode(update, agreed, rng).astype(np.uint64) for update in updates)
    found = codec.decode(np.asarray(totals), len(updates), agreed)
    exact = sum(update.vectors[0].astype(np.float64) for update in updates)
    assert np.abs(found.vectors[0] - exact).max() <= codec.largest_error(len(updates), agreed)
    assert found.weight == sum(n for _, n, _ in parts)
    assert found.statistics["training/loss"] == sum((u.statistics["training/loss"] for u in updates), Mean())
    assert found.statistics["validation/dice"] == Mean()
    assert found.statistics[CLIPPED].value == 0


def test_rounding_has_no_bias() -> None:
    """The mean of n roundings of one value lies within 5 sigma / sqrt(n); sigma is at most half a step."""
    codec, agreed = FixedPoint(4, 1.0), agreement(length=40_000, scale=1.0)
    words = codec.encode(Update((np.full(40_000, 0.123, np.float32),), 1.0), agreed, np.random.default_rng(1))
    found = codec.decode(words.astype(np.uint64), 1, agreed)
    assert abs(found.vectors[0].mean() - 0.123) < 5 * codec.step / 2 / 200


def test_what_is_clipped_is_counted() -> None:
    update = Update((np.float32([30.0, 2.0, -10.0]),), 10.0)
    codec = FixedPoint(20, 1.0)
    found = codec.decode(
        codec.encode(update, agreement(), np.random.default_rng(0)).astype(np.uint64), 1, agreement()
    )
    assert found.statistics[CLIPPED].value == pytest.approx(1 / 3)
    np.testing.assert_allclose(found.vectors[0], [10.0, 2.0, -10.0], atol=1e-4)


def test_an_evaluation_alone_has_no_values() -> None:
    agreed = Agreement(("a",), 0, 0, ("test/dice",), 1.0)
    codec = FixedPoint(16, 1.0)
    words = codec.encode(Update((), 0.0, {"test/dice": Mean.of([0.25])}), agreed, np.random.default_rng(0))
    found = codec.decode(words.astype(np.uint64), 1, agreed)
    assert found.statistics == {"test/dice": Mean.of([0.25])}
    assert found.vectors == ()


def test_an_update_that_does_not_fit_is_refused() -> None:
    codec, rng = FixedPoint(16, 1.0), np.random.default_rng(0)
    with pytest.raises(WireError, match="another model"):
        codec.encode(Update((np.zeros(4, np.float32),), 1.0), agreement(), rng)
    with pytest.raises(WireError, match="not finite"):
        codec.encode(Update((np.float32([0, np.nan, 0]),), 1.0), agreement(), rng)
    with pytest.raises(WireError, match="no place"):
        codec.encode(Update((np.zeros(3, np.float32),), 1.0, {"training/mood": Mean()}), agreement(), rng)
    with pytest.raises(StudyError):
        FixedPoint(4, 1.0, margin=8)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e-300, 1e300])
def test_a_range_that_no_update_has_is_refused_by_its_name_before_anything_is_sent(value: float) -> None:
    with pytest.raises(StudyError, match=r"aggregation\.largest_value must be above 0, between 1e-30 and 1e\+30"):
        FixedPoint(24, value)


def test_an_agreement_survives_the_wire_and_a_wrong_one_is_refused() -> None:
    sent = with_agreement(Payload(numbers={"round": 3}), agreement())
    assert read_agreement(sent) == agreement()
    for numbers in ({"sum/length": -1}, {"sum/scale": float("inf")}, {"sum/vectors": True}):
        with pytest.raises(WireError):
            read_agreement(Payload(numbers={**sent.numbers, **numbers}, words=sent.words))
    for words in ({"sum/sites": ["b", "a"]}, {"sum/sites": []}, {"sum/names": "dice"}):
        with pytest.raises(WireError):
            read_agreement(Payload(numbers=sent.numbers, words={**sent.words, **words}))


def test_hospitals_that_are_not_named_are_those_that_the_study_draws_or_refused() -> None:
    """A request of ten thousand tells a digest in place of their names."""
    sent = with_agreement(Payload(), agreement(), names=False)
    assert not set(agreement().sites) & {str(word) for word in sent.words.values()}
    assert read_agreement(sent, agreement().sites) == agreement()
    assert read_agreement(sent).sites == () and hospitals_of(sent) == len(agreement().sites)
    assert read_agreement(sent).expected.largest_weight
    for known in (("other", *agreement().sites), agreement().sites[:-1]):
        with pytest.raises(WireError, match="others were named"):
            read_agreement(sent, known)
    for count in (0, 1 << 17, True):
        with pytest.raises(WireError):
            read_agreement(replace(sent, numbers={**sent.numbers, "sum/hospitals": count}), agreement().sites)
