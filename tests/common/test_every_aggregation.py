"""What every aggregation must do: a true sum within its stated error, of whoever took part, and nothing beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import StudyError
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregation import Aggregation
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.sums.update import Update
from experiments.in_memory import InMemoryExchange, collect, expected_of, random_updates

LENGTH = 500
FLOAT32 = 1e-5


@pytest.fixture(params=AGGREGATIONS.names())
def aggregation(request: pytest.FixtureRequest) -> Any:
    return AGGREGATIONS.build(Entry(str(request.param)))


def stated_error(aggregation: Any, updates: dict[str, Update], count: int) -> float:
    """Of the sum in any coordinate, as the aggregation itself says; float32's own where it says nothing."""
    stating = aggregation if hasattr(aggregation, "largest_error") else getattr(aggregation, "codec", None)
    if stating is None:
        return FLOAT32
    agreement = Agreement.of(frozenset(updates), expected_of(updates))
    return float(stating.largest_error(count, agreement)) + FLOAT32


@pytest.mark.parametrize("hospitals", [3, 6])
@pytest.mark.parametrize("vectors", [1, 2])
def test_the_sum_is_the_true_one_within_the_stated_error(
    aggregation: Aggregation, hospitals: int, vectors: int
) -> None:
    updates = random_updates(hospitals, LENGTH, np.random.default_rng(hospitals), vectors=vectors)
    collected = collect(InMemoryExchange(aggregation, updates))
    assert collected.sites == tuple(sorted(updates)) and collected.total is not None
    bound = stated_error(aggregation, updates, hospitals)
    for index, vector in enumerate(collected.total.vectors):
        truth = sum(update.vectors[index].astype(np.float64) for update in updates.values())
        assert np.abs(vector - truth).max() <= bound
    assert collected.total.weight == sum(update.weight for update in updates.values())


def test_statistics_add_up_exactly(aggregation: Aggregation) -> None:
    updates = {
        site: Update(update.vectors, update.weight, {"loss": Mean.of([0.25 * index, 1.0])})
        for index, (site, update) in enumerate(random_updates(4, 20, np.random.default_rng(0)).items())
    }
    total = collect(InMemoryExchange(aggregation, updates)).total
    assert total is not None and total.statistics["loss"].weight == 8
    assert total.statistics["loss"].value == pytest.approx((0.25 * 6 + 4) / 8, abs=1e-9)


def test_an_update_of_another_length_or_that_is_not_finite_is_not_in_the_sum(aggregation: Aggregation) -> None:
    updates = random_updates(5, 20, np.random.default_rng(1))
    exchange = InMemoryExchange(aggregation, updates)
    wrong = {"hospital-01": np.full(20, np.nan, np.float32), "hospital-03": np.ones(7, np.float32)}
    honest = {site: update for site, update in updates.items() if site not in wrong}
    exchange.updates = updates | {site: Update((vector,), 1.0) for site, vector in wrong.items()}
    expected = expected_of(updates)
    requests = {site: request_of() for site in updates}
    collected = aggregation.collect(exchange, requests, frozenset(requests), expected)
    assert not set(wrong) & set(collected.sites)
    if collected.total is not None:
        truth = sum(update.vectors[0].astype(np.float64) for update in honest.values())
        assert np.abs(collected.total.vectors[0] - truth).max() <= stated_error(aggregation, updates, 5)


def test_one_that_reveals_sums_shows_no_single_update(aggregation: Aggregation) -> None:
    updates = random_updates(4, LENGTH, np.random.default_rng(2))
    exchange = InMemoryExchange(aggregation, updates)
    collected = collect(exchange)
    if aggregation.reveals == "each":
        assert collected.each is not None and set(collected.each) == set(updates)
        return
    assert collected.each is None
    replies = [crossed.reply for crossed in exchange.crossed if crossed.reply is not None]
    assert all(reply.array is None and not reply.numbers for reply in replies)


def test_one_that_reveals_sums_says_who_can_read_whom_and_refuses_a_sum_of_two(aggregation: Aggregation) -> None:
    if aggregation.reveals == "each":
        return
    assert len(getattr(aggregation, "readers", "")) > 20
    with pytest.raises(StudyError, match="3 hospitals"):
        aggregation.check(2)


def request_of() -> Payload:
    return Payload(words={"study": "{}"})


@pytest.mark.parametrize("name", [name for name in AGGREGATIONS.names() if AGGREGATIONS.load(name).reveals == "sum"])
def test_hospitals_open_no_sum_of_fewer_than_the_promised_noise_counts_on(name: str) -> None:
    """A coordinator that asks for less (needed = 1) and names fewer gets nothing."""
    aggregation = AGGREGATIONS.build(Entry(name))
    updates = random_updates(4, 20, np.random.default_rng(2))
    assert collect(InMemoryExchange(aggregation, updates, fewest=4)).total is not None
    few = InMemoryExchange(aggregation, updates, fewest=5)
    assert collect(few).total is None
    assert any("this round needs 5" in reason for _, _, reason in few.refused)


def test_masked_sums_are_not_opened_where_too_few_of_the_promised_are_left() -> None:
    aggregation = SecureAggregation()
    updates = random_updates(6, 20, np.random.default_rng(3))
    lost = {"round": ["hospital-02"]}
    assert collect(InMemoryExchange(aggregation, updates, lost=lost, fewest=5)).total is not None
    few = InMemoryExchange(aggregation, updates, lost=lost, fewest=6)
    assert collect(few).total is None
    assert {leg for _, leg, reason in few.refused if "this round needs 6" in reason} == {"survivors"}
