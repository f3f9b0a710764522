"""What to adjust for: sets that take all confounding away (back-door), and mediators that go round it (front-door).

The adjustment criterion is complete: a set that fails it biases in some model of the graph (Shpitser, VanderWeele and
Robins 2010; for double arrows and several treatments van der Zander, Liśkiewicz and Textor 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from common.causality.graph import Graph, Names
from common.causality.separation import connected
from common.errors import GraphError

MOST_CANDIDATES = 12
"""For lists of every set."""
MOST_MEDIATORS = 10


@dataclass(frozen=True)
class Adjustment:
    """Which sets are valid, worked out once for a question. treatments, outcomes: of which effect."""

    graph: Graph
    treatments: Names
    outcomes: Names

    @cached_property
    def forbidden(self) -> Names:
        """What lies on a causal path, and all effects of it: adjusting for these takes away some of the effect."""
        return self.graph.descendants(self.causal) | self.treatments | self.outcomes

    @cached_property
    def causal(self) -> Names:
        """All on a proper causal path but the treatments: one that leaves them at its first step."""
        without = self.graph.without_causes_of(self.treatments)
        leads = self.graph.without_effects_of(self.treatments).ancestors(self.outcomes)
        return without.descendants(self.treatments) & leads - self.treatments

    @cached_property
    def back_door_graph(self) -> Graph:
        """Without the first arrow of every proper causal path; what still joins the two is confounding."""
        causal = self.causal
        arrows = frozenset(
            arrow for arrow in self.graph.arrows if not (arrow[0] in self.treatments and arrow[1] in causal)
        )
        return Graph(self.graph.nodes, arrows, self.graph.pairs)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """What may be adjusted for."""
        return self.graph.sorted(self.graph.names - self.forbidden)

    def valid(self, adjusted: Iterable[str]) -> bool:
        """Whether adjusting for these gives the effect, in every model of the graph."""
        names = self.graph.demand(*adjusted)
        if names & self.forbidden:
            return False
        return not connected(self.back_door_graph, self.treatments, names) & self.outcomes

    def back_door(self, adjusted: Iterable[str]) -> bool:
        """Pearl's criterion, which is narrower: `valid`, and nothing in it an effect of the treatments."""
        names = self.graph.demand(*adjusted)
        return not names & self.graph.descendants(self.treatments) and self.valid(names)

    def smallest(self, include: Iterable[str] = ()) -> tuple[str, ...] | None:
        """A set from which nothing can be taken away.

        What is not measured to begin with, or decided after the treatment, is taken away first.

        Args:
            include: variables that stay in it whatever they are worth.

        Returns:
            Names, sorted; None where no set is valid.
        """
        wanted = self.graph.demand(*include)
        near = self.graph.ancestors(self.treatments | self.outcomes | wanted) - self.forbidden
        kept = near | wanted
        if not self.valid(kept):
            return None
        late = self.graph.descendants(self.treatments)
        for name in sorted(self.graph.sorted(kept - wanted), key=lambda one: one not in late):
            if self.valid(kept - {name}):
                kept -= {name}
        return self.graph.sorted(kept)

    def every(self) -> Iterator[tuple[str, ...]]:
        """All valid sets, small ones first. Raises GraphError where more than 12 variables might be adjusted for."""
        names = self.candidates
        if len(names) > MOST_CANDIDATES:
            raise GraphError(
                f"{len(names)} variables could be adjusted for; every set of them is listed of at most "
                f"{MOST_CANDIDATES}. A smallest one is found in any graph."
            )
        back_door_graph = self.back_door_graph
        for size in range(len(names) + 1):
            for chosen in combinations(names, size):
                if not connected(back_door_graph, self.treatments, frozenset(chosen)) & self.outcomes:
                    yield chosen

    def minimal(self) -> tuple[tuple[str, ...], ...]:
        """All valid sets that hold no smaller valid one. Raises GraphError as `every`."""
        found: list[tuple[str, ...]] = []
        for one in self.every():
            if not any(set(smaller) <= set(one) for smaller in found):
                found.append(one)
        return tuple(found)

    def efficient(self) -> tuple[str, ...] | None:
        """The valid set that leaves the least variance; None where double arrows, or no path, leave it open.

        Causes of what lies on the causal paths (Henckel, Perković and Maathuis 2022; Rotnitzky and Smucler 2020).
        """
        if self.graph.pairs or not self.causal:
            return None
        causes = frozenset[str]().union(*(self.graph.parents[name] for name in self.causal))
        found = causes - self.causal - self.treatments
        return self.graph.sorted(found) if self.valid(found) else None


def adjustment_of(graph: Graph, treatments: Iterable[str], outcomes: Iterable[str]) -> Adjustment:
    """Of an effect. Raises UnknownNameError for a name that is not the graph's, GraphError where the two overlap."""
    some, others = graph.demand(*treatments), graph.demand(*outcomes)
    if both := some & others:
        raise GraphError(f"{', '.join(sorted(both))} cannot be both treatment and outcome.")
    return Adjustment(graph, some, others)


def front_door(graph: Graph, treatment: str, outcome: str) -> tuple[str, ...] | None:
    """A set of mediators that goes round the confounding, none of which could be left out (Pearl 1995).

    They are on every causal path, nothing confounds treatment and mediators, and the treatment takes away all
    confounding of mediators and outcome.

    Args:
        graph: what is claimed of causes.
        treatment: its name.
        outcome: its name.

    Returns:
        Names, sorted; None where there is no such set.
    """
    start, end = graph.demand(treatment), graph.demand(outcome)
    between = graph.descendants(start) & graph.ancestors(end) - start - end
    if len(between) > MOST_MEDIATORS:
        return None
    for size in range(1, len(between) + 1):
        for chosen in combinations(graph.sorted(between), size):
            if _is_front_door(graph, start, frozenset(chosen), end):
                return chosen
    return None


def _is_front_door(graph: Graph, start: Names, mediators: Names, end: Names) -> bool:
    around = graph.among(graph.names - mediators)
    if around.descendants(start) & end:
        return False
    if connected(graph.without_effects_of(start), start, frozenset()) & mediators:
        return False
    behind = Adjustment(graph, mediators, end)
    return behind.valid(start)
