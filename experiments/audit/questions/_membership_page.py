"""A section of the page: curves of telling members from others, AUCs, and the most exposed patients."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.questions._exposed import Exposed, exposed
from experiments.audit.records import Interval, Report, Trial
from experiments.audit.report.charts import LOOKS, roc_chart
from server.reporting.charts.bars import legend
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section

QUESTION = "membership"
RATES = {
    "auc": "AUC",
    "true_positive_rate_at_0.1_percent": "Found at 0.1 %",
    "true_positive_rate_at_1_percent": "Found at 1 %",
    "true_positive_rate_without_false_alarm": "Found without one",
}
SURE = (
    "The intervals of all AUCs hold jointly with the confidence that the study asks for; that of a rate holds alone, "
    "its threshold taken as given. A rate is left out where too few others were asked about to show it."
)
WHO = (
    "Whom all attacks together place above everybody who was not trained on. A patient's number counts persons of "
    "the hospital's own cases in training, in their order, which nobody outside it knows. Where so many could be "
    "chance, over all that was tried, nobody is named."
)
MOST_NAMED = 20


def figure_of(report: Report) -> Markup | None:
    """None where nobody was asked about."""
    own = [trial for trial in report.trials if trial.kind == QUESTION and trial.possible]
    together, alone = [t for t in own if not t.site], [t for t in own if t.site]
    curves = {trial.attack: trial.curve.points for trial in together if trial.curve is not None}
    if not curves:
        curves = {f"{t.attack}, {t.site}": t.curve.points for t in own[: len(LOOKS)] if t.curve is not None}
    if not curves:
        return None
    keys = legend((name, LOOKS[index % len(LOOKS)]) for index, name in enumerate(curves))
    return section(
        "told",
        "Who was a patient of the study?",
        "A curve on the dashed line is guessing. What counts is the left end: how many patients are named before the "
        "first false alarms.",
        figure("Truly against wrongly called members", keys, roc_chart(curves)),
        figure(
            "Area under the curve, and members found at a rate of false alarms", _areas(together or own), note=SURE
        ),
        tag("details", tag("summary", "Hospital by hospital"), _areas(alone)) if together and alone else None,
        figure("The most exposed patients", _most_exposed(alone), note=WHO) if alone else None,
    )


def _areas(own: Sequence[Trial]) -> Markup:
    rows = [
        [
            trial.attack,
            trial.site or "all together",
            *(_spelled(trial.intervals.get(rate)) for rate in RATES),
            f"{trial.figures['members']:.0f}, {trial.figures['others']:.0f}",
        ]
        for trial in own
    ]
    return table(["Attack", "Of", *RATES.values(), "Members, others"], rows, words=3 + len(RATES))


def _spelled(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _most_exposed(alone: Sequence[Trial]) -> Markup:
    sites = sorted({trial.site for trial in alone})
    allowed = 1 - float(alone[0].settings["confidence"])
    found = [exposed(site, alone, allowed, len(sites)) for site in sites]
    rows = [_row(one, allowed) for one in found if one is not None]
    head = ["Hospital", "Stand out", "By chance in", "Patients, by their number in the hospital"]
    return table(head, rows, words=len(head))


def _row(one: Exposed, allowed: float) -> list[str]:
    stand_out = f"{len(one.places)} of {one.asked}"
    if one.chance >= allowed:
        return [one.site, stand_out, _audits(one.chance), "nobody is named: it may be chance"]
    named = [f"{place} ({above})" for place, above in zip(one.places, one.above, strict=True)][:MOST_NAMED]
    more = len(one.places) - len(named)
    words = ", ".join(named) + (f" and {more} more" if more else "")
    return [one.site, stand_out, _audits(one.chance), f"{words}; in brackets, by how many attacks alone"]


def _audits(chance: float) -> str:
    return f"{100 * chance:.0f} of 100 audits" if chance >= 0.01 else "fewer than 1 of 100 audits"
