"""The first page: what was promised, what was tried, what came back, and the verdict for each hospital."""

from __future__ import annotations

from experiments.audit.records import Report, Verdict
from experiments.audit.words import (
    KINDS,
    LIGHTS,
    QUESTIONS,
    answer,
    opening_sentence,
    overall,
    promise_sentence,
    reasons,
)
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import count, duration


def opening(report: Report) -> Markup:
    """Title, overall light, finding, key figures."""
    word, look, sign = LIGHTS[overall(report)]
    badge = tag("span", f"{sign} {word}", class_=f"badge {look}")
    return tag(
        "header",
        tag("p", tag("span", "Privacy audit report", class_="kind"), badge, class_="overline"),
        tag("h1", report.title or report.study),
        tag("p", opening_sentence(report), class_="finding"),
        _tiles(report),
    )


def _tiles(report: Report) -> Markup:
    tried = [trial for trial in report.trials if trial.possible]
    tiles = [
        (str(len(report.verdicts)), "hospitals"),
        (str(len({trial.attack for trial in tried})), "kinds of attack made"),
        (str(len(tried)), "attempts"),
        (duration(report.seconds), "of attacking"),
    ]
    return tag("div", *(tag("div", tag("b", a), tag("span", b), class_="tile") for a, b in tiles), class_="tiles")


def promised(report: Report) -> Markup:
    """What the run claims of itself."""
    claim = report.claim
    simulated = claim.noise_source.startswith("seed")
    words = "The noise of this run came from its seed, as in every simulation: a deployment draws it from the system."
    return section(
        "promised",
        "What was promised",
        promise_sentence(report),
        tag("p", f"Who can read what hospitals send: {claim.readers}"),
        tag("p", words, class_="note") if simulated else None,
    )


def tried(report: Report) -> Markup:
    """One row a kind of attack, in plain words."""
    rows = []
    for kind, title in KINDS.items():
        own = [trial for trial in report.trials if trial.kind == kind]
        knowledge = list(dict.fromkeys(trial.knowledge for trial in own if trial.possible))
        rows.append([title, QUESTIONS[kind], "; ".join(knowledge) or "–", answer(kind, report.trials)])
    return section(
        "tried",
        "What was tried, and what came back",
        "Each attack knows only what its attacker could know. The true data were used afterwards, to score it.",
        table(["Attack", "The question", "What the attacker was given", "What came back"], rows, words=4),
    )


def judged(report: Report) -> Markup:
    """A card a hospital."""
    return section(
        "verdict",
        "The verdict, hospital by hospital",
        "The light is the worst of the rules below it. Their limits are settings of the study, agreed on before the "
        "run; what each rule found stands beside it.",
        *(_card(verdict) for verdict in report.verdicts),
    )


def _card(verdict: Verdict) -> Markup:
    word, look, sign = LIGHTS[verdict.light]
    lines = [
        tag("li", tag("span", LIGHTS[light][2], class_=f"badge {LIGHTS[light][1]}"), f" {words}")
        for light, words in reasons(verdict)
    ]
    shown, folded = lines[:5], lines[5:]
    more = (
        tag("details", tag("summary", count(len(folded), "further finding")), tag("ul", *folded)) if folded else None
    )
    advice = tag("ul", *(tag("li", line) for line in verdict.advice))
    return tag(
        "div",
        tag("h3", f"{verdict.site} ", tag("span", f"{sign} {word}", class_=f"badge {look}")),
        tag("ul", *shown, class_="plain"),
        more,
        tag("p", tag("b", "What to change")) if verdict.advice else None,
        advice if verdict.advice else None,
        class_="figure",
    )
