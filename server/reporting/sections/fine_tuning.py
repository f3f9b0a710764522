"""What stayed in the hospitals: parts of their own, and the model that each made of the federation's."""

from __future__ import annotations

from server.reporting.markup import Child, Markup, table, tag
from server.reporting.records import Run, Scores
from server.reporting.sections.layout import section
from server.reporting.wording import NOTHING, capital, count, difference, score, score_name

TUNED, TEST = "fine_tuned", "test"
EVERYBODY = "All patients together"


def fine_tuning(run: Run) -> Markup | None:
    """None where no hospital fine-tuned the model, or no score of it is known."""
    if TUNED not in run.final:
        return None
    pairs = _pairs(run)
    if not pairs:
        return None
    name = run.about.headline or "loss"
    return section(
        "tuned",
        "What fine-tuning adds in each hospital",
        _lede(pairs, name),
        table(["Hospital", f"{capital(score_name(name))} before", "after", "gain"], _rows(pairs, name)),
        _where(run),
    )


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


def _rows(pairs: dict[str, tuple[Scores, Scores]], name: str) -> list[list[str]]:
    rows = []
    for site, (before, after) in pairs.items():
        gain = _gain((before, after), name)
        shown = NOTHING if gain is None else difference(gain)
        rows.append([site, score(before.get(name)), score(after.get(name)), shown])
    return rows


def _where(run: Run) -> Child:
    kept = "Each hospital's model is in its own folder (fine-tuned/) and did not leave it."
    if run.kept.tuned:
        kept = "In this simulation each hospital's model is in hospitals/<name>/fine-tuned/ of the run's folder."
    return tag("p", kept, class_="note")
