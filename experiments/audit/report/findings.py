"""The evidence: rebuilt pictures beside originals, curves of telling members from others, measured epsilon."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.records import CHANCE, Interval, Rebuilt, Report, Trial
from experiments.audit.report.charts import LOOKS, epsilon_chart, roc_chart
from server.reporting.charts.bars import legend
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure, section

MOST_PAIRS, FEWEST_PAIRS = 9, 3
RATES = {
    "auc": "Area",
    "true_positive_rate_at_0.1_percent": "Found at 0.1 %",
    "true_positive_rate_at_1_percent": "Found at 1 %",
    "true_positive_rate_without_false_alarm": "Found without one",
}
SURE = (
    "All areas' intervals hold at once with the confidence that the study asks for; that of a rate holds alone, its "
    "threshold taken as given. A rate is left out where too few others were asked about to show it."
)
SECRET = (
    "This page shows data of patients. It is made from a simulation, where the data are at hand; treat the file as "
    "you treat the data. `--no-pictures` leaves them out."
)


def rebuilt(report: Report) -> Markup | None:
    """Originals beside reconstructions; None where nothing was rebuilt."""
    pairs = [(t, one) for t in report.trials if t.observer != "cheating" for one in t.rebuilt]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (pair[1].identifies, pair[1].tells, pair[1].ssim), reverse=True)
    telling = sum(one.tells for _, one in pairs)
    pictured = [pair for pair in pairs if pair[1].original][: min(MOST_PAIRS, max(telling, FEWEST_PAIRS))]
    likeness = ["Likeness", "To others", "Of others"]
    head = ["Attack", "Hospital", *likeness, "PSNR, dB", "The right patient is", "1 by chance"]
    rows = [[_attack(t), r.site, *_likeness(r), f"{r.psnr_db:.1f}", _place(r), f"{r.chance:.3f}"] for t, r in pairs]
    return section(
        "rebuilt",
        "What came back of patients' data",
        "Left the patient's own, right what the attack came up with, most alike first; of a volume the middle slices "
        "across its three axes. Likeness is structural similarity (for tables, correlation) once brightness and "
        "contrast are set right: 1 is the same. To others: of what came back, to the most alike case of a patient "
        "who is not behind the update. Of others: of another patient's case, put in the place of what came back.",
        tag("p", SECRET.replace("`", ""), class_="banner warn") if pictured else None,
        tag("div", *(pair(t, r) for t, r in pictured), class_="cards") if pictured else None,
        tag("details", tag("summary", "All attempts in numbers"), table(head, rows, words=2)),
    )


def _attack(trial: Trial) -> str:
    """Its name, and whether it is the coordinator's alone."""
    return f"{trial.attack} (others collude)" if trial.observer == "colluding" else trial.attack


def _likeness(one: Rebuilt) -> list[str]:
    return [f"{value:.2f}" for value in (one.ssim, one.rival, one.decoy)]


def _place(one: Rebuilt) -> str:
    return f"number {one.rank} of {one.among}"


def pair(trial: Trial, one: Rebuilt) -> Markup:
    """A card: the patient's own picture beside what was rebuilt."""
    head = tag("div", f"{_attack(trial)}, {one.site}", tag("span", f"likeness {one.ssim:.2f}"), class_="card-head")
    images = [
        tag("figure", tag("img", src=source, alt=word), tag("figcaption", word))
        for source, word in ((one.original, "the patient's own"), (one.rebuilt, "rebuilt"))
    ]
    words = f"The right patient is {_place(one)} by likeness{_by_chance(one)}"
    note = tag("p", f"{words}; to the most alike of others it has {one.rival:.2f}.", class_="note")
    return tag("div", head, tag("div", *images, class_="triple"), note)


def _by_chance(one: Rebuilt) -> str:
    """What a first place is worth, where chance gives it often and nothing else speaks for it."""
    if one.rank > 1 or one.chance < CHANCE or one.copies:
        return ""
    return f" (by chance alone in {100 * one.chance:.0f} of 100 tries)"


def told(report: Report) -> Markup | None:
    """ROC curves of membership attacks on all hospitals together; None where there were none."""
    own = [trial for trial in report.trials if trial.kind == "membership" and trial.possible]
    together, alone = [t for t in own if not t.site], [t for t in own if t.site]
    curves = {trial.attack: trial.curve.points for trial in own if trial.site == "" and trial.curve is not None}
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
    )


def _areas(own: Sequence[Trial]) -> Markup:
    rows = [
        [
            trial.attack,
            trial.site or "all together",
            *(_spelled(trial.intervals.get(rate)) for rate in RATES),
            _asked(trial),
        ]
        for trial in own
        if "auc" in trial.intervals
    ]
    return table(["Attack", "Of", *RATES.values(), "Members, others"], rows, words=3 + len(RATES))


def _asked(trial: Trial) -> str:
    return f"{trial.figures['members']:.0f}, {trial.figures['others']:.0f}"


def _spelled(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def measured(report: Report) -> Markup | None:
    """Promised beside measured epsilon; None where none was promised."""
    if not report.claim.epsilon:
        return None
    rows = [
        (site, _at_stake(report, site, promised), _bound(report, site))
        for site, promised in sorted(report.claim.epsilon.items())
    ]
    return section(
        "measured",
        "Promised and measured epsilon",
        "The bar is what attacks on the training have shown at least, the upright line what was promised (where only "
        "some of the steps were measured, what these may spend of it). A bar that passes its line is a broken "
        "promise; a short bar, or none, proves nothing.",
        figure("Epsilon of each hospital", epsilon_chart(rows)),
    )


def _at_stake(report: Report, site: str, promised: float) -> float:
    """What the measured steps may spend of the promise."""
    name = "epsilon_claimed_for_audited_steps"
    own = [trial for trial in report.trials if trial.kind == "epsilon" and trial.site == site]
    return min([promised, *(trial.figures[name] for trial in own if name in trial.figures)])


def _bound(report: Report, site: str) -> Interval | None:
    own = [trial for trial in report.trials if trial.kind == "epsilon" and trial.possible and trial.site == site]
    bounds = [trial.figures["epsilon_lower_bound"] for trial in own if "epsilon_lower_bound" in trial.figures]
    return Interval(max(bounds), max(bounds), max(bounds)) if bounds else None
