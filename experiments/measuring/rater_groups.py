"""What agreement comes to over cases: of each pair of readings, and of all pairs within and between observers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.metrics.summary import Summary, summary
from common.seeding import generator
from experiments.measuring.readings import BETWEEN, WITH_CONSENSUS, Agreement

SEED = 0
EVERY = "all pairs"


@dataclass(frozen=True)
class Group:
    """One figure of one label, of one pair of readings or of all pairs of a kind, over cases."""

    kind: str
    first: str
    second: str
    label: int
    metric: str
    summary: Summary


def groups(found: Sequence[Agreement]) -> list[Group]:
    """Of each pair, then of all pairs of a kind; intervals by case, for pairs of one case are not independent."""
    held: dict[tuple[str, str, str, int], list[Agreement]] = {}
    for one in found:
        held.setdefault((one.kind, one.first, one.second, one.row.label), []).append(one)
    for one in found:
        if one.kind != "consensus":
            held.setdefault((one.kind, EVERY, "", one.row.label), []).append(one)
    return [
        Group(
            *key,
            metric,
            summary(
                [one.row.figures[metric] for one in own],
                generator(SEED, "raters", *key, metric),
                [one.row.case for one in own],
            ),
        )
        for key, own in held.items()
        for metric in (WITH_CONSENSUS if key[0] == "consensus" else BETWEEN)
    ]
