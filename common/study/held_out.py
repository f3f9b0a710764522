"""Which hospitals are scored and never trained on, where `split.unit` is "hospital": worked out on both sides alike.

A hospital of one patient has nobody to spare for a test. A model is then judged on hospitals that took no part, whose
patients none of its parameters has seen: the gap of participation of Yuan et al. 2022, "What do we mean by
generalization in federated learning?", beside which scores on new patients of hospitals that trained look too good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from common.data.names import SiteId
from common.errors import StudyError
from common.seeding import entropy
from common.study.catalogue import AGGREGATIONS
from common.study.split_settings import Split

TRAIN, VALIDATION, TEST = "train", "validation", "test"
LEAST_SCORED = 3
"""Hospitals of a part: of two that hold one patient each, either would know the other's from the score of both."""
WITHOUT_TEST = (
    "no score would be told. split.unit = 'hospital' scores whole hospitals that are not trained on, "
    f"{LEAST_SCORED} or more together."
)


def part_of(split: Split, seed: int, sites: Sequence[SiteId], site: SiteId) -> str | None:
    """The part that all patients of `site` are in; None where each hospital divides its own."""
    return _parts(split, seed, tuple(sites)).get(site, TRAIN) if split.is_by_hospital else None


def sites_in(split: Split, seed: int, sites: Sequence[SiteId], *parts: str) -> tuple[SiteId, ...]:
    """Those of `sites`, sorted, that have patients in any of `parts`; where hospitals divide their own, all."""
    if not split.is_by_hospital:
        return tuple(sites)
    known = _parts(split, seed, tuple(sites))
    return tuple(site for site in sites if known[site] in parts)


@lru_cache(maxsize=8)
def _parts(split: Split, seed: int, sites: tuple[SiteId, ...]) -> dict[SiteId, str]:
    """Hospitals ranked by a draw of each name, and the ranking cut at the shares, rounded.

    Of hospitals that are wanted for a test there are LEAST_SCORED or more; fewer validate nothing and train.
    """
    ranked = sorted(sites, key=lambda site: entropy(seed, site, "held out"))
    test = max(round(split.test * len(ranked)), LEAST_SCORED) if split.test else 0
    validation = round(split.validation * len(ranked))
    validation = validation if validation >= LEAST_SCORED else 0
    names = [TEST] * test + [VALIDATION] * validation
    return dict(zip(ranked, [*names, *[TRAIN] * max(len(ranked) - len(names), 0)], strict=False))


def demand_trainers(split: Split, hospitals: int, trainers: int) -> None:
    """Raise StudyError where nobody is left to train."""
    if split.is_by_hospital and hospitals and not trainers:
        raise StudyError(
            f"split.unit = 'hospital' keeps {LEAST_SCORED} hospitals or more for each part that is scored, and of "
            f"{hospitals} none is left to train: lower split.test, or leave split.unit out."
        )


def scores_at_end_alone(split: Split, aggregation: str) -> bool:
    """Whether no model between rounds can be scored: where sums alone are read, and in them are those that train."""
    return split.is_by_hospital and AGGREGATIONS.load(aggregation).reveals == "sum"


def check_held_out(
    split: Split, aggregation: str, is_private: bool, needs_both: Mapping[str, bool], stops_early: bool
) -> None:
    """Refuse beside `split.unit` "hospital" what needs hospitals that train and are scored, by its name."""
    if not split.is_by_hospital:
        return
    if is_private:
        raise StudyError(
            "split.unit = 'hospital' is not for studies that promise privacy: their noise counts on every hospital "
            "of the study to train. Leave split.unit out; split.assignment 'independent' then places each patient."
        )
    for name, wanted in needs_both.items():
        if wanted:
            raise StudyError(
                f"split.unit = 'hospital' scores hospitals that do not train, and {name} needs hospitals that do "
                "both: drop one."
            )
    if stops_early and scores_at_end_alone(split, aggregation):
        raise StudyError(
            f"split.unit = 'hospital' with aggregation {aggregation!r} scores the last model alone, and stopping "
            "early needs scores between rounds: choose aggregation 'plain', or run all rounds."
        )
