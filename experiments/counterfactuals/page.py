"""The page of counterfactuals: a row for each patient, a column for each action, and what was measured in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.counterfactuals.classifier_bias import ClassifierBias
from experiments.counterfactuals.found import PATHS, Found, Outcome
from experiments.running.case_panels import grey
from experiments.running.gallery import picture_url
from server.reporting.charts.forest import Estimate, forest
from server.reporting.markup import Markup, joined, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import section
from server.reporting.wording import NOTHING, count, difference, plain

PATIENTS = 8
"""Whose pictures are shown."""
BRIGHTER = 4
"""How much more visible a deviation between draws is made."""


def page_of(found: Found, title: str, bias: ClassifierBias | None = None, mediated: bool = False) -> str:
    """The HTML. mediated: direct and indirect effects have pictures too."""
    head = tag("header", tag("h1", "What would have been"), tag("p", _finding(found, title), class_="finding"))
    parts = [_pictures(found, mediated), _measured(found), _truth(found)]
    if bias is not None:
        parts += [_bias(bias), _paths(bias)]
    return document(f"Counterfactuals of {title}", tag("main", head, *(part for part in parts if part), _limits()))


def _finding(found: Found, title: str) -> Markup:
    named = ", ".join(cause.name for cause in found.causes)
    known = [f"{value:.2f} under do({name})" for name, value in found.distances.items()]
    truth = f" From the true counterfactuals lie, in grey levels of 255: {', '.join(known)}." if known else ""
    return joined([
        f"“{title}” learned how an image comes from {named}. Here are {count(len(found.cases), 'patient')} as they "
        f"are, and as they would have been.{truth}"
    ])  # fmt: skip


def _pictures(found: Found, mediated: bool) -> Markup:
    rows = [_row(found, number, mediated) for number in _chosen(found)]
    lede = (
        f"The graph is {found.graph}. All that made a patient's image beside its causes, the noise of each "
        "mechanism, is taken from the image and kept; the action changes a cause, what follows from it follows, and "
        "the image is made anew. The last picture shows, as brightness, where other draws of that noise "
        "would differ."
    )
    return section("pictures", "The patients", lede, *rows)


def _chosen(found: Found) -> Sequence[int]:
    """Patients of all hospitals in turn."""
    places: dict[str, list[int]] = {}
    for number, site in enumerate(found.sites):
        places.setdefault(str(site), []).append(number)
    turns = [(turn, order, number) for order, own in enumerate(places.values()) for turn, number in enumerate(own)]
    return [number for _, _, number in sorted(turns)[:PATIENTS]]


def _row(found: Found, number: int, mediated: bool) -> Markup:
    values = found.cases.targets[number]
    told = ", ".join(f"{cause.name} {value:.4g}" for cause, value in zip(found.causes, values, strict=True))
    head = tag(
        "div",
        tag("b", f"{found.sites[number]}, {found.cases.patients[number]}"),
        tag("span", told),
        class_="card-head",
    )
    shown = [_figure("as it is", found.cases.inputs[number, 0])]
    for outcome in found.outcomes:
        for path in PATHS if mediated else PATHS[:1]:
            words = outcome.words if path == "total" else f"{path} only"
            shown.append(_figure(words, outcome.images[path][number, 0], _seen(outcome, number, path)))
    doubt = np.max([one.doubt[number, 0] for one in found.outcomes], axis=0)
    shown.append(_figure("doubt", (BRIGHTER * doubt).clip(0, 1)))
    return tag("div", head, tag("div", *shown, class_="filmstrip"), _beside_truth(found, number), class_="figure")


def _beside_truth(found: Found, number: int) -> Markup | None:
    if found.truths is None or found.answers is None or found.done is None:
        return None
    shown = []
    for column, cause in enumerate(found.causes):
        words = f"do({cause.name} = {found.done[column, number, column]:.4g})"
        shown.append(_figure(words, found.answers[column, number, 0], "the model's"))
        shown.append(_figure(words, found.truths[column, number, 0], "the truth"))
    return tag("div", *shown, class_="filmstrip")


def _seen(outcome: Outcome, number: int, path: str) -> str:
    """What is measured in one image."""
    found = [f"{name} {values[number]:.3g}" for name, values in outcome.measured.items()]
    return f"measured: {', '.join(found)}" if found and path == "total" else ""


def _figure(words: str, image: NDArray[np.floating], note: str = "") -> Markup:
    uri = picture_url(grey(image.astype(np.float64)))
    caption = tag("figcaption", words, tag("br") if note else None, tag("small", note) if note else None)
    return tag("figure", tag("img", src=uri, alt=f"{words} {note}".strip()), caption)


def _measured(found: Found) -> Markup | None:
    """Effectiveness: what was set, what follows, what is found in the image."""
    rows = []
    for outcome in found.outcomes:
        for column, cause in enumerate(found.causes):
            wanted = outcome.values[:, column]
            seen = outcome.measured.get(cause.name)
            error = None if seen is None else float(np.abs(seen - wanted).mean())
            role = "set" if cause.name in outcome.action else "follows"
            rows.append([
                outcome.words, cause.name, role, plain_mean(found.cases.targets[:, column]), plain_mean(wanted),
                NOTHING if seen is None else plain_mean(seen), NOTHING if error is None else f"{error:.3g}",
            ])  # fmt: skip
    head = ["Action", "Cause", "It", "Was, mean", "Should be", "Measured in the image", "Mean error"]
    lede = (
        "Effectiveness: what was set should be what one finds in the image. It is measured on the pixels, by no "
        f"classifier. Composition: with nothing changed, and the pixels' own noise left away, an image is made again "
        f"within {found.composition:.2f} grey levels of 255; with it kept it is the same."
    )
    return section("effectiveness", "Whether the action took", lede, table(head, rows, words=3))


def _truth(found: Found) -> Markup | None:
    if found.truths is None or found.answers is None:
        return None
    unchanged = found.unchanged
    rows = [[f"do({name})", f"{value:.2f}", f"{unchanged[name]:.2f}"] for name, value in found.distances.items()]
    lede = "These data are simulated, so that the true image under an action of each cause is known."
    if found.not_learned:
        lede += f" {not_learned(found)}"
    head = ["Action", "Model to truth, grey levels", "Unchanged image to truth"]
    return section("truth", "How far from the truth", lede, table(head, rows))


def not_learned(found: Found) -> str:
    """A warning; "" where there is none."""
    if not found.not_learned:
        return ""
    named = ", ".join(f"do({name})" for name in found.not_learned)
    return (
        f"Under {named} the model comes no nearer to the truth than the image left as it is: it has not learned that."
    )


def _bias(bias: ClassifierBias) -> Markup:
    estimates = [
        Estimate(one.words, one.change, one.low, one.high, note=f"{100 * one.flipped:.0f} % change class")
        for one in bias.shifts
    ]
    lede = (
        f"The score of “{bias.title}” is its chance of {bias.of}. Patients of two groups may differ in score "
        "because they differ in much; what is shown is what the action itself does to the score of the same "
        "patients, in mean and 95 % interval over patients. An action that should not matter to the answer and moves "
        "it is a bias."
    )
    observed = [
        [name, str(value), str(number), f"{mean:.3f}"]
        for name, groups in bias.observed.items()
        for value, (mean, number) in groups.items()
    ]
    held = table(["Cause", "Group", "Patients", "Mean score as they are"], observed, words=2) if observed else None
    return section("bias", "How a classifier's score moves", lede, forest(estimates, difference, at=0.0), held)


def _paths(bias: ClassifierBias) -> Markup:
    rows = [[one.words, f"{one.mean:.3f}", *(difference(one.by_path[path]) for path in PATHS)] for one in bias.shifts]
    lede = (
        "Total: all that follows from the action. Direct: the image alone is told of it. Indirect: only by what lies "
        "between, which follows as it would (natural effects, Pearl 2001)."
    )
    head = ["Action", "Mean score then", "Total", "Direct", "Indirect"]
    return section("paths", "By which way", lede, table(head, rows))


def _limits() -> Markup:
    words = (
        "A counterfactual is what the learned model says, under the graph that it was given. A graph that lacks a "
        "common cause, or values far from all that was learned, makes pictures that look as good and are wrong."
    )
    return tag("footer", words)


def plain_mean(values: NDArray[np.floating]) -> str:
    """The mean, in four digits."""
    return plain(float(f"{values.mean():.4g}"))


def figures_of(found: Found, bias: ClassifierBias | None) -> Mapping[str, object]:
    """Everything that the page shows, as numbers."""
    shifts = [
        {"action": one.words, "mean": one.mean, "change": one.change, "low": one.low, "high": one.high,
         "flipped": one.flipped, **{f"{path}_change": value for path, value in one.by_path.items()}}
        for one in (bias.shifts if bias else ())
    ]  # fmt: skip
    outcomes = [
        {
            "action": one.words,
            "values": {cause.name: float(one.values[:, at].mean()) for at, cause in enumerate(found.causes)},
            "measured": {name: float(seen.mean()) for name, seen in one.measured.items()},
            "error": {
                name: float(np.abs(seen - one.values[:, [c.name for c in found.causes].index(name)]).mean())
                for name, seen in one.measured.items()
            },
        }
        for one in found.outcomes
    ]
    return {
        "patients": len(found.cases),
        "composition": found.composition,
        "distance": found.distances,
        "distance_unchanged": found.unchanged,
        "actions": outcomes,
        "classifier": {"of": bias.of, "shifts": shifts} if bias else None,
    }
