"""A promise of differential privacy, floor by floor, as NIST SP 800-226 builds it: each rests on those below."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from experiments.audit.records import Light, Report
from experiments.audit.report.words import LIGHTS
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import figure
from server.reporting.wording import count

STRONG, WEAK = 1.0, 10.0
"""Epsilons: at most the first is little, above the second hardly a bound."""
Floor = tuple[str, str, Light, str]


def pyramid(report: Report) -> Markup | None:
    """None where nothing was promised."""
    if not report.claim.epsilon:
        return None
    rows = [[floor, part, _badge(light), fact] for floor, part, light, fact in _floors(report)]
    head = ["Floor", "Part", "", "What is known here"]
    return figure("The promise, floor by floor", table(head, rows, words=4))


def epsilon_in_words(value: float) -> str:
    """A number, or that there is none."""
    return f"{value:.3g}" if isfinite(value) else "without bound"


def _floors(report: Report) -> Iterator[Floor]:
    claim, measured = report.claim, _measured(report)
    epsilon = max(claim.epsilon.values())
    strength: Light = "green" if epsilon <= STRONG else "amber" if epsilon <= WEAK else "red"
    yield (
        "Strength",
        "Epsilon and delta",
        strength,
        f"epsilon {epsilon_in_words(epsilon)} at delta {claim.delta:g}, over all rounds",
    )
    unit: Light = "amber" if claim.unit == "sample" else "green"
    more = ": a patient with several cases is hidden less" if claim.unit == "sample" else ""
    yield "", "Unit", unit, f"one {'case' if claim.unit == 'sample' else claim.unit}{more}"
    yield "", "What is compared", "green", claim.relation.partition(": ")[2] or claim.relation
    yield "Soundness", "Mechanism", *measured
    yield "", "Noise", *_noise(report)
    open_: Light = "amber" if claim.not_covered else "green"
    yield (
        "",
        "Side channels",
        open_,
        f"{count(len(claim.not_covered), 'thing')} told beside the promise, which it does not cover: the table below",
    )
    trust: Light = "green" if claim.binds_coordinator else "amber"
    towards = "towards everybody, the coordinator too" if claim.binds_coordinator else "not towards the coordinator"
    yield "Ground", "Trust", trust, f"The promise holds {towards}."
    yield (
        "",
        "Access and keys",
        "amber",
        "Not judged here: it is each hospital's own; its command wardround doctor looks at it.",
    )
    yield "", "Collection of data", "amber", "Not judged here: noise does not protect what lies in a hospital."


def _measured(report: Report) -> tuple[Light, str]:
    """What measuring the promise came to, by the lights of every question that has faults to find in it."""
    questions = {one.question for one in report.power} | {"epsilon"}
    lights = [verdict.lights[name] for verdict in report.verdicts for name in questions if name in verdict.lights]
    made = sum(trial.possible for trial in report.trials if trial.kind in questions)
    seen, of = sum(one.seen for one in report.power), sum(one.of for one in report.power)
    power = f"; planted faults were seen in {seen} of {of} tries" if of else "; no fault was planted"
    if not made:
        return "amber", "Not measured."
    worst: Light = "red" if "red" in lights else "amber" if "amber" in lights or not of else "green"
    return worst, f"Measured in {made} attempts{power}."


def _noise(report: Report) -> tuple[Light, str]:
    if report.claim.noise_source.startswith("system"):
        return "green", "from the operating system"
    return "amber", "from the seed, as in every simulation: it protects nobody from whoever knows the seed"


def _badge(light: Light) -> Markup:
    _, look, sign = LIGHTS[light]
    return tag("span", sign, class_=f"badge {look}")
