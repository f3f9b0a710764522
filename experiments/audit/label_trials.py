"""Counts of diagnoses read from updates, set beside the true counts, as trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from scipy.special import gammaln

from common.data.cases import SiteId
from common.seeding import generator
from common.study.options import Entry
from experiments.attack import Attack, Reconstruction
from experiments.audit.records import Trial
from experiments.catalogue import ATTACKS
from experiments.evidence.ground_truth import truth_of
from experiments.observation import Observation

NAME = "label_counts"
QUESTION = "Can one read from what hospitals sent how many of its cases have which diagnosis?"
KNOWLEDGE = "the models sent out, {}, how many cases it rests on, every setting of the study"


def label_trials(observed: Observation, seconds: float, advance: Callable[[str], None]) -> list[Trial]:
    """One a hospital, or one of all together, with site "", where only sums are seen."""
    sites = sorted({single.site for single in observed.singles}) or [""]
    trials = []
    for site in sites:
        advance(f"{NAME} {site}".strip())
        trials.append(_trial(_of(observed, site), site, seconds / len(sites)))
    return trials


def _of(observed: Observation, site: SiteId) -> Observation:
    """What was seen of one hospital alone."""
    if not site:
        return observed
    return replace(observed, singles=tuple(one for one in observed.singles if one.site == site), sums=())


def _trial(observed: Observation, site: SiteId, seconds: float) -> Trial:
    attack = cast(Attack, ATTACKS.build(Entry(NAME)))
    finding = attack.run(observed, generator(observed.study.seed, "audit", NAME, site), seconds)
    return Trial(
        NAME,
        "labels",
        observed.observer,
        site,
        QUESTION,
        KNOWLEDGE.format("one hospital's update" if site else "the sum of all hospitals' updates"),
        attack.source,
        possible=finding.possible,
        reason=finding.reason,
        seconds=finding.seconds,
        figures=figures(observed, finding.reconstructions) if finding.possible else {},
        settings=dict(finding.settings),
    )


def figures(observed: Observation, found: Sequence[Reconstruction]) -> Mapping[str, float]:
    """exact_share: of updates whose every count is right. mean_absolute_error: cases a class. presence_accuracy:

    share of classes of which it is rightly said whether there is any case at all. exact_by_chance: how often one who
    knows only how many cases there are guesses all counts of an update, classes being equally frequent. updates: how
    many were read.
    """
    errors, present, guessed = [], [], []
    for one in found:
        assert one.labels is not None
        counts = np.bincount(one.labels, minlength=observed.shape.classes)
        truth = truth_of(observed.study, one.round, one.sites)
        true = np.bincount(truth.targets.reshape(-1).astype(np.int64), minlength=observed.shape.classes)
        errors.append(np.abs(counts - true))
        present.append((counts > 0) == (true > 0))
        guessed.append(guessed_share(int(true.sum()), len(true)))
    return {
        "exact_share": float(np.mean([not error.any() for error in errors])),
        "mean_absolute_error": float(np.mean(errors)),
        "presence_accuracy": float(np.mean(present)),
        "exact_by_chance": float(np.mean(guessed)),
        "updates": float(len(found)),
    }


def guessed_share(cases: int, classes: int) -> float:
    """The chance of the likeliest counts: the multinomial's, with cases spread as evenly as they can be."""
    even = np.full(classes, cases // classes) + (np.arange(classes) < cases % classes)
    return float(np.exp(gammaln(cases + 1) - gammaln(even + 1).sum() - cases * np.log(classes)))
