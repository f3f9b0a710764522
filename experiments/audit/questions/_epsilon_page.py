"""A section of the page: promised beside measured epsilon, and what each lower bound takes for granted."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.questions._canaries import ANY_MECHANISM, CHANCE, LOWER_BOUND, OWN_NOISE, SPENT
from experiments.audit.records import Interval, Report, Trial
from experiments.audit.report.charts import epsilon_chart
from server.reporting.markup import Markup, table
from server.reporting.sections.layout import figure, section

QUESTION = "epsilon"
ASSUMED = {
    ANY_MECHANISM: "any mechanism",
    LOWER_BOUND: "noise of this kind",
    OWN_NOISE: "and drawn anew for each signal",
}
NOTE = (
    "Lower bounds, the more is taken for granted the higher: nothing but that some epsilon holds at this delta "
    "(Steinke, Nasr and Jagielski 2023); that the mechanism adds Gaussian noise at the promised rate and steps, of "
    "whatever size (Mahloujifar, Melis and Chaudhuri 2025); and that moreover the noise is drawn anew for every "
    "signal. Each column holds for all hospitals at once with the confidence that the study asks for."
)


def figure_of(report: Report) -> Markup | None:
    """None where nothing was promised."""
    if not report.claim.epsilon:
        return None
    own = [trial for trial in report.trials if trial.kind == QUESTION and trial.possible and CHANCE in trial.figures]
    rows = [
        (site, _at_stake(own, site, promised), _bound(own, site))
        for site, promised in sorted(report.claim.epsilon.items())
    ]
    return section(
        "measured",
        "Promised and measured epsilon",
        "The bar is what signals planted in training have shown at least, the upright line what was promised (where "
        "only some of the steps were measured, what these may spend of it). A short bar, or none, proves nothing: "
        "whether the promise is kept is said by the tests, and how well these see by the faults planted for them.",
        figure("Epsilon of each hospital", epsilon_chart(rows)),
        figure("At least, by what is taken for granted", _bounds(own), note=NOTE) if own else None,
    )


def _at_stake(own: Sequence[Trial], site: str, promised: float) -> float:
    """What the measured steps may spend of the promise."""
    return min([promised, *(trial.figures[SPENT] for trial in own if trial.site == site)])


def _bound(own: Sequence[Trial], site: str) -> Interval | None:
    bounds = [trial.figures[LOWER_BOUND] for trial in own if trial.site == site and LOWER_BOUND in trial.figures]
    return Interval(max(bounds), max(bounds), max(bounds)) if bounds else None


def _bounds(own: Sequence[Trial]) -> Markup:
    rows = [
        [
            trial.attack,
            trial.site,
            f"{trial.figures['canaries']:.0f}",
            *(f"{trial.figures[name]:.2f}" if name in trial.figures else "–" for name in ASSUMED),
            f"{trial.figures[SPENT]:.3g}",
        ]
        for trial in own
    ]
    return table(["Attack", "Hospital", "Signals", *ASSUMED.values(), "May be spent"], rows)


__all__ = ["figure_of"]
