"""How good the model is, and how sure that is: intervals, calibration, decisions, confusion, of all patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from server.reporting.by_hospital import ends, is_many, some
from server.reporting.charts.bars import legend
from server.reporting.charts.plane import Area, Curve, Plane, Spot, plane
from server.reporting.charts.scale import extent
from server.reporting.comparison import compare
from server.reporting.details import Benefit, Bin, Details
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.records import Run, Scores
from server.reporting.sections.answers import confusion_of, figures_of_answers
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.sections.result import MODELS, compared
from server.reporting.sections.result_of_many import every_score, spreads
from server.reporting.wording import NOTHING, SCORE_MEANINGS, capital, count, named, percent, score, score_name

LEAST_CELL = 5
"""Bins of fewer cases are not drawn: they say more of those cases than of the model."""
LARGEST_MARK, SMALLEST_MARK = 9.0, 3.0
DIAGONAL = ((0.0, 0.0), (1.0, 1.0))
SHOWN_THRESHOLDS = (0.02, 0.98)


def evaluation(run: Run) -> Markup | None:
    """None where nothing was scored. Where there are scores and nothing else, why that is so."""
    split = next((name for name in ("test", "validation") if _has(run, name)), None)
    if split is None:
        return None
    found, pooled = _with_patients(run, split), run.final[split].pooled
    drawn = [*(_of_odds(run, found)), *(figures_of_answers(run) if _looked_at(run, split) else [])]
    return section(
        "evaluation",
        "How good is the model, and how sure is that?",
        _lede(run, split, found, pooled),
        _scores(pooled, found, run.roster.classes),
        beside(*(part for part in (_calibration(run, found), _of_numbers(found), *drawn) if part)),
        _confusion(run, found),
        _hospitals(run, split),
    )


def _has(run: Run, split: str) -> bool:
    return split in run.final and bool(run.final[split].pooled)


def _looked_at(run: Run, split: str) -> bool:
    """Whether single patients of the split are known, as in simulation."""
    return run.patients is not None and run.patients.split == split and bool(run.patients.patients)


def _with_patients(run: Run, split: str) -> Details:
    """What sums tell, and in simulation the rest from single patients."""
    found, record = run.details.get(split, Details()), run.patients
    if record is None or not _looked_at(run, split):
        return found
    return replace(
        found,
        intervals={**record.intervals, **found.intervals},
        patients=found.patients or len(record.patients),
        confusion=found.confusion or confusion_of(record.answers),
        roc=() if record.answers.kind == "classes" else found.roc,
    )


def in_interval(value: float | None, ends: tuple[float, float] | None) -> str:
    """A score with its interval in words."""
    return score(value) if ends is None else f"{score(value)} (95 % interval {score(ends[0])} to {score(ends[1])})"


def _lede(run: Run, split: str, found: Details, pooled: Scores) -> str:
    headline = run.about.headline
    start = f"{capital(score_name(headline))} is {in_interval(pooled.get(headline), found.intervals.get(headline))}"
    whose = f", over {count(found.patients, f'{split} patient')} of all hospitals" if found.patients else ""
    untrained = " Nothing was trained: the model came as it is." if run.about.rounds_planned == 0 else ""
    return f"{start}{whose}.{untrained}{_how_sure(run, split, found)}"


def _how_sure(run: Run, split: str, found: Details) -> str:
    if not found.intervals:
        why = (
            "the promise of privacy does not cover the sums over patients that they need"
            if run.privacy is not None
            else "the study did not ask for the sums over patients that they need (federation.final_intervals)"
        )
        return f" There are no intervals: {why}."
    summed = split in run.details and bool(run.details[split].intervals)
    how = "from sums over patients" if summed else "by drawing patients of each hospital again and again (bootstrap)"
    return (
        f" Intervals are worked out {how}. Of such intervals, each from another draw of as many patients like these, "
        "95 in 100 hold the score of all patients like them; of very few patients fewer do. They know nothing of "
        "hospitals that are unlike."
    )


def _scores(pooled: Scores, found: Details, classes: Sequence[str]) -> Child:
    if not found.intervals:
        return None
    names = [name for name in sorted(pooled) if name != "auc_error"]
    rows = [
        [named(name, classes), _meaning(name, pooled, classes), score(pooled[name]), _ends(found, name)]
        for name in names
    ]
    return table(["Score", "Meaning", "Value", "95 % interval"], rows, words=2)


def _ends(found: Details, name: str) -> str:
    ends = found.intervals.get(name)
    return NOTHING if ends is None else f"{score(ends[0])} to {score(ends[1])}"


def _meaning(name: str, pooled: Scores, classes: Sequence[str]) -> str:
    base = name if name in SCORE_MEANINGS else name.rpartition("_")[0]
    told = SCORE_MEANINGS.get(base, "")
    if name == "auc" and len(classes) == 2:
        one, other = classes[1], classes[0]
        told = f"the chance that a case of {one} is given a higher chance of it than one of {other}: 0.5 is guessing"
    if name == "auc" and pooled.get("auc_error"):
        return f"{told}; scores were put in bins, which may hide up to {score(pooled['auc_error'])}"
    return told


def _class_one(run: Run) -> str:
    classes = run.roster.classes
    return repr(classes[1])[1:-1] if len(classes) == 2 else "the answer"


def _calibration(run: Run, found: Details) -> Child:
    bins = [one for one in found.calibration if one.cases >= LEAST_CELL]
    if not bins:
        return None
    word = _class_one(run)
    chart = plane(
        Plane((0, 1), (0, 1), f"predicted chance of {word}", "how often it was so"),
        describe="calibration curve",
        curves=[Curve(DIAGONAL, "quiet-line"), Curve([(one.predicted, one.observed) for one in bins], "federated")],
        spots=_spots(bins),
    )
    words = "A mark on the grey line is a chance that came true as often as predicted; its size is how many cases."
    if found.line is not None:
        intercept, slope = found.line
        words += f" Calibration line: intercept {score(intercept)}, slope {score(slope)}; 0 and 1 are perfect."
    if len(bins) < len(found.calibration):
        words += f" Bins of fewer than {LEAST_CELL} cases are not drawn."
    return figure("Do predicted chances come true?", chart, numbers("The bins", _bins_table(bins)), note=words)


def _of_numbers(found: Details) -> Child:
    bins = [one for one in found.numbers if one.cases >= LEAST_CELL]
    if not bins:
        return None
    limits = extent([value for one in bins for value in (one.predicted, one.observed)])
    chart = plane(
        Plane(limits, limits, "mean predicted", "mean of what was true"),
        describe="calibration of predicted numbers",
        curves=[
            Curve([(limits[0], limits[0]), (limits[1], limits[1])], "quiet-line"),
            Curve([(one.predicted, one.observed) for one in bins], "federated"),
        ],
        spots=_spots(bins),
    )
    words = "Cases in ten bins of their prediction. A mark on the grey line is right on average."
    return figure("Are predictions right on average?", chart, numbers("The bins", _bins_table(bins)), note=words)


def _spots(bins: Sequence[Bin]) -> list[Spot]:
    most = max(one.cases for one in bins)
    return [
        Spot(
            one.predicted,
            one.observed,
            "federated",
            f"{count(round(one.cases), 'case')}\npredicted {score(one.predicted)}\n"
            f"observed {in_interval(one.observed, one.interval)}",
            one.interval,
            max(LARGEST_MARK * sqrt(one.cases / most), SMALLEST_MARK),
        )
        for one in bins
    ]


def _bins_table(bins: Sequence[Bin]) -> Markup:
    rows = [
        [
            score(one.predicted),
            score(one.observed),
            NOTHING if one.interval is None else f"{score(one.interval[0])} to {score(one.interval[1])}",
            f"{one.cases:.0f}",
        ]
        for one in bins
    ]
    return table(["Mean predicted", "Observed", "95 % interval", "Cases"], rows, words=0)


def _of_odds(run: Run, found: Details) -> list[Child]:
    return [_decision(run, found), _roc(run, found)]


def _decision(run: Run, found: Details) -> Child:
    rows = [one for one in found.decision if SHOWN_THRESHOLDS[0] <= one.threshold <= SHOWN_THRESHOLDS[1]]
    if not rows:
        return None
    highest = max([one.model for one in rows] + [one.treat_all for one in rows] + [0.01])
    axes = Plane(
        (0, 1), (-0.25 * highest, 1.15 * highest), f"threshold of the chance of {_class_one(run)}", "net benefit"
    )
    chart = plane(
        axes,
        describe="decision curve",
        areas=[Area([(one.threshold, *one.interval) for one in rows if one.interval], "inner")],
        curves=[
            Curve([(one.threshold, 0.0) for one in rows], "quiet-line"),
            Curve(_down_to(rows, axes.y[0]), "pooled"),
            Curve([(one.threshold, one.model) for one in rows], "federated"),
        ],
    )
    key = legend([("act by the model", "federated"), ("act on everybody", "pooled"), ("act on nobody", "local")])
    words = (
        "Act where the predicted chance is at the threshold or above: true positives less false ones, weighed by the "
        "odds of the threshold, per patient (Vickers and Elkin 2006). The model helps where its line is the highest."
    )
    return figure("Is acting by the model better than acting on all, or on nobody?", key, chart, note=words)


def _down_to(rows: Sequence[Benefit], low: float) -> list[tuple[float, float]]:
    """The line of acting on everybody, until it leaves the picture."""
    kept = [(one.threshold, one.treat_all) for one in rows if one.treat_all > low]
    return [*kept, *[(one.threshold, low) for one in rows[len(kept) : len(kept) + 1]]]


def _roc(run: Run, found: Details) -> Child:
    if not found.roc:
        return None
    chart = plane(
        Plane((0, 1), (0, 1), "1 \u2212 specificity", "sensitivity"),
        describe="ROC curve",
        curves=[Curve(DIAGONAL, "quiet-line"), Curve(found.roc, "federated")],
    )
    words = f"Each point is a threshold of the chance of {_class_one(run)}. The grey line is guessing."
    return figure("ROC curve", chart, note=words)


def _confusion(run: Run, found: Details) -> Child:
    size = len(found.confusion)
    if not size:
        return None
    names = run.roster.classes if len(run.roster.classes) == size else tuple(f"class {k}" for k in range(size))
    rows = [[name, *_cells(row), str(sum(row))] for name, row in zip(names, found.confusion, strict=True)]
    head = ["Truly", *(f"answered {name}" for name in names), "Cases"]
    return figure("What was answered instead?", table(head, rows))


def _cells(row: Sequence[int]) -> list[str]:
    whole = sum(row)
    return [f"{cell} ({percent(cell / whole)})" if whole else str(cell) for cell in row]


def _hospitals(run: Run, split: str) -> Child:
    """Where nothing was trained no other part of the page shows hospitals' own scores."""
    sites = run.final[split].sites
    if run.about.rounds_planned != 0 or not sites:
        return None
    if is_many(run):
        return _of_many(run, split)
    names = sorted({name for scores in sites.values() for name in scores})
    rows = [[site, *(score(scores.get(name)) for name in names)] for site, scores in sites.items()]
    return joined(
        [
            tag("h3", f"{capital(score_name(run.about.headline))} by hospital"),
            table(["Hospital", capital(score_name(run.about.headline))], _ranked(run, split)),
            numbers("All scores by hospital", table(["Hospital", *map(capital, map(score_name, names))], rows)),
        ]
    )


def _of_many(run: Run, split: str) -> Markup:
    """Of many hospitals the highest and the lowest, and how every score is spread."""
    comparison = compare(run)
    title = tag("h3", f"{capital(score_name(run.about.headline))} by hospital")
    order = sorted(comparison.federated, key=lambda site: -comparison.federated[site])
    return joined(
        [title, spreads(comparison, MODELS), some(run, compared(comparison), ends(order)), every_score(run, split)]
    )


def _ranked(run: Run, split: str) -> list[list[str]]:
    found = {site: scores.get(run.about.headline) for site, scores in run.final[split].sites.items()}
    return [[site, score(value)] for site, value in sorted(found.items(), key=lambda one: -(one[1] or 0.0))]
