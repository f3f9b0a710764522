"""What models of both kinds share: mechanisms x := f(parents, noise), and the graph that they draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.causality.graph import Graph, make_graph
from common.errors import GraphError


@dataclass(frozen=True)
class Mechanism:
    """x := function(parents, then noises), each by its position. noises: names of exogenous variables.

    A noise that stands in two mechanisms is a common cause that nobody measured.
    """

    parents: tuple[str, ...]
    noises: tuple[str, ...]
    function: Callable[..., Any]


def graph_of(mechanisms: Mapping[str, Mechanism], noises: Iterable[str]) -> Graph:
    """The graph of a model: a double arrow where two mechanisms share a noise.

    Raises GraphError for a name that nothing explains, one that is both, or a cycle.
    """
    exogenous = frozenset(noises)
    if both := sorted(exogenous & mechanisms.keys()):
        raise GraphError(f"{both[0]!r} is both a variable and a noise of the model.")
    for name, mechanism in mechanisms.items():
        for cause in mechanism.parents:
            if cause not in mechanisms:
                raise GraphError(f"{name!r} has the cause {cause!r}, for which the model has no mechanism.")
        for noise in mechanism.noises:
            if noise not in exogenous:
                raise GraphError(f"{name!r} has the noise {noise!r}, of which the model has no distribution.")
    arrows = [(cause, name) for name, mechanism in mechanisms.items() for cause in mechanism.parents]
    pairs = [
        (one, other)
        for one in mechanisms
        for other in mechanisms
        if one < other and set(mechanisms[one].noises) & set(mechanisms[other].noises)
    ]
    return make_graph(arrows, pairs, mechanisms)
