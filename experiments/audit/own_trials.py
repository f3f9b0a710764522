"""Attacks that whoever audits names beside those of every audit: tried on what was seen, and scored as ours are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import cast

from common.data.cases import SiteId
from common.errors import StudyError, WardroundError
from common.seeding import generator
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from experiments.attack import Attack, Finding
from experiments.audit.inversion_trials import Plan, trial_of
from experiments.audit.records import Trial
from experiments.catalogue import ATTACKS
from experiments.evidence.ground_truth import all_cases
from experiments.observation import Observation

QUESTION = "What does an attack that was named for this audit find in what hospitals sent?"


def own_trials(
    observed: Observation, names: Sequence[str], seconds: float, advance: Callable[[str], None], pictures: bool
) -> list[Trial]:
    """Each attack on each hospital's updates, or on all together, with site "", where only sums are seen.

    Their code is run: whoever began the audit named it, unlike that of the run's folder. Inputs that one brings back
    are scored against the truth and count for the verdict; other figures are told. Raises StudyError where an attack
    fails, or gives what is no Finding.
    """
    with trusting(ANYTHING):
        attacks = {name: (cast(Attack, ATTACKS.build(Entry(name))), ATTACKS.digest(name)) for name in names}
    if not attacks:
        return []
    sites = sorted({single.site for single in observed.singles}) or [""]
    plans = [Plan(name, site, _of(observed, site)) for name in attacks for site in sites]
    everybody = all_cases(observed.study, observed.sites)
    trials = []
    for plan in plans:
        advance(f"{plan.attack} {plan.site}".strip())
        attack, digest = attacks[plan.attack]
        finding = _found(attack, plan, seconds / len(plans))
        trial = trial_of(plan, attack, finding, everybody, pictures, len(plans))
        settings = {**trial.settings, **({"plugin_sha256": digest} if digest else {})}
        figures = trial.figures or dict(finding.figures)
        trials.append(replace(trial, question=QUESTION, figures=figures, settings=settings))
    return trials


def _found(attack: Attack, plan: Plan, seconds: float) -> Finding:
    rng = generator(plan.observed.study.seed, "audit", PurePath(plan.attack).name, plan.site)
    try:
        finding = attack.run(plan.observed, rng, seconds)
    except WardroundError:
        raise
    except Exception as error:
        raise StudyError(f"attack {plan.attack!r} failed: {type(error).__name__}: {error}") from error
    if not isinstance(finding, Finding):
        raise StudyError(f"attack {plan.attack!r} must give a Finding; it gave {type(finding).__name__}.")
    return finding


def _of(observed: Observation, site: SiteId) -> Observation:
    """What was seen of one hospital alone."""
    if not site:
        return observed
    return replace(observed, singles=tuple(one for one in observed.singles if one.site == site), sums=())
