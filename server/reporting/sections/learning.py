"""How the model learned: its score and its training loss over rounds."""

from __future__ import annotations

from collections.abc import Mapping

from server.reporting.by_hospital import is_many
from server.reporting.charts.lines import Band, Line, line_chart
from server.reporting.curves import Curves, evaluation_curves, training_curves
from server.reporting.markup import Markup, table, tag
from server.reporting.records import Run
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, capital, count, named, score, score_name

MOST_LINES, MOST_SCORES = 8, 4
EVERYBODY = "all hospitals"


def learning(run: Run) -> Markup | None:
    """None before the first round."""
    if not run.rounds:
        return None
    headline = run.about.headline or "loss"
    scores, losses = evaluation_curves(run, headline), training_curves(run)
    name = capital(score_name(headline))
    return section(
        "learning",
        "How the model learned",
        _lede(run, headline, scores),
        beside(
            figure(f"{name} on {scores.split} patients", _chart(scores, f"{name} over rounds"), note=_note(scores)),
            _losses(run, losses),
            *_of_classes(run),
        ),
        numbers("The numbers of every round", _table(scores, losses, name)),
    )


def _of_classes(run: Run) -> list[Markup]:
    """A chart for each score that classes have one each of: its curve by class, over all hospitals together."""
    classes = run.roster.classes
    seen = {name for one in run.rounds if one.evaluation is not None for name in one.evaluation.pooled}
    bases = sorted({name.rpartition("_")[0] for name in seen if named(name, classes) != capital(score_name(name))})
    drawn = []
    for base in bases[:MOST_SCORES]:
        own = {
            classes[k]: evaluation_curves(run, f"{base}_{k}") for k in range(len(classes)) if f"{base}_{k}" in seen
        }
        lines = [Line(name, one.pooled, f"c{k}") for k, (name, one) in enumerate(list(own.items())[:MOST_LINES], 1)]
        split = next(iter(own.values())).split
        title = f"{capital(score_name(base))} of each class, {split} patients of all hospitals"
        chart = line_chart(lines, describe=f"{score_name(base)} of classes over rounds", x_word="round", words=score)
        more = f"Drawn are the first {MOST_LINES} of {len(own)} classes." if len(own) > MOST_LINES else None
        drawn.append(figure(title, chart, numbers("As numbers", _class_table(own)), note=more))
    return drawn


def _class_table(curves: Mapping[str, Curves]) -> Markup:
    at = {name: dict(one.pooled) for name, one in curves.items()}
    rounds = sorted({x for one in at.values() for x in one})
    rows = [[f"{x:g}", *(score(one.get(x)) for one in at.values())] for x in rounds]
    return table(["Round", *at], rows)


def _losses(run: Run, losses: Curves) -> Markup:
    if run.privacy is not None:
        words = "Under differential privacy no score of training leaves a hospital: it would carry no noise."
        return figure("Training loss", tag("p", words, class_="quiet"))
    return figure("Training loss", _chart(losses, "training loss over rounds"), note=_note(losses))


def _lede(run: Run, headline: str, scores: Curves) -> str:
    known = [(x, y) for x, y in scores.pooled if y is not None]
    if len(known) < 2 or headline == "loss":
        each = "The middle hospital of each round" if is_many(run) else "Each line is one hospital"
        return f"{each}; the bold line is over all patients together."
    (_, first), (last_round, last) = known[0], known[-1]
    best_round, best = max(known, key=lambda point: point[1])
    name = score_name(headline)
    way = f"went from {score(first)} to {score(last)} in {count(int(last_round), 'round')}"
    start = f"Over all {scores.split} patients the {name} {way}"
    if best - last < 0.0005:
        return f"{start}; no round before scored higher."
    return f"{start}; it was highest after round {best_round:g}, at {score(best)}."


def _chart(curves: Curves, describe: str) -> Markup:
    pooled = Line(EVERYBODY, curves.pooled, "everybody")
    if len(curves.sites) <= MOST_LINES:
        lines = [Line(site, points, f"c{k}") for k, (site, points) in enumerate(curves.sites.items(), 1)]
        return line_chart([*lines, pooled], describe=describe, x_word="round", words=score)
    bands = [
        Band("80 % of hospitals", curves.quantile(0.1), curves.quantile(0.9), "outer"),
        Band("half of hospitals", curves.quantile(0.25), curves.quantile(0.75), "inner"),
    ]
    median = Line("median hospital", curves.quantile(0.5), "median")
    return line_chart([median, pooled], bands, describe=describe, x_word="round", words=score)


def _note(curves: Curves) -> str | None:
    if len(curves.sites) <= MOST_LINES:
        return None
    return f"Dark band: the middle half of {len(curves.sites)} hospitals; light band: the middle 80 %."


def _table(scores: Curves, losses: Curves, name: str) -> Markup:
    at_score, at_loss = dict(scores.pooled), dict(losses.pooled)
    low, high = dict(scores.quantile(0.0)), dict(scores.quantile(1.0))
    rows = [
        [f"{x:g}", *(score(column.get(x)) if x in column else NOTHING for column in (at_score, low, high, at_loss))]
        for x in sorted({*at_score, *at_loss})
    ]
    return table(["Round", f"{name}, all patients", "Lowest hospital", "Highest hospital", "Training loss"], rows)
