"""Every figure of a predicted and a true structure by name.

One table: `wardround metrics --metrics`, its pages, and docs/metrics.md are made of it. What is not defined is NaN,
and what is missed or invented has the figure that its definition gives; nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from common.errors import ImageError
from common.metrics import definitions_of_outlines, definitions_of_structure
from common.metrics.definition import Metric
from common.metrics.pair import Pair
from common.study.spelling import unknown

METRICS: Mapping[str, Metric] = {**definitions_of_outlines.METRICS, **definitions_of_structure.METRICS}
DEFAULT = (
    "dice",
    "jaccard",
    "precision",
    "sensitivity",
    "volume_similarity",
    "hausdorff_mm",
    "hausdorff_95_mm",
    "average_symmetric_mm",
    "mean_average_mm",
    "surface_dice",
)
ALL = "all"
"""The word for every figure of masks."""

_NAMES: Mapping[str, str] = {spelling: name for name, metric in METRICS.items() for spelling in (name, *metric.also)}


def chosen(words: Iterable[str]) -> tuple[str, ...]:
    """Names of figures from names, other names and "all", each once, in the order of asking.

    Args:
        words: names, other names of figures, or "all".

    Returns:
        The names by which `figures` knows them.

    Raises:
        UnknownNameError: for a word that is none; it names the nearest.
        ImageError: where there is no word.
    """
    found: dict[str, None] = {}
    for word in words:
        spelled = word.strip().lower().replace("-", "_")
        if spelled == ALL:
            found |= {name: None for name, metric in METRICS.items() if not metric.of_chances}
        elif spelled in _NAMES:
            found[_NAMES[spelled]] = None
        else:
            raise unknown("metric", word, [*_NAMES, ALL])
    if not found:
        raise ImageError("no metric was named; leave --metrics out for the usual ones.")
    return tuple(found)


def other_names() -> Mapping[str, str]:
    """The name of every figure by each of its spellings."""
    return _NAMES


def figures(pair: Pair, names: Iterable[str] = DEFAULT) -> dict[str, float]:
    """Each figure of one structure by name. Raises what it is made of raises."""
    return {name: float(METRICS[name].figure(pair)) for name in names}
