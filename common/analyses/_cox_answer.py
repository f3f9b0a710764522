"""What a Cox regression answers beside its coefficients: are hazards proportional, the baseline, who stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._concordance import Concordance
from common.analyses._newton import Climbed
from common.analyses._partial_likelihood import Partial, proportionality
from common.analyses._preparation import Prepared
from common.analyses._risk_sets import Grid
from common.asking.answer import Answer, Cell, Figure, Series, Table

Values = NDArray[np.float64]


def of_grid(prepared: Prepared, grid: Grid, last: list[Partial], information: Values) -> Answer:
    """What only the sums by time can tell: proportional hazards, the baseline, and whose covariates stand alone."""
    at_risk = np.flip(np.cumsum(np.flip(grid.leaving, axis=1), axis=1), axis=1)
    survival = [_before(grid.events[s], at_risk[s]) for s in range(len(grid.strata))]
    each, together = proportionality(
        [(one, 1 - survival[s], grid.event_sums[s]) for s, one in enumerate(last)], information
    )
    names, degrees = prepared.names[1:], len(each)
    rows: list[tuple[Cell, ...]] = [
        (name, value, float(stats.chi2.sf(value, 1))) for name, value in zip(names, each.tolist(), strict=True)
    ]
    rows.append(("all together", together, float(stats.chi2.sf(together, degrees))))
    note = "Against an effect that changes with 1 - Kaplan-Meier (Grambsch and Therneau 1994)."
    alone = int(np.count_nonzero(grid.leaving == 1))
    baseline = [np.exp(-np.cumsum(one.hazards)) for one in last]
    numbers = {
        "proportional_hazards": {str(name): {"chi_squared": value, "p": p} for name, value, p in rows},
        "times": grid.times.tolist(),
        "baseline_survival": {word: values.tolist() for word, values in zip(grid.strata, baseline, strict=True)},
        "left_alone": alone,
    }
    bad = [str(name) for name, _, p in rows[:-1] if isinstance(p, float) and p < 0.05]
    words = [f"The hazard ratio of {', '.join(bad)} is not the same at all times (p < 0.05)."] * bool(bad)
    words.append(
        f"At {alone} places of the time grid one person left alone: the sums there are that person's covariates."
    )
    figure = Figure(
        "steps",
        "Survival at the mean of all covariates",
        "time",
        "without the event",
        tuple(
            Series(word or "everybody", (0.0, *grid.times.tolist()), (1.0, *values.tolist()))
            for word, values in zip(grid.strata, baseline, strict=True)
        ),
    )
    table = Table("Are hazards proportional?", ("", "chi-squared", "p"), tuple(rows), note)
    return Answer(numbers, (table,), (figure,), tuple(words))


def with_concordance(answer: Answer, found: Concordance) -> Answer:
    numbers = {**answer.numbers, "concordance": asdict(found)}
    if found.middle is None:
        return replace(answer, numbers=numbers)
    said = (
        f"Of {found.pairs} pairs of which one had the event first, the model puts {100 * found.middle:.1f} % in "
        f"order (between {100 * found.low:.1f} and {100 * found.high:.1f} %, risks being counted in bins)."
    )
    return replace(answer, numbers=numbers, words=(*answer.words, said))


def _before(events: Values, at_risk: Values) -> Values:
    """Kaplan-Meier just before each time."""
    factors = 1 - events / np.where(at_risk > 0, at_risk, 1)
    return np.concatenate([[1.0], np.cumprod(factors)[:-1]])


def tests_table(numbers: Mapping[str, Any]) -> Table:
    names = {"likelihood_ratio": "likelihood ratio", "wald": "Wald", "score": "score"}
    rows = tuple(
        (word, numbers["tests"][key]["statistic"], numbers["tests"][key]["p"]) for key, word in names.items()
    )
    return Table("Do the covariates tell of the hazard?", ("test", "chi-squared", "p"), rows)


def endless(prepared: Prepared, climb: Climbed) -> str:
    if climb.useless is not None:
        return (
            f"covariate {prepared.names[1 + climb.useless]!r} tells nothing beyond the others of who has the "
            "event first among those at risk together: leave it out."
        )
    sizes = np.abs(climb.direction) / (np.max(np.abs(climb.direction), initial=0.0) or 1.0)
    named = [name for name, size in zip(prepared.names[1:], sizes, strict=True) if size > 1e-3]
    return (
        f"the hazard ratio of {', '.join(named)} is not finite: where it is high, or low, whoever is at "
        "risk never, or always first, has the event. Leave it out, or join levels."
    )
