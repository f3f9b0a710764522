"""Which effects follow from what was only observed: the complete ID algorithm, and IDC for effects within a group.

Shpitser and Pearl 2006, "Identification of joint interventional distributions in recursive semi-Markovian causal
models" (ID, figure 3), and "Identification of conditional interventional distributions" (IDC, figure 6). What they
do not identify, nothing does: two models of the graph then agree on all that is observed and differ in the effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.causality.expression import Expression, Probability, product, quotient, rebuilt, summed
from common.causality.graph import Graph, Names
from common.causality.separation import blanket, connected
from common.errors import GraphError


@dataclass(frozen=True)
class Hedge:
    """What forbids an effect: two nested sets, each held together by unmeasured common causes.

    Both lead to the outcomes through the same `roots`; the outer holds variables that are set, the inner none of them
    (Shpitser and Pearl 2006, theorem 4).
    """

    outer: tuple[str, ...]
    inner: tuple[str, ...]
    roots: tuple[str, ...]


class _HedgeFoundError(Exception):
    def __init__(self, hedge: Hedge) -> None:
        super().__init__(hedge)
        self.hedge = hedge


def identify(
    graph: Graph, treatments: Iterable[str], outcomes: Iterable[str], given: Iterable[str] = ()
) -> Expression | Hedge:
    """P(outcomes | do(treatments), given) in terms of what is observed, or the hedge that forbids it.

    Raises UnknownNameError for a variable that is not the graph's, and GraphError where the three overlap or there is
    no outcome.
    """
    setting, result, known = demand_question(graph, treatments, outcomes, given)
    try:
        found = _identified_within(graph, setting, result, known)
    except _HedgeFoundError as error:
        return error.hedge
    except RecursionError as error:
        raise GraphError("the causal graph is too deeply nested for the ID algorithm.") from error
    return found


def demand_question(
    graph: Graph, treatments: Iterable[str], outcomes: Iterable[str], given: Iterable[str] = ()
) -> tuple[Names, Names, Names]:
    """The three sets, or GraphError in words."""
    sets = tuple(graph.demand(*names) for names in (treatments, outcomes, given))
    if not sets[1]:
        raise GraphError("an effect needs an outcome: name the variable that it is an effect on.")
    for one, other in ((0, 1), (0, 2), (1, 2)):
        if both := sets[one] & sets[other]:
            words = ("what is set", "what is asked for", "what is given")
            raise GraphError(f"{', '.join(sorted(both))} cannot be both {words[one]} and {words[other]}.")
    return sets[0], sets[1], sets[2]


def simplified(expression: Expression, graph: Graph) -> Expression:
    """The same in a model of the graph: nothing is conditioned on that the graph says makes no difference."""

    def shorter(one: Probability) -> Expression:
        if len(one.of) != 1:
            return one
        kept = blanket(graph, one.of[0], one.given)
        return Probability(one.of, tuple(name for name in one.given if name in kept))

    return rebuilt(expression, shorter)


def factorisation(graph: Graph) -> Expression:
    """The joint distribution as a product, effects first, each given those before it that matter.

    Without double arrows these are its parents: P(X) = prod P(x_k | pa_k), the Markov factorisation.
    """
    order = graph.order
    whole = [Probability((name,), order[:place]) for place, name in enumerate(order)]
    return simplified(product(reversed(whole)), graph)


def _identified_within(graph: Graph, setting: Names, result: Names, known: Names) -> Expression:
    """IDC: what is given counts as set where the graph allows that (rule 2 of do-calculus)."""
    for name in graph.sorted(known):
        one = frozenset({name})
        cut = graph.without_causes_of(setting).without_effects_of(one)
        if not connected(cut, result, setting | (known - one)) & one:
            return _identified_within(graph, setting | one, result, known - one)
    joint = _identified(graph, setting, result | known, Probability(graph.order))
    return quotient(joint, summed(graph.sorted(result), joint)) if known else joint


def _identified(graph: Graph, setting: Names, result: Names, observed: Expression) -> Expression:
    """ID. observed: the joint distribution of the graph's variables. Numbers are those of figure 3."""
    if not setting:  # 1
        return summed(_reversed(graph, graph.names - result), observed)
    causes = graph.ancestors(result)
    if causes != graph.names:  # 2
        marginal = summed(_reversed(graph, graph.names - causes), observed)
        return _identified(graph.among(causes), setting & causes, result, marginal)
    idle = graph.names - setting - graph.without_causes_of(setting).ancestors(result)
    if idle:  # 3
        return _identified(graph, setting | idle, result, observed)
    districts = graph.among(graph.names - setting).districts
    if len(districts) > 1:  # 4
        parts = (_identified(graph, graph.names - one, one, observed) for one in reversed(districts))
        return summed(_reversed(graph, graph.names - result - setting), product(parts))
    (inner,) = districts
    outer = next(one for one in graph.districts if inner <= one)
    if outer == graph.names:  # 5
        raise _HedgeFoundError(_hedge(graph, inner))
    within = product(_conditional(graph, name, observed) for name in reversed(graph.order) if name in outer)
    if inner == outer:  # 6
        return summed(_reversed(graph, inner - result), within)
    return _identified(graph.among(outer), setting & outer, result, within)  # 7


def _conditional(graph: Graph, name: str, observed: Expression) -> Expression:
    """The probability of a variable given all before it."""
    order = graph.order
    place = order.index(name)
    before = summed(reversed(order[place:]), observed)
    up_to = summed(reversed(order[place + 1 :]), observed)
    return quotient(up_to, before)


def _reversed(graph: Graph, names: Names) -> tuple[str, ...]:
    """Effects before causes: sums over the former are 1 first."""
    return tuple(name for name in reversed(graph.order) if name in names)


def _hedge(graph: Graph, inner: Names) -> Hedge:
    within = graph.among(inner)
    roots = [name for name in inner if not within.children[name]]
    return Hedge(graph.sorted(graph.names), graph.sorted(inner), graph.sorted(roots))
