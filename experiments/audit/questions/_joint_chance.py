"""How surely a membership attack told anything, counted over all that was tried.

Every attempt is looked at in two ways: how well it orders all patients (AUC), and whom it names
before its first false alarm. Under the hypothesis that nothing leaked, a hospital's patients in training and in tests
are exchangeable, so that each way has an exact or conservative chance. The chance that anything at all is found where
there is nothing is shared among all attacks, both ways, and all hospitals; half of it goes to all hospitals together
where there are several (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from common.data.cases import SiteId
from experiments.audit.questions._roc import auc_interval, rate_at, rate_without_false_alarm
from experiments.audit.records import Interval

Floats = NDArray[np.float64]
WAYS = 2


@dataclass(frozen=True)
class Level:
    """What one look may use of the chance of a false alarm.

    attacks: that were tried in the whole audit. sites: hospitals that were asked about. allowed: of all looks.
    """

    allowed: float
    attacks: int
    sites: int

    def looks(self, site: SiteId) -> int:
        """By how many a chance is multiplied, of one hospital or, with "", of all together."""
        families = 2 if self.sites > 1 else 1
        return WAYS * families * self.attacks * (self.sites if site else 1)

    def of(self, site: SiteId) -> float:
        """The allowed chance of one look."""
        return self.allowed / self.looks(site)

    def jointly(self, chance: float, site: SiteId) -> float:
        """The chance of one look, counted over all of them."""
        return min(1.0, chance * self.looks(site))


@dataclass(frozen=True)
class Parted:
    """Scores of patients, those who were trained on (M,) and those who were not (N,)."""

    members: Floats
    others: Floats

    def intervals(self, confidence: float, level: float) -> dict[str, Interval]:
        """Of the AUC, and of the share that is named, jointly with all others; of rates with `confidence`, but those
        that so few cannot show."""
        found = {
            "auc": auc_interval(self.members, self.others, 1 - level),
            "true_positive_rate_at_0.1_percent": rate_at(self.members, self.others, 0.001, confidence),
            "true_positive_rate_at_1_percent": rate_at(self.members, self.others, 0.01, confidence),
            "true_positive_rate_without_false_alarm": rate_without_false_alarm(self.members, self.others, confidence),
            "named_share": rate_without_false_alarm(self.members, self.others, 1 - level),
        }
        return {name: interval for name, interval in found.items() if interval is not None}

    @property
    def chance_of_auc(self) -> float:
        """That of so large an AUC where nothing leaked (Mann and Whitney 1947, one-sided)."""
        if np.ptp(np.concatenate([self.members, self.others])) == 0:
            return 1.0
        return float(mannwhitneyu(self.members, self.others, alternative="greater").pvalue)

    @property
    def named(self) -> int:
        """Members above each of the others."""
        return int((self.members > self.others.max()).sum())

    @property
    def chance_of_named(self) -> float:
        """That of at least so many where nothing leaked: that the first so many of all are members."""
        asked = len(self.members) + len(self.others)
        return comb(len(self.members), self.named) / comb(asked, self.named)

    @property
    def best_chance(self) -> float:
        """The smallest that so few patients could show, all members being above all others."""
        return 1 / comb(len(self.members) + len(self.others), len(self.members))
