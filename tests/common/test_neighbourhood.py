"""How many neighbours a sparse graph of pairs takes: its chances against scipy's, exact ones, and every graph."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb, log2

import numpy as np
import pytest
from scipy.stats import chi2, hypergeom

from common.errors import StudyError
from common.sums.abilities import readers_of
from common.sums.aggregations._chosen import chosen
from common.sums.aggregations._neighbourhood import (
    Demand,
    Neighbourhood,
    failure_bits,
    least_neighbourhood,
    most_lost,
    secrecy_bits,
)
from common.sums.aggregations.secagg import SecureAggregation


def at_least(least: int, others: int, marked: int, drawn: int) -> Fraction:
    """Counted: of all sets of `drawn` among `others`, those with `least` or more of the marked."""
    ways = sum(comb(marked, hit) * comb(others - marked, drawn - hit) for hit in range(least, drawn + 1))
    return Fraction(ways, comb(others, drawn))


@pytest.mark.parametrize(
    ("hospitals", "colluding", "graph"), [(20, 2, (9, 7)), (57, 6, (20, 13)), (120, 12, (33, 21))]
)
def test_bits_are_those_of_the_theorem_in_exact_fractions(
    hospitals: int, colluding: int, graph: tuple[int, int]
) -> None:
    demand, found, honest = (
        Demand(hospitals, colluding, hospitals // 10),
        Neighbourhood(*graph),
        hospitals - colluding,
    )
    inside = {
        size: at_least(graph[1], hospitals - 1, colluding + size - 1, graph[0]) for size in range(1, honest // 2 + 1)
    }
    bound = sum(comb(honest, size) * chance**size for size, chance in inside.items())
    for size in inside:
        none = at_least(graph[0], hospitals - 1, hospitals - 1 - size, graph[0])
        bound += comb(honest, size) * none ** (honest - size)
    assert secrecy_bits(demand, found) == pytest.approx(-log2(bound), abs=1e-6)
    lost = hospitals * at_least(found.may_be_lost + 1, hospitals - 1, demand.lost, graph[0])
    assert failure_bits(demand, found) == (pytest.approx(-log2(lost), abs=1e-6) if lost else np.inf)


@pytest.mark.parametrize("hospitals", [101, 1000, 10_000])
def test_the_least_keeps_both_promises_and_one_less_does_not(hospitals: int) -> None:
    demand = Demand.of(hospitals, 0, 0.1, 40, 30)
    found = least_neighbourhood(demand)
    assert found is not None
    assert secrecy_bits(demand, found) >= 40
    lost = hypergeom.logsf(found.may_be_lost, hospitals - 1, demand.lost, found.chosen) / np.log(2)
    assert lost + log2(hospitals) <= -30
    fewer = Neighbourhood(found.chosen - 1, found.chosen - 1 - most_lost(demand, found.chosen - 1))
    assert secrecy_bits(demand, fewer) < 40


def test_parts_that_a_coordinator_could_split_off_are_no_more_likely_than_the_theorem_says() -> None:
    """Every part of every one of 800 graphs of nine hospitals, of which the last colludes and may choose anybody."""
    hospitals, colluding, graph, draws = 9, 1, Neighbourhood(6, 4), 800
    honest, rng, split = hospitals - colluding, np.random.default_rng(0), 0
    parts = [set(part) for size in range(1, honest // 2 + 1) for part in combinations(range(honest), size)]
    for _ in range(draws):
        picks = [set(chosen(rng.bytes(32), own, hospitals, graph.chosen)) for own in range(honest)]
        # The others of each are called lost, whoever they are: the worst that a coordinator can do.
        split += any(all(len(picks[own] & (part | {8})) >= graph.needed for own in part) for part in parts)
    bound = 2 ** -secrecy_bits(Demand(hospitals, colluding, 1), graph)
    assert 0 < split / draws <= bound < 0.2


def test_all_sets_of_others_are_chosen_alike_and_never_the_chooser() -> None:
    rng, counts = np.random.default_rng(1), dict.fromkeys(combinations((0, 1, 3, 4, 5), 3), 0)
    for _ in range(5000):
        counts[chosen(rng.bytes(32), 2, 6, 3)] += 1  # type: ignore[index]
    statistic = sum((count - 500) ** 2 / 500 for count in counts.values())
    assert statistic < chi2.isf(1e-6, 9)
    assert chosen(bytes(32), 3, 7, 6) == (0, 1, 2, 4, 5, 6)


def test_few_hospitals_share_with_all_and_many_with_some() -> None:
    auto = SecureAggregation()
    assert auto.graph_in(100) is None
    assert auto.graph_in(1000) == Neighbourhood(70, 42)
    assert (auto.threshold_in(1000), auto.shares_in(1000)) == (667, 42)
    assert SecureAggregation(neighbours="all").graph_in(1000) is None
    # With 54 choices of its own and 54 others' a hospital would have nearly all for neighbours.
    assert SecureAggregation(colluding=45).graph_in(101) is None
    assert SecureAggregation(neighbours=90).graph_in(1000) is not None


def test_who_can_read_whom_is_said_with_what_the_graph_promises() -> None:
    said = readers_of(SecureAggregation(), 1000)
    assert "its secrets with 70 of 999 others" in said and "42 of its own choice open its masks" in said
    # 71.8 bits and, of witnesses, 50.5; and 31.5 that nobody fails, as the theorems give them.
    assert "Up to 100 hospitals that collude" in said and "at most one in 10^15 a round" in said
    assert "up to 100 are lost, one fails with a chance of one in 10^9 at most" in said
    assert readers_of(SecureAggregation(), 100) == SecureAggregation.readers


def test_what_a_byte_less_would_cost_is_said() -> None:
    """Three bytes hold ten hospitals' sum of 20 bits, whose step is 2 / (2^20 - 1)."""
    assert SecureAggregation().precision_in(10) == (
        "A value travels in 4 bytes, 24 bits of which are its own: in a range of 1 to both sides rounding moves it "
        "by less than 1.2e-07. aggregation.value_bits = 20 takes 3 bytes, and moves it by less than 1.9e-06."
    )
    assert "takes" not in SecureAggregation(value_bits=12).precision_in(10)


