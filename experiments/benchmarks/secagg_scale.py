"""Sums under masks of 100, 1,000 and 10,000 hospitals: what one of them spends, in all pairs and in a sparse graph.

Whole rounds of 100 and of 1,000 hospitals are played as well, each sum compared with the clear one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean
from typing import cast

from rich.console import Console
from rich.progress import Progress

from common.errors import EngineError
from common.seeding import generator
from common.sums.aggregations._neighbourhood import Demand, failure_bits, least_neighbourhood, secrecy_bits
from common.sums.aggregations.secagg import SecureAggregation
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._one_among import Crowd, Seen, Watched
from experiments.benchmarks._sums import work, worked

HOSPITALS = (100, 1000, 10_000)
MOST_OF_ALL_PAIRS, MOST_WHOLE = 1000, 1000
VALUES, FEW_VALUES = 1_000_000, 1000
WATCHED = 3
BITS = 16
LOST_OF, LARGEST_RATIO = 50, 10


def measure(console: Console) -> Measured:
    """Of each number and graph three hospitals among so many, and whole rounds of up to 1,000."""
    ways = [(count, name) for count in HOSPITALS for name in ("all", "chosen") if _is_measured(count, name)]
    rows: list[Mapping[str, Cell]] = []
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("hospitals", total=len(ways))
        for count, name in ways:
            rows.append(_row(count, name))
            progress.advance(bar)
    return Measured("Masks of many hospitals", rows, _targets(rows), NOTES)


NOTES = (
    f"One of so many, mean of {WATCHED}; the others do what it needs of them (nobody lost, {VALUES:,} values of "
    f"{BITS} bits). chosen: how many others a hospital chooses; open: how many shares open its mask (of all pairs "
    "two thirds). partners: with how many it has a mask in common; log n: that by the natural logarithm of n.",
    "legs: CPU of keys, shares, survivors and opening; masks: of rounding and masking the values; of one hospital. "
    "to it, from it: bytes of all legs beside the values themselves; linear: of those to it, what grows with n: a "
    "bit for each hospital, and where no witnesses are drawn all signatures of survivors; of all pairs, names too; "
    "theory: of those to it, worked out from n and what is chosen. witnesses: how many a hospital reads of, twice.",
    "secrecy, success: bits that the graph has, 40 and 30 being demanded, with a tenth of all colluding with a "
    "server that cheats, and a tenth lost; where nobody can fail, 128.",
    f"whole round: CPU s of all hospitals and of the server in a round of {FEW_VALUES:,} values, one in {LOST_OF} "
    "lost after masking, the sum compared with that of the clear values.",
)


def _is_measured(count: int, name: str) -> bool:
    return name == "chosen" or count <= MOST_OF_ALL_PAIRS


def _aggregation(count: int, name: str) -> SecureAggregation:
    if name == "all":
        return SecureAggregation(value_bits=BITS, neighbours="all")
    found = least_neighbourhood(Demand.of(count, 0, 0.1, 40, 30))
    assert found is not None
    return SecureAggregation(value_bits=BITS, neighbours=found.chosen)


def _row(count: int, name: str) -> dict[str, Cell]:
    aggregation = _aggregation(count, name)
    crowd = Crowd(aggregation, count, VALUES)
    places = generator(1, "watched").choice(count, WATCHED, replace=False)
    seen = [Watched(crowd, crowd.sites[place]).play() for place in places]
    graph, demand = aggregation.graph_in(count), Demand.of(count, 0, 0.1, 40, 30)
    values = aggregation.codec_in(2).length(crowd.agreement) * _width(count)
    partners = fmean(one.partners for one in seen)
    hospitals_s, server_s = _whole_round(count, aggregation) if _is_whole(count, name) else (None, None)
    return {
        "hospitals": count,
        "pairs": name,
        "chosen": None if graph is None else graph.chosen,
        "open": aggregation.shares_in(count),
        "witnesses": None if (few := aggregation.witnesses_in(count)) is None else few.chosen,
        "partners": partners,
        "log n": partners / log(count),
        "legs ms": 1e3 * fmean(_beside(one) for one in seen),
        "masks ms": 1e3 * fmean(one.seconds["round"] for one in seen),
        "kB to it": fmean(sum(one.came.values()) for one in seen) / 1e3,
        "kB from it": (fmean(sum(one.went.values()) for one in seen) - values) / 1e3,
        "kB theory": _theory(aggregation, count),
        "kB linear": fmean(_linear(one, aggregation, count) for one in seen) / 1e3,
        "secrecy": None if graph is None else secrecy_bits(demand, graph),
        "success": None if graph is None else min(failure_bits(demand, graph), 128),
        "whole s": hospitals_s,
        "server s": server_s,
    }


def _is_whole(count: int, name: str) -> bool:
    return count <= (MOST_WHOLE if name == "chosen" else HOSPITALS[0])


def _width(count: int) -> int:
    return -(-(BITS + (count - 1).bit_length()) // 8)


def _beside(one: Seen) -> float:
    return sum(seconds for leg, seconds in one.seconds.items() if leg != "round")


def _theory(aggregation: SecureAggregation, count: int) -> float | None:
    told = aggregation.bytes_beside(count, whole_groups=True)
    return None if told is None else told[0] / 1e3


def _linear(one: Seen, aggregation: SecureAggregation, count: int) -> float:
    """Of what came: a bit a hospital, in base64, twice or three times; and signatures, where all of them are read."""
    if aggregation.graph_in(count) is None:
        return 64 * count + 2 * one.came["keys"]
    return (2 * count if aggregation.witnesses_in(count) else (3 + 6 * 64) * count) / 6


def _whole_round(count: int, aggregation: SecureAggregation) -> tuple[float, float]:
    """CPU s of all hospitals, and of the server. Raises EngineError where the sum is another than the clear one."""
    given = work(count, FEW_VALUES)
    lost = given.sites[::LOST_OF]
    done = worked(aggregation, given, lost)
    if done.error > aggregation.codec_in(2).step * LARGEST_RATIO:
        raise EngineError(f"a whole round of {count} opened another sum than the clear one.")
    return (count - len(lost)) * done.client_ms / 1e3, done.server_s


def _targets(rows: Sequence[Mapping[str, Cell]]) -> list[Target]:
    some, many = (_found(rows, count, "chosen")["partners"] for count in HOSPITALS[-2:])
    bound = log(HOSPITALS[-1]) / log(HOSPITALS[-2])
    all_pairs, chosen = (_found(rows, MOST_OF_ALL_PAIRS, name)["legs ms"] for name in ("all", "chosen"))
    return [
        Target(
            "masks in common, 10,000 to 1,000 hospitals",
            many / some,
            HOSPITALS[-1] / HOSPITALS[-2],
            bound,
            "no more than ln n",
            many / some <= bound,
        ),
        Target(
            "CPU of the legs, 1,000 hospitals, times less",
            all_pairs / chosen,
            1.0,
            None,
            "less than all pairs",
            chosen < all_pairs,
        ),
    ]


def _found(rows: Sequence[Mapping[str, Cell]], count: int, name: str) -> Mapping[str, float]:
    (found,) = [row for row in rows if (row["hospitals"], row["pairs"]) == (count, name)]
    return cast(Mapping[str, float], found)


benchmark: Benchmark = measure
