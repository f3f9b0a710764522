"""The verdict: a light for every hospital and question, what to change, and each rule with what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.audit.cast import Cast, cast_of_report
from experiments.audit.dossier.first_page import coded
from experiments.audit.dossier.prices import in_words
from experiments.audit.records import Light, Report, Verdict
from experiments.audit.report.words import LIGHTS, plainly
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import count

CELLS: Mapping[Light, str] = {"green": "held", "amber": "weak", "red": "no"}
BY_ITS_OWN_NODE = "by its own node"
NODE = (
    "By its own node means that the hospital's own program refuses what was sent; a hospital whose node runs "
    "whatever program the server sends, as Flower's stock node does, would answer."
)
COULD_NOT_TELL = "could not tell"
UNTOLD = (
    "Could not tell is no finding against a hospital, and none for it: the tests came to no end, or would not have "
    "seen enough of the planted faults. The reasons below say which; an audit with more --seconds, or of more data, "
    "may tell."
)
NO_SETTING = (
    "What to change: no setting of the study answers the objections below. What must be so instead stands under "
    "Conditions and decision."
)
Rule = tuple[Light, str]


def judged(report: Report) -> Markup:
    """Lights first, then advice, then the rules: what all hospitals share once, the rest under each one's name."""
    verdicts = report.verdicts
    shared, cast, lights = _shared(verdicts), cast_of_report(report), _lights(report)
    return section(
        "verdict",
        "The verdict, hospital by hospital",
        "A hospital's light is the worst of the rules below it. Their limits are settings of the study, agreed on "
        "before the run; what each rule found stands beside it, and what each attack does at the end of the page. "
        "Held means that nothing that was tried got at it, which is no proof.",
        lights,
        tag("p", NODE, class_="note") if BY_ITS_OWN_NODE in lights else None,
        tag("p", UNTOLD, class_="note") if COULD_NOT_TELL in lights else None,
        _advice(report),
        _rules("What was found for every hospital", shared, cast) if shared else None,
        *(_own(verdict, shared, cast) for verdict in verdicts),
    )


def _lights(report: Report) -> Markup:
    columns = _columns(report, cast_of_report(report))
    rows = [
        [
            verdict.site,
            _badge(verdict.light, LIGHTS[verdict.light][0]),
            *(_cell(verdict, one, report) for one in columns),
        ]
        for verdict in report.verdicts
    ]
    head = ["Hospital", "Verdict", *columns.values()]
    return table(head, rows, words=len(head))


def _columns(report: Report, cast: Cast) -> dict[str, str]:
    """Heads of those that any hospital has a light in: of questions, then of adversaries that take a condition."""
    heads = {name: question.heading for name, question in cast.in_order()}
    heads |= {name: adversary.heading for name, adversary in cast.adversaries.items() if adversary.heading}
    return {name: head for name, head in heads.items() if any(name in one.lights for one in report.verdicts)}


def _cell(verdict: Verdict, column: str, report: Report) -> Markup | str:
    light = verdict.lights.get(column)
    if light is None:
        return "not tried"
    if light == "green" and _refused(verdict, column, report):
        return _badge("amber", BY_ITS_OWN_NODE)
    return _badge(light, _weak(verdict, column, light, report))


def _refused(verdict: Verdict, column: str, report: Report) -> bool:
    """Whether it was held by a refusal of the hospital's program, which a stock node does not have."""
    adversaries = cast_of_report(report).adversaries
    own = [trial for trial in report.trials if trial.refused and trial.site in ("", verdict.site)]
    headed = [trial.observer in adversaries and bool(adversaries[trial.observer].heading) for trial in own]
    return column in {one.observer if head else one.kind for one, head in zip(own, headed, strict=True)}


def _weak(verdict: Verdict, column: str, light: Light, report: Report) -> str:
    """What the light is of: nothing was measured, or not by a test that could have told."""
    own = [trial for trial in report.trials if trial.kind == column and trial.site in ("", verdict.site)]
    if light == "green" and own and not any(trial.possible for trial in own):
        return "not measured"
    return COULD_NOT_TELL if column in verdict.could_not_tell else CELLS[light]


def _badge(light: Light, words: str) -> Markup:
    _, look, sign = LIGHTS[light]
    return tag("span", f"{sign} {words}".strip(), class_=f"badge {look}")


def _advice(report: Report) -> Markup | None:
    """Each once, with the hospitals it is for where it is not for all."""
    verdicts, lines = report.verdicts, []
    for change in dict.fromkeys(line for verdict in verdicts for line in verdict.advice):
        sites = [verdict.site for verdict in verdicts if change in verdict.advice]
        lines.append(change if len(sites) == len(verdicts) else f"{change} (For {', '.join(sites)}.)")
    if not lines:
        return tag("p", NO_SETTING, class_="note") if any(one.light != "green" for one in verdicts) else None
    sheet = report.dossier
    costs = [] if sheet is None else [*map(in_words, sheet.prices), sheet.price_note]
    note = tag("p", coded(" ".join(costs)), class_="note") if costs else None
    what = tag("ul", *(tag("li", coded(line)) for line in lines))
    return tag("div", tag("h3", "What to change, and what it costs"), what, note, class_="figure")


def _shared(verdicts: Sequence[Verdict]) -> list[Rule]:
    """Rules that say the same of every hospital; none where there is only one."""
    if len(verdicts) < 2:
        return []
    others = [set(verdict.reasons) for verdict in verdicts[1:]]
    return [rule for rule in dict.fromkeys(verdicts[0].reasons) if all(rule in other for other in others)]


def _rules(title: str, rules: Sequence[Rule], cast: Cast) -> Markup:
    return tag("div", tag("h3", title), _listed(rules, cast), class_="figure")


def _listed(rules: Sequence[Rule], cast: Cast) -> Markup:
    lines = (tag("li", _badge(light, ""), f" {plainly(words, cast)}") for light, words in rules)
    return tag("ul", *lines, class_="plain")


def _own(verdict: Verdict, shared: Sequence[Rule], cast: Cast) -> Markup | None:
    """What was found for one hospital alone: objections open, the rest folded."""
    rules = [rule for rule in dict.fromkeys(verdict.reasons) if rule not in shared]
    open_, folded = [rule for rule in rules if rule[0] != "green"], [rule for rule in rules if rule[0] == "green"]
    if not rules:
        return None
    title = f"{verdict.site}: {count(len(folded), 'rule')} without objection"
    more = tag("details", tag("summary", title), _listed(folded, cast)) if folded else None
    return tag(
        "div",
        tag("h3", verdict.site) if open_ else None,
        _listed(open_, cast) if open_ else None,
        more,
        class_="figure" if open_ else None,
    )
