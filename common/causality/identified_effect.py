"""Whether and how the effect of one variable on another can be known: by which strategy, or what forbids it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from common.causality.adjustment import adjustment_of, front_door
from common.causality.expression import Expression, Probability, product, quotient, summed
from common.causality.graph import Graph, Names
from common.causality.identification import Hedge, demand_question, identify, simplified
from common.causality.separation import connected

Strategy = Literal[
    "no effect", "none needed", "back-door", "adjustment", "front-door", "c-components", "not identified"
]

MOST_TRIED = 20


@dataclass(frozen=True)
class Effect:
    """P(outcomes | do(treatments), given).

    expression: in terms of what is observed; None where it is not identified, and `hedge` then says why.
    adjusted: what to adjust for, in the smallest set that was found; mediators: of the front door.
    idle: variables that the expression names and on which its value does not depend.
    """

    graph: Graph
    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    given: tuple[str, ...]
    strategy: Strategy
    expression: Expression | None = None
    adjusted: tuple[str, ...] = ()
    mediators: tuple[str, ...] = ()
    hedge: Hedge | None = None

    @property
    def identified(self) -> bool:
        """Whether it can be known from what is observed."""
        return self.expression is not None

    @property
    def arguments(self) -> tuple[str, ...]:
        """On what it depends."""
        return (*self.treatments, *self.outcomes, *self.given)

    @property
    def idle(self) -> tuple[str, ...]:
        """See above."""
        return () if self.expression is None else self.graph.sorted(self.expression.free - frozenset(self.arguments))


def find_effect(
    graph: Graph, treatments: Iterable[str], outcomes: Iterable[str], given: Iterable[str] = ()
) -> Effect:
    """The simplest strategy that identifies an effect, or the hedge that forbids all of them.

    Args:
        graph: what is claimed of causes.
        treatments: what is set.
        outcomes: whose distribution is wanted.
        given: within levels of these.

    Returns:
        The formula and why it holds, or what forbids it.

    Raises:
        UnknownNameError: a name that is not the graph's.
        GraphError: groups that overlap, or are empty.
    """
    setting, result, known = demand_question(graph, treatments, outcomes, given)
    question = (graph, graph.sorted(setting), graph.sorted(result), graph.sorted(known))
    if not graph.descendants(setting) & (result | known):
        return Effect(*question, "no effect", _conditioned(graph, result, known))
    if (found := _adjusted(graph, setting, result, known)) is not None:
        adjusted, formula = found
        strategy: Strategy = "adjustment" if adjusted else "none needed"
        if adjusted and not frozenset(adjusted) & graph.descendants(setting):
            strategy = "back-door"
        return Effect(*question, strategy, formula, adjusted=adjusted)
    answer = identify(graph, setting, result, known)
    if isinstance(answer, Hedge):
        return Effect(*question, "not identified", hedge=answer)
    if not known and len(setting) == len(result) == 1:
        mediators = front_door(graph, *setting, *result)
        if mediators is not None:
            formula = _front_door_formula(graph, setting, frozenset(mediators), result)
            return Effect(*question, "front-door", formula, mediators=mediators)
    return Effect(*question, "c-components", simplified(answer, graph))


@lru_cache(maxsize=16)
def helpful_measurements(effect: Effect) -> tuple[tuple[str, str], ...]:
    """Pairs whose common cause, were it measured, would identify an effect that is not; each alone would do.

    One of the hedge's, or it would stand as it does; of many, the first 20 are looked at.

    Args:
        effect: of `find_effect`.

    Returns:
        Pairs of names; () where it is identified.
    """
    graph, found = effect.graph, []
    inside = frozenset(effect.hedge.outer) if effect.hedge else frozenset[str]()
    pairs = sorted((pair for pair in graph.pairs if pair <= inside), key=graph.sorted)
    for pair in pairs[:MOST_TRIED]:
        one, other = graph.sorted(pair)
        cause = f"cause of {one} and {other}"
        arrows = graph.arrows | {(cause, one), (cause, other)}
        measured = Graph((*graph.nodes, cause), arrows, graph.pairs - {pair})
        if not isinstance(identify(measured, effect.treatments, effect.outcomes, effect.given), Hedge):
            found.append((one, other))
    return tuple(found)


def instruments(effect: Effect) -> tuple[str, ...]:
    """Variables that move the treatment, and the outcome through it alone; of one treatment and one outcome.

    With them bounds are known, and under linearity or monotonicity an effect (Angrist, Imbens and Rubin 1996).

    Args:
        effect: of `find_effect`.

    Returns:
        Names, sorted; () for none.
    """
    graph, treatment, outcome = effect.graph, frozenset(effect.treatments), frozenset(effect.outcomes)
    if len(treatment) != 1 or len(outcome) != 1:
        return ()
    exclusion = graph.without_effects_of(treatment)
    return tuple(
        name
        for name in graph.sorted(graph.names - graph.descendants(treatment) - outcome)
        if connected(graph, frozenset({name}), frozenset()) & treatment
        and not connected(exclusion, frozenset({name}), frozenset()) & outcome
    )


def _conditioned(graph: Graph, result: Names, known: Names) -> Expression:
    joint = Probability(graph.sorted(result | known))
    return quotient(joint, Probability(graph.sorted(known))) if known else joint


def _adjusted(graph: Graph, setting: Names, result: Names, known: Names) -> tuple[tuple[str, ...], Expression] | None:
    """The adjustment formula, within what is given where that was decided before the treatment."""
    if known & graph.descendants(setting):
        return None
    smallest = adjustment_of(graph, setting, result).smallest(include=known)
    if smallest is None or (known and graph.descendants(setting) & frozenset(smallest)):
        return None
    adjusted = tuple(name for name in smallest if name not in known)
    within = Probability(graph.sorted(result), (*graph.sorted(setting), *smallest))
    weight = Probability(adjusted, graph.sorted(known))
    return adjusted, summed(adjusted, product([within, weight])) if adjusted else within


def _front_door_formula(graph: Graph, start: Names, mediators: Names, end: Names) -> Expression:
    (treatment,) = start
    through = graph.sorted(mediators)
    behind = summed(
        start, product([Probability(graph.sorted(end), (treatment, *through)), Probability((treatment,))])
    )
    return summed(through, product([Probability(through, (treatment,)), behind]))
