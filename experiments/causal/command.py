"""What `wardround causal` prints, and what it writes as JSON."""

from __future__ import annotations

from typing import Any

from common.causality.graph import Graph
from common.causality.graph_text import as_text as graph_as_text
from common.causality.identification import factorisation
from common.causality.identified_effect import Effect, find_effect, helpful_measurements, instruments
from common.causality.paths import roles_between
from common.causality.rendering import as_latex, as_text, question_as_text
from common.causality.separation import independences
from experiments.causal.sentences import headline, minimal_sets, reasons, roles


def effect_of(graph: Graph, treatments: str, outcomes: str, given: str = "") -> Effect:
    """Names between commas. Raises UnknownNameError and GraphError as `find_effect`."""
    return find_effect(graph, _names(treatments), _names(outcomes), _names(given))


def effect_lines(effect: Effect) -> list[str]:
    """For a terminal."""
    lines = [headline(effect), ""]
    if effect.expression is not None:
        question = question_as_text(effect.treatments, effect.outcomes, effect.given)
        lines += [f"    {question} = {as_text(effect.expression)}", ""]
    lines += reasons(effect)
    if named := _roles(effect):
        lines.append("Of the others: " + ", ".join(f"{name} is a {role}" for name, role in named.items()) + ".")
    found = roles(effect)
    if found:
        width = max(len(path) for path, _, _ in found)
        lines += ["", "Paths:", *(f"    {path:{width}}  {does}" for path, _, does in found)]
    return lines


def graph_lines(graph: Graph) -> list[str]:
    """What a graph says without a question."""
    districts = "; ".join(", ".join(graph.sorted(one)) for one in graph.districts)
    found = independences(graph)
    lines = [
        f"{len(graph.nodes)} variables, {len(graph.arrows)} arrows, unmeasured common causes: {len(graph.pairs)}.",
        f"P({', '.join(graph.nodes)}) = {as_text(factorisation(graph))}",
        f"Held together by unmeasured causes (c-components): {districts}.",
        "The data could refute it:" if found else "It says that nothing is independent, so no data refute it.",
    ]
    for one, other, given in found:
        lines.append(f"    {one} and {other} are independent" + (f" given {', '.join(given)}" if given else ""))
    return lines


def effect_as_json(effect: Effect) -> dict[str, Any]:
    """Everything, for programs."""
    hedge = effect.hedge
    return {
        "graph": graph_as_text(effect.graph),
        "treatments": list(effect.treatments),
        "outcomes": list(effect.outcomes),
        "given": list(effect.given),
        "identified": effect.identified,
        "strategy": effect.strategy,
        "adjust_for": list(effect.adjusted),
        "minimal_sets": [list(one) for one in minimal_sets(effect)],
        "mediators": list(effect.mediators),
        "formula": None if effect.expression is None else as_text(effect.expression),
        "latex": None if effect.expression is None else as_latex(effect.expression),
        "hedge": None
        if hedge is None
        else {"outer": list(hedge.outer), "inner": list(hedge.inner), "roots": list(hedge.roots)},
        "measuring_would_help": [list(pair) for pair in helpful_measurements(effect)] if hedge else [],
        "instruments": list(instruments(effect)) if hedge else [],
        "roles": _roles(effect),
        "paths": [{"path": path, "roles": named, "does": does} for path, named, does in roles(effect)],
        "words": [headline(effect), *reasons(effect)],
    }


def _roles(effect: Effect) -> dict[str, str]:
    """Of all other variables, where there is one treatment and one outcome."""
    if len(effect.treatments) != 1 or len(effect.outcomes) != 1:
        return {}
    return dict(roles_between(effect.graph, *effect.treatments, *effect.outcomes))


def ladder_lines() -> list[str]:
    """The three rungs in a terminal."""
    from experiments.causal.ladder import linear_counterfactual, percent, rungs

    lines = []
    for place, one in enumerate(rungs(), 1):
        without, treated = map(percent, one.risks)
        lines += [
            f"{place}. {one.name}: {one.question}",
            f"    {one.formula}: {without} without the drug, {treated} with it.",
            f"    {one.answer}",
            "",
        ]
    return [*lines, f"x1 = 1 + u1, x2 = 3 x1 + u2, seen (2, 4): had x1 been 5, x2 = {linear_counterfactual():g}."]


def _names(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]
