"""d-separation, and m-separation where double arrows are: what a graph says is independent given what."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, islice
from typing import NamedTuple

from common.causality.graph import Graph, Names

MOST_INDEPENDENCES = 200
Arrival = tuple[str, bool]
"""A variable, and whether the edge on which a walk came has its arrowhead there."""


class Independence(NamedTuple):
    """Two variables, and given what they are independent."""

    one: str
    other: str
    given: tuple[str, ...]


def separated(graph: Graph, some: Iterable[str], others: Iterable[str], given: Iterable[str] = ()) -> bool:
    """Whether every path between two groups is blocked: independent in each model of this graph.

    Blocked where a variable that is no collider is given, or a collider is not and none of its effects are
    (Pearl 1988; Richardson 2003 for double arrows).

    Args:
        graph: what is claimed of causes.
        some: names of the one group.
        others: names of the other.
        given: what is held fixed.

    Returns:
        True where nothing of the one tells of the other.

    Raises:
        UnknownNameError: a name that is not the graph's.
    """
    start, goal, known = graph.demand(*some), graph.demand(*others), graph.demand(*given)
    return not (connected(graph, start - known, known) & (goal - known))


def connected(graph: Graph, start: Names, given: Names) -> Names:
    """All variables that some open path joins to one of `start`."""
    opened = graph.ancestors(given)
    seen: set[Arrival] = set()
    border: list[Arrival] = [(node, False) for node in start]
    while border:
        here = border.pop()
        if here in seen:
            continue
        seen.add(here)
        node, by_head = here
        if node not in given:
            border += [(child, True) for child in graph.children[node]]
            if not by_head:
                border += _into(graph, node)
        if by_head and node in opened:
            border += _into(graph, node)
    return frozenset(node for node, _ in seen)


def _into(graph: Graph, node: str) -> list[Arrival]:
    """Where a walk gets by the edges that have an arrowhead at the node."""
    return [(parent, False) for parent in graph.parents[node]] + [(one, True) for one in graph.siblings[node]]


def blanket(graph: Graph, node: str, among: Iterable[str]) -> Names:
    """The fewest of `among`, taken away one by one, given which the node is independent of all others of them.

    In a DAG, of the variables before it: its parents (the Markov factorisation).

    Args:
        graph: what is claimed of causes.
        node: its name.
        among: names to choose from.

    Returns:
        Those that are left.
    """
    kept = frozenset(among)
    for one in graph.sorted(kept):
        if node not in connected(graph, frozenset({one}), kept - {one}):
            kept -= {one}
    return kept


def independences(graph: Graph) -> tuple[Independence, ...]:
    """What data could refute: pairs that the graph makes independent, each with a smallest set given which they are.

    Of two that no set separates, nothing is said, though they have no edge.

    Args:
        graph: what is claimed of causes.

    Returns:
        At most 200 of them.
    """
    found = (
        Independence(one, other, given)
        for one, other in combinations(graph.nodes, 2)
        if (given := smallest_separator(graph, one, other)) is not None
    )
    return tuple(islice(found, MOST_INDEPENDENCES))


def smallest_separator(graph: Graph, one: str, other: str) -> tuple[str, ...] | None:
    """A set given which two are independent, and no part of which is enough; None where there is none.

    Of all their causes, those that either meets first (van der Zander, Liśkiewicz and Textor 2019, section 4).

    Args:
        graph: what is claimed of causes.
        one: a name.
        other: another.

    Returns:
        Names, sorted; None where no set separates them.
    """
    if other in graph.parents[one] | graph.children[one] | graph.siblings[one]:
        return None
    start, end = frozenset({one}), frozenset({other})
    given = graph.ancestors(start | end) - start - end
    met = connected(graph, start, given)
    if other in met:
        return None
    near = given & met
    return graph.sorted(near & connected(graph, end, near))
