"""What a round's record says of training and of scores: by hospital where single updates are read, else of all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from common.data.names import SiteId
from common.metrics.roc import with_auc
from common.sums.exchange import Collected
from common.sums.mean import Mean, Statistics


def training_told(collected: Collected, alone: Collection[SiteId], together: bool) -> dict[str, Any]:
    """Weights and training scores by hospital, or, where only sums are revealed, of all together.

    alone: hospitals whose own scores are told. together: whether those of all are, where some are not told alone.
    """
    if collected.each is not None or collected.total is None:
        each = collected.each or {}
        told = {site: values(update.statistics) for site, update in each.items() if site in alone}
        found = {"weights": {site: update.weight for site, update in each.items()}, "training": told}
        if collected.total is None or len(told) == len(each) or not together:
            return found
        return {**found, "training_of_all": values(collected.total.statistics)}
    total = collected.total
    return {
        "weights": {},
        "training": {},
        "training_of_all": values(under("training", total.statistics)),
        "weight_of_all": total.weight,
    }


def no_training_told(collected: Collected) -> dict[str, Any]:
    """Under a privacy mechanism no score of training is let out, and weights are public numbers."""
    each = collected.each or {}
    return {"weights": {site: update.weight for site, update in each.items()}, "training": {}}


def under(prefix: str, statistics: Statistics) -> dict[str, Mean]:
    """The statistics named `prefix/name`, by name."""
    return {name.partition("/")[2]: mean for name, mean in statistics.items() if name.startswith(prefix + "/")}


def values(statistics: Statistics) -> dict[str, float | None]:
    """Means as numbers for JSON, null where nothing was counted; areas in the place of histograms."""
    return dict(with_auc(statistics))
