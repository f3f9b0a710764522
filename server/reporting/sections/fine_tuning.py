"""What stayed in the hospitals: parts of their own, and the model that each made of the federation's."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, ends, is_many, some
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.records import Run, Scores
from server.reporting.sections.layout import section
from server.reporting.wording import capital, count, difference, score, score_name

TUNED, TEST = "fine_tuned", "test"
Pairs = Mapping[SiteId, tuple[Scores, Scores]]
EVERYBODY = "All patients together"


def fine_tuning(run: Run) -> Markup | None:
    """None where no hospital fine-tuned the model, or no score of it is known."""
    if TUNED not in run.final:
        return None
    pairs = _pairs(run)
    if not pairs:
        return None
    name = run.about.headline or "loss"
    every = tuned(run)
    return section(
        "tuned",
        "What fine-tuning adds in each hospital",
        _lede(pairs, name),
        _ends(run, every, pairs, name)
        if every is not None and is_many(run)
        else table(["Hospital", *_head(name)], [[site, *cells] for site, cells in _rows(pairs, name).items()]),
        _where(run),
    )


def tuned(run: Run) -> ByHospital | None:
    """Scores of every hospital before and after; None where no hospital fine-tuned."""
    name = run.about.headline or "loss"
    rows = _rows(_pairs(run), name) if TUNED in run.final else {}
    return ByHospital("tuned", "Before and after fine-tuning", _head(name), rows) if rows else None


def _head(name: str) -> list[str]:
    return [f"{capital(score_name(name))} before", "after", "gain"]


def _ends(run: Run, every: ByHospital, pairs: Pairs, name: str) -> Markup:
    """Of many hospitals those who gain least and most, and all patients together."""
    gains = {site: gain for site, pair in pairs.items() if (gain := _gain(pair, name)) is not None}
    order = sorted((site for site in gains if site != EVERYBODY), key=gains.__getitem__)
    return some(run, every, [EVERYBODY, *ends(order)])


def _pairs(run: Run) -> dict[str, tuple[Scores, Scores]]:
    """Scores on the test patients before and after, by hospital, then of all; those of whom both are known."""
    before, after = run.final.get(TEST), run.final[TUNED]
    pairs = {site: (before.sites[site], one) for site, one in after.sites.items() if before and site in before.sites}
    pairs = pairs or dict(run.kept.tuned)
    if before is not None and before.pooled and after.pooled:
        pairs[EVERYBODY] = (before.pooled, after.pooled)
    return pairs


def _lede(pairs: dict[str, tuple[Scores, Scores]], name: str) -> str:
    gains = {site: gain for site, pair in pairs.items() if (gain := _gain(pair, name)) is not None}
    everybody = gains.pop(EVERYBODY, None)
    words = "Each hospital trained the federation's model further on its own patients."
    if everybody is not None:
        words += f" Over all test patients the {score_name(name)} changed by {difference(everybody)}."
    if gains:
        better = sum(gain > 0 for gain in gains.values())
        words += f" It rose at {better} of {count(len(gains), 'hospital')}."
    return words


def _gain(pair: tuple[Scores, Scores], name: str) -> float | None:
    before, after = (one.get(name) for one in pair)
    return None if before is None or after is None else after - before


def _rows(pairs: Pairs, name: str) -> dict[SiteId, list[str]]:
    rows = {}
    for site, (before, after) in pairs.items():
        gain = difference(_gain((before, after), name))
        rows[site] = [score(before.get(name)), score(after.get(name)), gain]
    return rows


def _where(run: Run) -> Child:
    kept = "Each hospital's model is in its own folder (fine-tuned/) and did not leave it."
    if run.kept.tuned:
        kept = "In this simulation each hospital's model is in hospitals/<name>/fine-tuned/ of the run's folder."
    return tag("p", kept, class_="note")
