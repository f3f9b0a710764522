"""The page of one effect: whether it can be known, with a picture of the graph and every path."""

from __future__ import annotations

from common.causality.graph import Graph
from common.causality.identified_effect import Effect
from common.causality.rendering import as_latex, as_text, question_as_latex, question_as_text
from common.causality.separation import independences
from experiments.causal.sentences import headline, minimal_sets, reasons, roles
from server.reporting.charts.bars import legend
from server.reporting.charts.causal_graph import causal_graph, said_of
from server.reporting.markup import Markup, joined, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, section

LOOKS = {"treatment": "set", "outcome": "asked for", "adjusted": "adjusted for or given", "hedged": "in the hedge"}
MOST_SETS = 12


def effect_page(effect: Effect) -> str:
    """Whether and how an effect can be known: the graph, the formula, every path and its roles."""
    badge = tag("span", "identified" if effect.identified else "not identified", class_=_badge(effect))
    kind = tag("span", f"Causal effect, {effect.strategy}", class_="kind")
    question = question_as_text(effect.treatments, effect.outcomes, effect.given)
    head = tag(
        "header",
        tag("p", badge, kind, class_="overline"),
        tag("h1", question),
        tag("p", headline(effect), class_="finding"),
        _drawn(effect),
    )
    parts = [_why(effect), _formula(effect), _paths(effect), _testable(effect.graph)]
    return document(f"{question}: can it be known?", tag("main", head, *parts))


def _badge(effect: Effect) -> str:
    return f"badge {'good' if effect.identified else 'bad'}"


def _drawn(effect: Effect) -> Markup:
    graph, hedge = effect.graph, effect.hedge
    looks = dict.fromkeys((*effect.adjusted, *effect.given, *effect.mediators), "adjusted")
    looks |= dict.fromkeys(effect.treatments, "treatment") | dict.fromkeys(effect.outcomes, "outcome")
    hedged = frozenset(hedge.outer) if hedge else frozenset[str]()
    for name in hedged:
        looks[name] = f"{looks.get(name, '')} hedged".strip()
    strong = [pair for pair in graph.pairs if pair <= hedged]
    shown = {word for look in looks.values() for word in look.split()}
    words = LOOKS | ({"adjusted": "goes round the confounding"} if effect.mediators else {})
    keys = [(words[look], look) for look in words if look in shown]
    return joined([causal_graph(graph, looks, said_of(graph), strong=strong), legend(keys)])


def _why(effect: Effect) -> Markup:
    listed = tag("ul", *(tag("li", sentence) for sentence in reasons(effect)), class_="plain")
    return section("why", "Why, and what then" if effect.hedge else "What it rests on", None, listed)


def _formula(effect: Effect) -> Markup | None:
    if effect.expression is None:
        return None
    question = question_as_text(effect.treatments, effect.outcomes, effect.given)
    latex = f"{question_as_latex(effect.treatments, effect.outcomes, effect.given)} = {as_latex(effect.expression)}"
    sets = "; ".join("{" + ", ".join(one) + "}" for one in minimal_sets(effect)[:MOST_SETS])
    rows: list[tuple[str, str | None]] = [
        ("Strategy", effect.strategy),
        ("Adjusted for", ", ".join(effect.adjusted)),
        ("Mediators", ", ".join(effect.mediators)),
        ("Smallest sets", sets),
        (
            "C-components",
            "; ".join("{" + ", ".join(effect.graph.sorted(one)) + "}" for one in effect.graph.districts),
        ),
    ]
    content = [tag("pre", f"{question} = {as_text(effect.expression)}"), facts(rows), tag("pre", latex)]
    return section(
        "formula", "The effect from what is observed", "Every P on the right is seen in the data.", *content
    )


def _paths(effect: Effect) -> Markup | None:
    found = roles(effect)
    if not found:
        return None
    lede = "A confounder or a mediator carries dependence until it is adjusted for; a collider only once it is."
    return section("paths", "Path by path", lede, table(("path", "on it", "what it does"), found, words=3))


def _testable(graph: Graph) -> Markup | None:
    found = independences(graph)
    if not found:
        return None
    rows = [(f"{one} and {other}", ", ".join(given) or "nothing") for one, other, given in found]
    lede = "If the graph is right, these are independent; data that say otherwise refute it."
    return section("testable", "What the data can refute", lede, table(("independent", "given"), rows, words=2))
