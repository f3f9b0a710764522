"""The first page: what was promised, what was tried, and what came back."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.cast import Cast, cast_of_report
from experiments.audit.dossier.first_page import asked, coded, judged_line
from experiments.audit.dossier.pyramid import pyramid
from experiments.audit.records import Power, Report
from experiments.audit.report.headline import opening_sentence
from experiments.audit.report.words import LIGHTS, answer, by_whom, overall, plainly, promise_sentence
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section
from server.reporting.sections.promise import beside_list, uncovered_table
from server.reporting.wording import duration


def opening(report: Report) -> Markup:
    """What is judged, the question and its answer, key figures."""
    light = overall(report)
    word, look, sign = LIGHTS[light]
    badge = tag("span", f"{sign} {word}", class_=f"badge {look}")
    return tag(
        "header",
        tag("p", tag("span", "Privacy audit report", class_="kind"), badge, class_="overline"),
        judged_line(report),
        tag("h1", report.title or report.study),
        asked(light, opening_sentence(report)),
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
        tag("ul", *(tag("li", sentence) for sentence in claim.trusts)) if claim.trusts else None,
        pyramid(report),
        beside_list(claim.beside, claim.unit, claim.delta),
        uncovered_table(claim.not_covered),
        tag("p", words, class_="note") if simulated else None,
    )


def tried(report: Report) -> Markup:
    """One row a question, in plain words."""
    rows, cast = [], cast_of_report(report)
    for name, question in cast.in_order():
        own = [trial for trial in report.trials if trial.kind == name]
        known = dict.fromkeys(f"{by_whom(trial, cast)}, given {trial.knowledge}" for trial in own if trial.possible)
        if own:
            said = coded(plainly(answer(name, report, cast), cast))
            rows.append([question.title, question.asks, "; ".join(known) or "–", said])
    return section(
        "tried",
        "What was tried, and what came back",
        "Each attack knows only what its attacker could know. The true data were used afterwards, to score it.",
        table(["Attack", "The question", "By whom, given what", "What came back"], rows, words=4),
        _power(report, cast),
    )


def _power(report: Report, cast: Cast) -> Markup:
    """What would have been seen of faults that were planted on purpose."""
    if not report.power:
        words = "No fault was planted to see whether these attacks would have seen it: what was held is no proof."
        return tag("p", words, class_="note")
    together: dict[tuple[str, str, str], list[str]] = {}
    for one in report.power:
        if one.question in cast.questions:
            by = plainly(one.attack or "none could be shown it", cast)
            together.setdefault((cast.questions[one.question].title, by, _seen(one)), []).append(one.fault)
    rows = [[title, "; ".join(faults), by, _each(seen, faults)] for (title, by, seen), faults in together.items()]
    head = ["Question", "Planted fault", "Looked for by", "Would have been seen"]
    return figure("Power: faults planted on purpose", table(head, rows, words=4))


def _seen(one: Power) -> str:
    return f"in {one.seen} of {one.of}" if one.of else "not shown"


def _each(seen: str, faults: Sequence[str]) -> str:
    return f"each {seen}" if len(faults) > 1 else seen