def test_bits_of_a_value_follow_the_number_of_hospitals_unless_a_study_sets_them() -> None:
    """32 bits hold the sum; one of 22 bits is 2 / (2^22 - 1) of a range to both sides."""
    auto = SecureAggregation()
    assert [auto.bits_in(count) for count in (3, 256, 257, 1000, 1024, 10_000, 65_536)] == [
        24,
        24,
        23,
        22,
        22,
        18,
        16,
    ]
    auto.check(10_000)
    assert "22 bits of which are its own" in auto.precision_in(1000) and "4.8e-07" in auto.precision_in(1000)
    assert auto.codec_in(1000).levels == (1 << 22) - 1 and auto.codec_in(2).levels == (1 << 24) - 1
    with pytest.raises(StudyError, match="value_bits must be at most 22"):
        SecureAggregation(value_bits=24).check(1000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neighbours": 40}, "secrecy_bits demands 2\\^-40: it must be 70 or more"),
        ({"neighbours": 1000}, "between 2 and 999"),
        ({"neighbours": 1}, "between 2 and 999"),
        ({"lost_share": 0.4}, "lost_share lets 400 of 1000 hospitals be lost, and 667 must be there"),
    ],
)
def test_settings_that_keep_no_promise_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        SecureAggregation(**options).check(1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"lost_share": 0.5}, {"lost_share": -0.1}, {"secrecy_bits": 19}, {"success_bits": 129}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=f"aggregation.{next(iter(options))} must be"):
        SecureAggregation(**options)  # type: ignore[arg-type]
