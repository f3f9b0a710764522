"""An audit in words for someone who never trained a model."""

from __future__ import annotations

import re
from dataclasses import replace

from experiments.attack import declared
from experiments.audit.cast import Cast, cast_of_report
from experiments.audit.plan import failure
from experiments.audit.records import WORST, Claim, Light, Report, Trial
from server.reporting.sections.promise import neighbours
from server.reporting.wording import capital, count, score

LIGHTS: dict[Light, tuple[str, str, str]] = {
    "green": ("No objection found", "good", "✓"),
    "amber": ("Sign only with care", "warn", "!"),
    "red": ("Do not sign", "bad", "✕"),
}
"""Of each light: its word, its look and its sign."""
NO_WORDS = frozenset({"analytic", "apgd", "bottleneck", "dlg", "fgsm", "matching", "pgd", "rmia"})
"""Names of attacks without an underscore that no sentence of ours holds for another reason."""


def overall(report: Report) -> Light:
    """The worst light of any hospital."""
    return max((verdict.light for verdict in report.verdicts), key=WORST.index, default="amber")


def promise_sentence(report: Report) -> str:
    """What was promised, in one or two sentences."""
    claim = report.claim
    if claim.reveals == "each":
        sums = "The coordinator could read what each hospital sent, hospital by hospital."
    else:
        sums = f"What hospitals sent was protected by {claim.aggregation}: the coordinator could read only sums."
    sums += _as_long_as(claim)
    if not claim.epsilon:
        return f"{sums} No bound was promised on what the model itself tells of a patient."
    low, high = min(claim.epsilon.values()), max(claim.epsilon.values())
    epsilon = score(high) if score(low) == score(high) else f"{score(low)} to {score(high)}, by hospital"
    return (
        f"{sums} What is let out hides the presence of one {claim.unit}: epsilon is {epsilon}, delta "
        f"{claim.delta:g}. Epsilon bounds how much {_whom(claim)} can learn of one; 0 is nothing, 1 is little, above "
        "10 is hardly a bound."
        f"{_noise_of_few(claim)}{_relation(claim)}"
    )


def _relation(claim: Claim) -> str:
    return f" {said}" if (said := neighbours(claim.relation)) else ""


def _whom(claim: Claim) -> str:
    if claim.binds_coordinator:
        return "anyone"
    return "anyone but the coordinator, which adds the noise itself and sees what is under it,"


def _as_long_as(claim: Claim) -> str:
    """How many hospitals may help the coordinator before it reads a single update."""
    if claim.reveals == "each":
        return ""
    if claim.opening_hospitals == 0:
        return f" Differences of sums tell single hospitals apart all the same: {claim.opened_by}."
    if claim.opening_hospitals == 1:
        return " With the help of any one hospital it reads another's update, and if it cheats it needs no help."
    return (
        f" That holds as long as fewer than {count(claim.opening_hospitals, 'hospital')} collude with a coordinator "
        f"that keeps to the protocol, and {few_if_cheating(claim)}."
    )


def few_if_cheating(claim: Claim) -> str:
    """How many may collude with a coordinator that cheats."""
    if claim.opening_if_cheating == 0:
        under = ", under its noise" if claim.mechanism else ""
        return f"not with one that cheats, which needs no help: two sums that differ by one hospital open it{under}"
    few = f"fewer than {claim.opening_if_cheating}" if claim.opening_if_cheating > 1 else "none"
    return f"{few} with one that cheats"


def _noise_of_few(claim: Claim) -> str:
    """How much collusion a distributed noise is enough for."""
    if claim.epsilon_of_one_share is None:
        return ""
    paid = f"at most {count(claim.paid_for, 'hospital')}" if claim.paid_for else "no hospital"
    return (
        f" Each hospital adds a share of the noise. The epsilon allows for {paid} to collude with the coordinator; "
        f"if all others did, one share alone would be left, and epsilon {score(claim.epsilon_of_one_share)}."
    )


def called(name: str, cast: Cast) -> str:
    """An attack for people: what it is called, else its name with spaces."""
    known = str(declared(cast.attacks[name], "called")) if name in cast.attacks else ""
    return known or name.replace("_", " ")


def plainly(text: str, cast: Cast) -> str:
    """With what attacks are called in the place of their names in code."""
    coded = [name for name in cast.attacks if "_" in name or name in NO_WORDS]
    if not coded:
        return text
    names = "|".join(map(re.escape, sorted(coded, key=len, reverse=True)))
    return capital(re.sub(rf"(?<![\w.])({names})(?![\w.])", lambda found: called(found[0], cast), text))


def spoken(report: Report) -> Report:
    """For figures that show names of attacks."""
    cast = cast_of_report(report)
    return replace(report, trials=[replace(trial, attack=called(trial.attack, cast)) for trial in report.trials])


def by_whom(trial: Trial, cast: Cast) -> str:
    """Who could have made that attempt."""
    adversary = cast.adversaries.get(trial.observer)
    return trial.observer if adversary is None else str(adversary.who)


def answer(name: str, report: Report, cast: Cast) -> str:
    """What all attacks on a question came up with."""
    own = [trial for trial in report.trials if trial.kind == name]
    tried = [trial for trial in own if trial.possible]
    if tried:
        try:
            return str(cast.questions[name].answer(tried))
        except BaseException as error:  # noqa: BLE001 - a stranger's question
            return f"Its answer came to no end: {failure(error)}."
    reasons = list(dict.fromkeys(trial.reason for trial in own if trial.reason))
    return f"Not possible: {reasons[0]}." if reasons else "Not tried."
