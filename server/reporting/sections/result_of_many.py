"""Scores of many hospitals: how each is spread, and which hospitals are at its ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from common.data.names import SiteId
from server.reporting.by_hospital import ENDS, ByHospital, folded, linked
from server.reporting.charts.bars import row
from server.reporting.charts.histogram import histogram, tallest
from server.reporting.charts.scale import Scale, extent
from server.reporting.charts.strip import strip_axis
from server.reporting.comparison import Comparison, column
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.records import Run, Scores
from server.reporting.sections.layout import beside, figure, numbers
from server.reporting.wording import NOTHING, SCORE_MEANINGS, capital, count, difference, named, score, score_name

LEAST_IS_BEST = frozenset(
    ("loss", "hd", "hd95", "hd95_voxels", "assd", "masd", "missed", "folded", "mae", "rmse", "brier", "nmse", "hfen")
) | {"calibration_error", "epe_mm", "composition"}
MOST_SCORES = 16
QUANTILES = {"Lowest": 0.0, "10 % are below": 0.1, "Middle": 0.5, "10 % are above": 0.9, "Highest": 1.0}


def spreads(comparison: Comparison, words: Mapping[str, str]) -> Markup:
    """A histogram of every model's score, and of what hospitals gain. words: what a model is called."""
    models = comparison.models
    scale = Scale(*extent([value for scores in models.values() for value in scores.values()]), 1, 99)
    rows = [_spread(capital(words[model]), scores, scale, model, score) for model, scores in models.items()]
    drawn = tag("div", *rows, row("", strip_axis(scale)), class_="rows strips")
    most = max(tallest(list(scores.values()), scale) for scores in models.values())
    note = f"{capital(score_name(comparison.score))} of hospitals. {_columns(most)}"
    return joined([drawn, tag("p", note, class_="note"), _gains(comparison)])


def _columns(most: int) -> str:
    hospitals = count(most, "hospital")
    return f"A column stands for all hospitals within its ends, the tallest for {hospitals}; the line is their mean."


def _spread(
    title: str, scores: Mapping[SiteId, float], scale: Scale, look: str, words: Callable[[float], str]
) -> Markup:
    values = list(scores.values())
    drawn = histogram(values, scale, look, lambda low, high: f"{words(low)} to {words(high)}")
    return row(title, drawn, note=f"mean {words(float(np.mean(values)))}")


def _gains(comparison: Comparison) -> Child:
    gains = comparison.gains
    if not gains:
        return None
    scale = Scale(*extent([*gains.values(), 0.0]), 1, 99)
    drawn = _spread("Federated minus alone", gains, scale, "federated", difference)
    rows = tag("div", drawn, row("", strip_axis(scale)), class_="rows strips")
    return figure("What each hospital gains", rows, note=_columns(tallest(list(gains.values()), scale)))


def scored(run: Run, split: str) -> ByHospital | None:
    """Every score of the final model by hospital; None where there are none of single hospitals."""
    names = _names(run, split)
    if not names:
        return None
    rows = {site: [score(one.get(name)) for name in names] for site, one in run.final[split].sites.items()}
    head = [named(name, run.roster.classes) for name in names]
    return ByHospital("scores", "All scores of the federated model", head, rows)


def every_score(run: Run, split: str) -> Child:
    """Every score's spread over hospitals, and who is worst and best in it."""
    if split not in run.final:
        return None
    names, pooled = _names(run, split), run.final[split].pooled
    at = {name: column(run.final[split].sites, name) for name in names}
    at |= {name: {} for name in sorted(pooled) if name not in at and name != "auc_error"}
    spread = numbers("How every score is spread over the hospitals", _quantiles(run, at, pooled)) if at else None
    every, classes = scored(run, split), run.roster.classes
    if every is None:
        return spread
    drawn = [_ends(name, named(name, classes), at[name]) for name in names[:MOST_SCORES]]
    more = f", the first {MOST_SCORES} of {len(names)} scores" if len(names) > MOST_SCORES else ""
    order = sorted(every.rows, key=lambda site: -at[names[0]].get(site, 0.0))
    which = f"highest and lowest {named(names[0], classes)}"
    worst = numbers(f"Who is worst and who is best{more}", beside(*drawn))
    return joined([spread, worst, folded(run, every, every.title, order, which)])


def _names(run: Run, split: str) -> list[str]:
    """Scores that single hospitals have."""
    sites = run.final[split].sites if split in run.final else {}
    return sorted({name for one in sites.values() for name in one} - {"auc_error"})


def _quantiles(run: Run, at: Mapping[str, Mapping[SiteId, float]], pooled: Scores) -> Markup:
    shares = list(QUANTILES.values())
    rows = [
        [
            named(name, run.roster.classes),
            score(pooled.get(name)),
            *(map(score, np.quantile(list(found.values()), shares).tolist()) if found else [NOTHING] * len(shares)),
            f"{len(found):,}",
        ]
        for name, found in at.items()
    ]
    return table(["Score", "All patients together", *QUANTILES, "Hospitals"], rows)


def _ends(name: str, title: str, found: Mapping[SiteId, float]) -> Markup:
    least, most = _sides(name)
    order = sorted(found, key=lambda site: (found[site], site))
    low, high = order[:ENDS], order[::-1][:ENDS]
    if least == "Best":
        least, most, low, high = most, least, high, low
    rows = [
        [str(k), _cell(one, found), _cell(other, found)]
        for k, (one, other) in enumerate(zip(low, high, strict=True), 1)
    ]
    return figure(title, table(["Place", least, most], rows, words=3), note=_shared(found))


def _shared(found: Mapping[SiteId, float]) -> str | None:
    """Where more hospitals have one value than there are places, so that who is shown is chance."""
    shared = Counter(map(score, found.values()))
    low, high = score(min(found.values())), score(max(found.values()))
    told = [f"{count(shared[value], 'hospital')} have {value}" for value in dict.fromkeys((low, high))]
    return f"{'; '.join(told)}." if max(shared[low], shared[high]) > ENDS else None


def _cell(site: SiteId, found: Mapping[SiteId, float]) -> Markup:
    return joined([linked(site), f" {score(found[site])}"])


def _sides(name: str) -> tuple[str, str]:
    """What the low and the high end of a score are called; of a score that is not ours, nobody says which is good."""
    base: Sequence[str] = [known for known in SCORE_MEANINGS if name == known or name.startswith(f"{known}_")]
    if not base and name not in LEAST_IS_BEST:
        return "Lowest", "Highest"
    known = max(base, key=len) if base else name
    return ("Best", "Worst") if known in LEAST_IS_BEST else ("Worst", "Best")
