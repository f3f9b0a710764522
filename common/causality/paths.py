"""Paths between two variables, the role of each variable on them, and whether each is open given others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal, cast

from common.causality.graph import Graph, Names

Role = Literal["confounder", "collider", "mediator"]
MOST_PATHS = 500
CAUSES, CAUSED, TOGETHER = "->", "<-", "<->"


@dataclass(frozen=True)
class Path:
    """nodes: from one end to the other. edges: the signs between them. roles: of each inner node.

    blocked_by: the nodes that block it, given what was said to be given; empty where it is open.
    """

    nodes: tuple[str, ...]
    edges: tuple[str, ...]
    roles: tuple[Role, ...]
    blocked_by: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether it carries dependence."""
        return not self.blocked_by

    @property
    def is_causal(self) -> bool:
        """Whether all its arrows point from the first node to the last."""
        return all(edge == CAUSES for edge in self.edges)

    @property
    def is_back_door(self) -> bool:
        """Whether it comes into its first node."""
        return self.edges[0] != CAUSES

    @property
    def text(self) -> str:
        """Such as `x <- z -> y`."""
        steps = [f" {edge} {node}" for edge, node in zip(self.edges, self.nodes[1:], strict=True)]
        return self.nodes[0] + "".join(steps)


def find_paths(graph: Graph, start: str, end: str, given: Iterable[str] = ()) -> tuple[Path, ...]:
    """All paths that meet no variable twice.

    Args:
        graph: what is claimed of causes.
        start: a name.
        end: another.
        given: what is held fixed, which opens some and shuts others.

    Returns:
        Short ones first, at most 500.

    Raises:
        UnknownNameError: a name that is not the graph's.
    """
    graph.demand(start, end)
    known = graph.demand(*given)
    opened = graph.ancestors(known)
    found = []
    for nodes, edges in islice(_walks(graph, (start,), (), end), MOST_PATHS):
        roles = tuple(_role(before, after) for before, after in pairwise(edges))
        blocking = tuple(
            node
            for node, role in zip(nodes[1:-1], roles, strict=True)
            if (node not in opened if role == "collider" else node in known)
        )
        found.append(Path(nodes, edges, roles, blocking))
    return tuple(sorted(found, key=lambda path: len(path.nodes)))


def roles_between(graph: Graph, cause: str, effect: str) -> Mapping[str, Role]:
    """What every other variable is to two, whatever the path: one that is none of the three is not named.

    A mediator lies on a causal path; a confounder causes the first, and the second by a way that leaves the first
    out; a collider is an effect of both.

    Args:
        graph: what is claimed of causes.
        cause: a name.
        effect: another.

    Returns:
        The role of each that has one.

    Raises:
        UnknownNameError: a name that is not the graph's.
    """
    graph.demand(cause, effect)
    first, second = frozenset({cause}), frozenset({effect})
    beside = graph.without_effects_of(first)
    mediators = graph.descendants(first) & graph.ancestors(second)
    confounders = graph.ancestors(first) & beside.ancestors(second)
    colliders = graph.descendants(first) & graph.descendants(second)
    found: dict[str, Role] = {}
    for role, names in (("collider", colliders), ("confounder", confounders), ("mediator", mediators)):
        found |= dict.fromkeys(graph.sorted(names - first - second), cast(Role, role))
    return {name: found[name] for name in graph.nodes if name in found}


def _walks(
    graph: Graph, nodes: tuple[str, ...], edges: tuple[str, ...], end: str
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    here = nodes[-1]
    if here == end:
        if edges:
            yield nodes, edges
        return
    steps = ((CAUSES, graph.children), (CAUSED, graph.parents), (TOGETHER, graph.siblings))
    for edge, neighbours in steps:
        for node in graph.sorted(neighbours[here] - frozenset(nodes)):
            if not _reaches(graph, node, end, frozenset(nodes)):
                continue
            yield from _walks(graph, (*nodes, node), (*edges, edge), end)


def _reaches(graph: Graph, start: str, end: str, avoided: Names) -> bool:
    """Whether some way that meets none of `avoided` joins two: else a search would go all ways that lead nowhere."""
    seen, border = {start}, [start]
    while border:
        here = border.pop()
        if here == end:
            return True
        more = (graph.parents[here] | graph.children[here] | graph.siblings[here]) - seen - avoided
        seen |= more
        border.extend(more)
    return False


def _role(before: str, after: str) -> Role:
    """Of the node between two edges."""
    into, out_of = before != CAUSED, after != CAUSES
    if into and out_of:
        return "collider"
    return "confounder" if before == CAUSED and after == CAUSES else "mediator"
