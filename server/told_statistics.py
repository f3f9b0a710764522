"""What a round's record says of training and of scores: by hospital where single updates are read, else of all."""

from __future__ import annotations

from typing import Any

from common.metrics.roc import with_areas
from common.sums.exchange import Collected
from common.sums.mean import Mean, Statistics


def training_told(collected: Collected) -> dict[str, Any]:
    """Weights and training scores by hospital, or, where only sums are revealed, of all together."""
    if collected.each is not None or collected.total is None:
        each = collected.each or {}
        return {
            "weights": {site: update.weight for site, update in each.items()},
            "training": {site: values(update.statistics) for site, update in each.items()},
        }
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
    return dict(with_areas(statistics))
