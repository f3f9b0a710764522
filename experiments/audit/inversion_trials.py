"""Every inversion attack on what the observer saw of each hospital, scored against the truth, as trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import cast

import numpy as np

from common.data.cases import SiteId
from common.seeding import generator
from common.study.options import Entry
from experiments.attack import Attack, Finding, Reconstruction
from experiments.audit.questions._likeness_to_patients import CaseScore, score
from experiments.audit.questions._similarity import fitted
from experiments.audit.records import Rebuilt, Trial
from experiments.audit.report.images import pair_of
from experiments.audit.tried import FAILED, reason_of
from experiments.catalogue import ATTACKS
from experiments.evidence.ground_truth import Truth, all_cases, others_than, truth_of
from experiments.observation import Observation

INVERSIONS = ("analytic", "bottleneck", "matching", "multi_step", "inverting_gradients", "dlg", "deep_image_prior")
EVERYWHERE = ("analytic", "bottleneck", "matching", "multi_step")
"""Tried on every hospital; the others, slower or weaker, on the hospital of the fewest cases."""
MOST_SHOWN = 4
STRONGEST = "matching"
SHARES = {STRONGEST: 8.0, "bottleneck": 16.0, "multi_step": 4.0, "deep_image_prior": 3.0}
"""Of the seconds, on the hospital of the fewest cases; every other attempt has a share of 1."""
ELSEWHERE = {"bottleneck": 10.0}
"""The same on other hospitals. Where an attack is not possible its seconds are the others'."""
QUESTION = "Can a patient's data be rebuilt from what hospitals sent?"
SEES = {
    "each": "the models sent out, each hospital's own update, every setting of the study",
    "sum": "the models sent out, the sum of all hospitals' updates, every setting of the study",
}


@dataclass(frozen=True)
class Plan:
    """One attack on one hospital's updates, or on sums where site is "". share: of the seconds, before division."""

    attack: str
    site: SiteId
    observed: Observation
    share: float = 1.0


def plans_of(observed: Observation) -> tuple[Plan, ...]:
    """What will be tried, quickest first."""
    names = [name for name in INVERSIONS if name in ATTACKS.names()]
    if not observed.singles:
        return tuple(Plan(name, "", observed, SHARES.get(name, 1.0)) for name in names)
    sites = sorted({single.site for single in observed.singles}, key=lambda site: (observed.cases[site], site))
    chosen = [(name, site) for name in names for site in (sites if name in EVERYWHERE else sites[:1])]
    shares = [(SHARES if site == sites[0] else ELSEWHERE).get(name, 1.0) for name, site in chosen]
    pairs = zip(chosen, shares, strict=True)
    return tuple(Plan(name, site, _of(observed, site), share) for (name, site), share in pairs)


def _of(observed: Observation, site: SiteId) -> Observation:
    """What was seen of one hospital alone."""
    return replace(observed, singles=tuple(one for one in observed.singles if one.site == site), sums=())


def inversion_trials(
    observed: Observation, seconds: float, advance: Callable[[str], None], pictures: bool = True
) -> list[Trial]:
    """All of `plans_of`, each with its share of the seconds; what one leaves is the others'."""
    plans, left = plans_of(observed), seconds
    everybody = all_cases(observed.study, observed.sites)
    trials = []
    for index, plan in enumerate(plans):
        advance(f"{plan.attack} {plan.site}")
        attack = cast(Attack, ATTACKS.build(Entry(plan.attack)))
        rng = generator(observed.study.seed, "audit", plan.attack, plan.site)
        part = plan.share / sum(other.share for other in plans[index:])
        finding = _found(plan, attack, rng, left * part)
        left = max(left - finding.seconds, 0.0)
        trials.append(trial_of(plan, attack, finding, everybody, pictures, len(plans)))
    return trials


def _found(plan: Plan, attack: Attack, rng: np.random.Generator, seconds: float) -> Finding:
    """As the attack says; where a plug-in of the study fails under it, that it failed."""
    try:
        return attack.run(plan.observed, rng, seconds)
    except Exception as error:
        if not plan.observed.study.plugins:
            raise
        return Finding(plan.attack, plan.observed.observer, False, reason_of(error), settings={FAILED: True})


