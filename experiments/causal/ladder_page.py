"""The page of the ladder: association, intervention and counterfactual of one example, each drawn and counted."""

from __future__ import annotations

from common.causality.graph import Graph, make_graph
from experiments.causal.ladder import (
    HAD_BEEN,
    LINEAR,
    MODEL,
    PATIENT,
    SEEN,
    Rung,
    linear_counterfactual,
    percent,
    rungs,
)
from server.reporting.charts.bars import bar, legend, row
from server.reporting.charts.causal_graph import causal_graph, said_of
from server.reporting.markup import Markup, joined, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, figure, section


def ladder_page() -> str:
    """Association, intervention and counterfactual of one example, each with its picture and distribution."""
    three = rungs()
    words = (
        "Three questions about one drug, from one model: what goes together, what happens if we act, and what would "
        "have happened to this patient. What is seen speaks against the drug, and yet it saves lives."
    )
    head = tag(
        "header",
        tag("p", tag("span", "The ladder of causation", class_="kind"), class_="overline"),
        tag("h1", "Seeing, doing, imagining"),
        tag("p", words, class_="finding"),
    )
    side = section(
        "beside",
        "Side by side",
        "Of 100 patients, how many die?",
        tag("div", *(figure(one.name, _bars(one)) for one in three), class_="cards"),
    )
    pictures = (_seen_picture(), _done_picture(), _twin_picture())
    steps = [
        section(one.name.lower(), f"{place}. {one.name}", one.question, picture, _bars(one), _answered(one))
        for place, (one, picture) in enumerate(zip(three, pictures, strict=True), 1)
    ]
    return document("The ladder of causation", tag("main", head, side, *steps, _mechanisms(), _linear()))


def _bars(one: Rung) -> Markup:
    names = ("without the drug", "with the drug")
    rows = [
        row(name, bar(float(risk), percent(risk), look, f"{name}: {percent(risk)} die"))
        for name, risk, look in zip(names, one.risks, ("local", "federated"), strict=True)
    ]
    return tag("div", tag("p", tag("code", one.formula), class_="note"), *rows, class_="rows")


def _answered(one: Rung) -> Markup:
    return tag("p", one.answer, class_="lede")


def _seen_picture() -> Markup:
    return _model_picture(MODEL.graph, ())


def _done_picture() -> Markup:
    return _model_picture(MODEL.graph, (("severe", "drug"),))


def _model_picture(graph: Graph, cut: tuple[tuple[str, str], ...]) -> Markup:
    return causal_graph(graph, {"drug": "treatment", "dies": "outcome"}, said_of(graph), cut)


def _twin_picture() -> Markup:
    """Two worlds that share their noises: as it was, and as it would have been."""
    arrows, nodes = [], []
    for suffix in ("", "′"):
        for name in MODEL.graph.nodes:
            nodes.append(name + suffix)
            arrows += [(noise, name + suffix) for noise in MODEL.mechanisms[name].noises]
            arrows += [(cause + suffix, name + suffix) for cause in MODEL.mechanisms[name].parents]
    twin = make_graph(arrows, (), nodes)
    looks = dict.fromkeys(MODEL.noises, "noise") | {"drug′": "treatment", "dies′": "outcome"}
    looks |= dict.fromkeys(PATIENT, "adjusted")
    cut = (("severe′", "drug′"), ("u drug", "drug′"))
    keys = legend([("seen", "adjusted"), ("had it been", "treatment"), ("asked for", "outcome")])
    return joined([causal_graph(twin, looks, said_of(twin), cut), keys])


def _mechanisms() -> Markup:
    rows = [
        ("severe", "u severe", "1 of 2"),
        ("drug", "severe, or for 1 of 5 the other way round", "1 of 5"),
        ("dies", "fate < 2 + 2 severe - drug, with a fate from 0 to 4", "1 of 5 each"),
    ]
    return section(
        "model",
        "The model: M = (X, U, F)",
        "Three variables X, three noises U that nobody sees, three mechanisms F; all figures above follow.",
        table(("variable", "mechanism", "its noise"), rows, words=3),
    )


def _linear() -> Markup:
    ((cause, effect), weight) = next(iter(LINEAR.weights.items()))
    abducted = (SEEN[cause] - LINEAR.intercepts[cause], SEEN[effect] - weight * SEEN[cause])
    rows = [
        ("Seen", f"{cause} = {SEEN[cause]:g}, {effect} = {SEEN[effect]:g}"),
        (
            "Abduction",
            f"u1 = {SEEN[cause]:g} - 1 = {abducted[0]:g}; u2 = {SEEN[effect]:g} - 3 · {SEEN[cause]:g} = "
            f"{abducted[1]:g}",
        ),
        ("Action", f"{cause} := {HAD_BEEN[cause]:g}"),
        ("Prediction", f"{effect} = 3 · {HAD_BEEN[cause]:g} - 2 = {linear_counterfactual():g}"),
    ]
    lede = "x1 = 1 + u1, x2 = 3 x1 + u2. What would x2 have been, had x1 been 5?"
    return section("linear", "The same with numbers", lede, facts([*rows]))
