"""What the model answers beside what is true, case by case: only of a simulation's test patients."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from server.reporting.charts.bars import legend
from server.reporting.charts.plane import Curve, Plane, Spot, plane
from server.reporting.charts.scale import extent, ticks
from server.reporting.markup import Child, table
from server.reporting.patients import Answers
from server.reporting.records import Run
from server.reporting.sections.layout import figure, numbers
from server.reporting.survival import Group, by_risk, kaplan_meier, log_rank, steps
from server.reporting.wording import plain, score

DIAGONAL = ((0.0, 0.0), (1.0, 1.0))
MOST_CLASSES_DRAWN = 8
MOST_SPOTS = 1500
LIMITS_OF_AGREEMENT = 1.96
RISK_LOOKS = {"low risk": "c3", "middle risk": "c2", "high risk": "c6"}


def figures_of_answers(run: Run) -> list[Child]:
    """Whatever the kind of answers allows; [] where there are none."""
    if run.patients is None or not run.patients.answers.kind:
        return []
    answers = run.patients.answers
    if answers.kind == "numbers":
        return [_scatter(answers), _bland_altman(answers)]
    if answers.kind == "survival":
        return [_survival(answers)]
    return [_roc_of_classes(answers, run.roster.classes)]


def confusion_of(answers: Answers) -> tuple[tuple[int, ...], ...]:
    """Cases by true class and by the class of the highest chance; () where answers are no classes."""
    if answers.kind != "classes":
        return ()
    classes = len(answers.chances[0])
    rows = [[0] * classes for _ in range(classes)]
    for true, chances in zip(answers.true, answers.chances, strict=True):
        rows[int(true)][max(range(classes), key=lambda k: chances[k])] += 1
    return tuple(map(tuple, rows))


def roc_of(values: Sequence[float], is_so: Sequence[bool]) -> tuple[list[tuple[float, float]], float | None]:
    """Points (1 - specificity, sensitivity) at every threshold, and the area; ([], None) where one kind is absent."""
    positives, negatives = sum(is_so), len(is_so) - sum(is_so)
    if not positives or not negatives:
        return [], None
    points, hits, misses, area = [(0.0, 0.0)], 0, 0, 0.0
    order = sorted(range(len(values)), key=lambda at: -values[at])
    for place, at in enumerate(order):
        hits, misses = hits + is_so[at], misses + (not is_so[at])
        if place + 1 == len(order) or values[order[place + 1]] != values[at]:
            before = points[-1]
            points.append((misses / negatives, hits / positives))
            area += (points[-1][0] - before[0]) * (points[-1][1] + before[1]) / 2
    return points, area


def _roc_of_classes(answers: Answers, names: Sequence[str]) -> Child:
    classes = len(answers.chances[0])
    shown = [1] if classes == 2 else list(range(min(classes, MOST_CLASSES_DRAWN)))
    curves, keys, rows = [], [], []
    for place, k in enumerate(shown, 1):
        name = names[k] if k < len(names) else f"class {k}"
        points, area = roc_of([one[k] for one in answers.chances], [int(true) == k for true in answers.true])
        if area is not None:
            look = "federated" if classes == 2 else f"c{place}"
            curves.append(Curve(points, look))
            keys.append((f"{name} (area {score(area)})", look))
            rows += [[name, score(x), score(y)] for x, y in points]
    if not curves:
        return None
    chart = plane(
        Plane((0, 1), (0, 1), "1 \u2212 specificity", "sensitivity"),
        describe="ROC curve",
        curves=[Curve(DIAGONAL, "quiet-line"), *curves],
    )
    words = "Each point is a threshold of the predicted chance. The grey line is guessing."
    if classes > MOST_CLASSES_DRAWN:
        words += f" Drawn are the first {MOST_CLASSES_DRAWN} of {classes} classes, each against all others."
    points_table = table(["Class", "1 \u2212 specificity", "Sensitivity"], rows)
    return figure("ROC curve", legend(keys), chart, numbers("The points", points_table), note=words)


def _scatter(answers: Answers) -> Child:
    pairs = list(zip(answers.true, answers.answers, strict=True))
    limits = extent([one for pair in pairs for one in pair])
    spots = [
        Spot(true, said, "federated", f"{site}, {patient}\ntrue {score(true)}\npredicted {score(said)}", None, 3.0)
        for (true, said), site, patient in list(zip(pairs, answers.sites, answers.patients, strict=True))[:MOST_SPOTS]
    ]
    chart = plane(
        Plane(limits, limits, "true", "predicted"),
        describe="predicted against true numbers",
        curves=[Curve([(limits[0], limits[0]), (limits[1], limits[1])], "quiet-line")],
        spots=spots,
    )
    rows = [
        [patient, site, score(true), score(said)]
        for (true, said), site, patient in zip(pairs, answers.sites, answers.patients, strict=True)
    ]
    values = numbers("Every case", table(["Patient", "Hospital", "True", "Predicted"], rows, words=2))
    return figure("Predicted against true", chart, values, note="A mark on the grey line is exactly right.")


def _bland_altman(answers: Answers) -> Child:
    pairs = list(zip(answers.true, answers.answers, strict=True))
    if len(pairs) < 3:
        return None
    differences = [said - true for true, said in pairs]
    middles = [(said + true) / 2 for true, said in pairs]
    mean, half = fmean(differences), LIMITS_OF_AGREEMENT * stdev(differences)
    x, y = extent(middles), extent([*differences, mean - half, mean + half, 0.0])
    chart = plane(
        Plane(x, y, "mean of predicted and true", "predicted minus true"),
        describe="Bland-Altman plot",
        curves=[
            Curve([(x[0], 0.0), (x[1], 0.0)], "quiet-line"),
            *(Curve([(x[0], at), (x[1], at)], "pooled") for at in (mean - half, mean, mean + half)),
        ],
        spots=[
            Spot(middle, away, "federated", f"mean {score(middle)}\ndifference {score(away)}", None, 3.0)
            for middle, away in list(zip(middles, differences, strict=True))[:MOST_SPOTS]
        ],
    )
    words = (
        f"Lines: the mean difference, {score(mean)}, and 1.96 standard deviations to both sides of it, "
        f"{score(mean - half)} to {score(mean + half)}: about 95 % of differences lie between (Bland, Altman 1986)."
    )
    return figure("How far off, low and high", chart, note=words)


def _survival(answers: Answers) -> Child:
    groups = by_risk(answers.risks, answers.true, answers.events)
    if not groups:
        return None
    end = max(answers.true)
    curves = [
        Curve(steps(kaplan_meier(one.times, one.events), max(one.times)), RISK_LOOKS[one.name]) for one in groups
    ]
    chart = plane(
        Plane((0.0, extent([0.0, end])[1]), (0, 1), "time", "share without the event"),
        describe="Kaplan-Meier curves by predicted risk",
        curves=curves,
    )
    test = log_rank(groups)
    words = "Patients of all hospitals in thirds by the risk that the model predicts."
    if test is not None:
        words += f" Log-rank test that the three have one curve: chi-square {test[0]:.2f}, p {_p(test[1])}."
    key = legend((f"{one.name} ({len(one.times)}, {sum(one.events)} events)", RISK_LOOKS[one.name]) for one in groups)
    return figure("Do predicted risks part the patients?", key, chart, _at_risk(groups, end), note=words)


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _at_risk(groups: Sequence[Group], end: float) -> Child:
    times = ticks(0.0, end)
    rows = [[one.name, *(str(one.at_risk(time)) for time in times)] for one in groups]
    return table(["Number at risk at", *map(plain, times)], rows)