def trial_of(plan: Plan, attack: Attack, finding: Finding, everybody: Truth, pictures: bool, tries: int) -> Trial:
    """The finding, scored as one of so many tries."""
    observed = plan.observed
    trial = Trial(
        plan.attack,
        "reconstruction",
        observed.observer,
        plan.site,
        QUESTION,
        SEES["each" if observed.singles else "sum"],
        attack.source,
        possible=finding.possible,
        reason=finding.reason,
        seconds=finding.seconds,
        settings=dict(finding.settings),
    )
    if not finding.reconstructions:
        return trial
    figures, rebuilt = scored(observed, finding.reconstructions, everybody, pictures, tries)
    sites = sorted({site for one in finding.reconstructions for site in one.sites})
    settings = {**trial.settings, "hospitals": sites}
    return replace(trial, figures={**finding.figures, **figures}, rebuilt=rebuilt, settings=settings)


def scored(
    observed: Observation, found: Sequence[Reconstruction], everybody: Truth, pictures: bool, tries: int
) -> tuple[dict[str, float], tuple[Rebuilt, ...]]:
    """Mean figures over the updates attacked, and the cases that came back best, of every hospital in them."""
    tables, shown = [], []
    for one in found:
        truth = truth_of(observed.study, one.round, one.sites)
        if not len(truth):
            continue
        scores = score(one, truth, everybody)
        tables.append(scores.figures)
        decoy = _decoy(one, truth, everybody, observed.study.seed)
        shown += [_rebuilt(case, one, truth, pictures, decoy, tries) for case in scores.cases]
    names = tables[0] if tables else {}
    figures = {name: float(np.nanmean([table[name] for table in tables])) for name in names if _known(tables, name)}
    return figures, _best_of_each(shown)


def _known(tables: Sequence[dict[str, float]], name: str) -> bool:
    return not all(isnan(table[name]) for table in tables)


def _rebuilt(case: CaseScore, one: Reconstruction, truth: Truth, pictures: bool, decoy: float, tries: int) -> Rebuilt:
    """tries: of this attacker, all told; they count for records, which are short enough to stand out by chance."""
    original, guess = truth.inputs[case.true], np.nan_to_num(one.inputs[case.reconstructed], posinf=0, neginf=0)
    images = pair_of(original, fitted(original, guess)) if pictures else ("", "")
    behind = len(set(truth.patients))
    guesses = len(one.inputs) * (tries if isnan(case.ssim_fitted) else 1)
    chance = 1 - (1 - behind / case.candidates) ** guesses
    likeness, place = (_likeness(case), case.psnr_fitted_db), (case.rank, case.candidates)
    return Rebuilt(case.site, *images, *likeness, *place, chance, decoy, case.rival)


def _likeness(case: CaseScore) -> float:
    return case.correlation if isnan(case.ssim_fitted) else case.ssim_fitted


def _decoy(one: Reconstruction, truth: Truth, everybody: Truth, seed: int) -> float:
    """The best likeness that as many cases of other patients have, compared as the reconstruction was.

    Where the update rests on everybody, the mean case stands in for others.
    """
    drawn = generator(seed, "decoys").permutation(others_than(truth, everybody))[: len(one.inputs)]
    inputs = everybody.inputs[drawn] if len(drawn) else everybody.inputs.mean(0, keepdims=True)
    return max(_likeness(case) for case in score(replace(one, inputs=inputs), truth, everybody).cases)


def _telling(one: Rebuilt) -> tuple[bool, bool, float]:
    return one.identifies, one.tells, one.ssim


def _best_of_each(found: Sequence[Rebuilt]) -> tuple[Rebuilt, ...]:
    sites = sorted({one.site for one in found})
    most = max(1, MOST_SHOWN // max(1, len(sites)))
    return tuple(one for site in sites for one in _best([one for one in found if one.site == site], most))


def _best(own: Sequence[Rebuilt], most: int) -> list[Rebuilt]:
    """The most telling, and the most alike even where nobody is recognised in it: each may decide the verdict."""
    shown = sorted(own, key=_telling, reverse=True)[:most]
    likest = max(own, key=lambda one: (one.tells, one.ssim))
    return shown if likest in shown else [*shown, likest]
