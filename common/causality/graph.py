"""Causal graphs: arrows, and double arrows where two variables have a common cause that nobody measured (ADMG)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from common.errors import GraphError
from common.study.spelling import unknown

Names = frozenset[str]
Arrow = tuple[str, str]
"""From a cause to its effect."""
Pair = frozenset[str]
"""Two variables with a common cause outside of the graph."""

MOST_VARIABLES = 200


@dataclass(frozen=True)
class Graph:
    """An acyclic directed mixed graph; without double arrows it is a DAG. Made by `make_graph`, which checks it.

    nodes: in the order in which they are shown.
    """

    nodes: tuple[str, ...]
    arrows: frozenset[Arrow]
    pairs: frozenset[Pair]

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {node: place for place, node in enumerate(self.nodes)}

    @cached_property
    def names(self) -> Names:
        """All variables."""
        return frozenset(self.nodes)

    @cached_property
    def parents(self) -> Mapping[str, Names]:
        """Direct causes of each."""
        return self._neighbours((effect, cause) for cause, effect in self.arrows)

    @cached_property
    def children(self) -> Mapping[str, Names]:
        """Direct effects of each."""
        return self._neighbours(self.arrows)

    @cached_property
    def siblings(self) -> Mapping[str, Names]:
        """Those with which each has an unmeasured common cause."""
        return self._neighbours((one, other) for pair in self.pairs for one in pair for other in pair - {one})

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Causes before effects; among equals, as in `nodes`."""
        order = list[str]()
        waiting = {node: len(self.parents[node]) for node in self.nodes}
        ready = [node for node in self.nodes if not waiting[node]]
        while ready:
            node = ready.pop(0)
            order.append(node)
            for child in self.sorted(self.children[node]):
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        return tuple(order)

    @cached_property
    def districts(self) -> tuple[Names, ...]:
        """C-components: variables that double arrows hold together (Tian and Pearl 2002)."""
        if not self.pairs:
            return tuple(frozenset({node}) for node in self.nodes)
        left, found = dict.fromkeys(self.nodes), []
        while left:
            group = self._reached({next(iter(left))}, self.siblings)
            found.append(group)
            for node in group:
                del left[node]
        return tuple(found)

    def ancestors(self, of: Iterable[str]) -> Names:
        """Causes, direct and indirect, and the variables themselves."""
        return self._reached(of, self.parents)

    def descendants(self, of: Iterable[str]) -> Names:
        """Effects, direct and indirect, and the variables themselves."""
        return self._reached(of, self.children)

    def among(self, kept: Names) -> Graph:
        """The part of the graph between some of its variables."""
        return Graph(
            tuple(node for node in self.nodes if node in kept),
            frozenset(arrow for arrow in self.arrows if arrow[0] in kept and arrow[1] in kept),
            frozenset(pair for pair in self.pairs if pair <= kept),
        )

    def without_causes_of(self, nodes: Names) -> Graph:
        """Every arrow into these is cut, as `do` does it."""
        arrows = frozenset(arrow for arrow in self.arrows if arrow[1] not in nodes)
        return Graph(self.nodes, arrows, frozenset(pair for pair in self.pairs if not pair & nodes))

    def without_effects_of(self, nodes: Names) -> Graph:
        """Every arrow out of these is cut."""
        return Graph(self.nodes, frozenset(arrow for arrow in self.arrows if arrow[0] not in nodes), self.pairs)

    def sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names in the order of `nodes`."""
        return tuple(sorted(names, key=self._place.__getitem__))

    def demand(self, *names: str) -> Names:
        """The names as a set. Raises UnknownNameError for one that is none of the graph's."""
        for name in names:
            if name not in self.names:
                raise unknown("variable", name, self.nodes)
        return frozenset(names)

    def _neighbours(self, edges: Iterable[Arrow]) -> Mapping[str, Names]:
        found: dict[str, set[str]] = {node: set() for node in self.nodes}
        for one, other in edges:
            found[one].add(other)
        return {node: frozenset(others) for node, others in found.items()}

    @staticmethod
    def _reached(start: Iterable[str], step: Mapping[str, Names]) -> Names:
        found = set(start)
        border = list(found)
        while border:
            more = step[border.pop()] - found
            found |= more
            border.extend(more)
        return frozenset(found)


def make_graph(arrows: Iterable[Arrow], pairs: Iterable[Arrow] = (), nodes: Iterable[str] = ()) -> Graph:
    """A checked graph.

    Args:
        arrows: (cause, effect), each a pair of names.
        pairs: whose common cause nobody measured, in any order.
        nodes: further variables; those of edges need no mention.

    Returns:
        The graph, its variables in an order in which causes stand before effects.

    Raises:
        GraphError: a variable is its own cause, directly or along a cycle, which is named.
    """
    arrows, pairs = list(arrows), list(pairs)
    names = tuple(dict.fromkeys([*nodes, *(name for edge in [*arrows, *pairs] for name in edge)]))
    if len(names) > MOST_VARIABLES:
        raise GraphError(f"a causal graph has at most {MOST_VARIABLES} variables; this one has {len(names)}.")
    for one, other in [*arrows, *pairs]:
        if one == other:
            raise GraphError(f"{one!r} stands at both ends of an edge; nothing is its own cause.")
    graph = Graph(names, frozenset(arrows), frozenset(map(frozenset, pairs)))
    if len(graph.order) < len(names):
        raise GraphError(f"the causal graph has a cycle, {' -> '.join(_cycle(graph))}; nothing is its own cause.")
    return graph


def _cycle(graph: Graph) -> list[str]:
    """One of those that are there: every variable without a place in the order has a cause without one."""
    left = graph.names - set(graph.order)
    way = [min(left)]
    while (cause := min(graph.parents[way[-1]] & left)) not in way:
        way.append(cause)
    round_trip = way[way.index(cause) :]
    return [cause, *reversed(round_trip)]


def project(graph: Graph, hidden: Names) -> Graph:
    """The graph of what is measured alone, where some variables are not (latent projection, Verma and Pearl 1990).

    A hidden cause of two becomes a double arrow, and a hidden step between two an arrow.

    Args:
        graph: of all variables.
        hidden: those that nobody measured.

    Returns:
        The graph of the others.
    """
    arrows, pairs = set(graph.arrows), set(graph.pairs)
    for gone in hidden:
        causes = {one for one, other in arrows if other == gone}
        effects = {other for one, other in arrows if one == gone}
        beside = {next(iter(pair - {gone})) for pair in pairs if gone in pair}
        arrows = {arrow for arrow in arrows if gone not in arrow} | {(a, b) for a in causes for b in effects}
        pairs = {pair for pair in pairs if gone not in pair}
        pairs |= {frozenset((a, b)) for a in effects for b in effects | beside if a != b}
    return Graph(tuple(node for node in graph.nodes if node not in hidden), frozenset(arrows), frozenset(pairs))
