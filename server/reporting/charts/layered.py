"""Places for the nodes of a graph, in layers from causes to effects, with few crossings (Sugiyama 1981)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from common.causality.graph import Arrow, Graph

SWEEPS = 6
Bend = tuple[Arrow, int]
"""Where an arrow passes a layer between its ends."""
Item = str | Bend


@dataclass(frozen=True)
class Layers:
    """columns: from left to right, each from top to bottom, of nodes and of arrows that pass."""

    columns: tuple[tuple[Item, ...], ...]

    def bends(self, arrow: Arrow) -> list[Bend]:
        """Where it passes, from its cause to its effect."""
        return [item for column in self.columns for item in column if not isinstance(item, str) and item[0] == arrow]


def layers_of(graph: Graph) -> Layers:
    """Every node right of its causes, and no further left of its effects than need be."""
    layer = _levels(graph)
    columns: list[list[Item]] = [[] for _ in range(1 + max(layer.values(), default=0))]
    for node in graph.nodes:
        columns[layer[node]].append(node)
    links: dict[Item, list[Item]] = {}
    for arrow in sorted(graph.arrows, key=lambda one: [graph.nodes.index(name) for name in one]):
        way: list[Item] = [
            arrow[0],
            *((arrow, place) for place in range(layer[arrow[0]] + 1, layer[arrow[1]])),
            arrow[1],
        ]
        for item in way[1:-1]:
            columns[item[1] if isinstance(item[1], int) else 0].append(item)
        for one, other in pairwise(way):
            links.setdefault(one, []).append(other)
            links.setdefault(other, []).append(one)
    return Layers(tuple(map(tuple, _untangled(columns, links))))


def _levels(graph: Graph) -> Mapping[str, int]:
    """The longest way from a node without causes; such a one stands right before its first effect."""
    level: dict[str, int] = {}
    for node in graph.order:
        level[node] = max((level[cause] + 1 for cause in graph.parents[node]), default=0)
    for node in reversed(graph.order):
        if graph.children[node] and not graph.parents[node]:
            level[node] = min(level[child] for child in graph.children[node]) - 1
    return level


def _untangled(columns: Sequence[list[Item]], links: Mapping[Item, list[Item]]) -> Sequence[list[Item]]:
    """Each column by the mean place of what its items are joined to in the one before, back and forth."""
    for sweep in range(SWEEPS):
        order = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        for place in order:
            beside = columns[place - 1 if sweep % 2 == 0 else place + 1]
            where = {item: index - (len(beside) - 1) / 2 for index, item in enumerate(beside)}
            own = {item: index - (len(columns[place]) - 1) / 2 for index, item in enumerate(columns[place])}
            columns[place].sort(key=lambda item: _mean(links.get(item, []), where, own[item]))
    return columns


def _mean(joined: Sequence[Item], where: Mapping[Item, float], own: float) -> float:
    found = [where[item] for item in joined if item in where]
    return sum(found) / len(found) if found else own
