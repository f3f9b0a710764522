"""What a run promised, from the files it left: the audit's yardstick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from common.compression.cost import compression_words
from common.data.cases import SiteId
from common.errors import FileError
from common.files.json_files import read_table
from common.study.catalogue import AGGREGATIONS, MECHANISMS
from common.study.study import Study
from common.study.trust import said
from common.sums.abilities import readers_of
from common.sums.aggregations._agreement import hospitals_of
from experiments.audit.collusion_needed import (
    epsilon_of_one_share,
    in_words,
    opening_hospitals,
    opening_if_cheating,
    paid_for,
)
from experiments.audit.records import Claim
from experiments.evidence.recomputed_updates import Orders
from experiments.observation import Observation, Summed
from server.privacy_recount import counted
from server.reporting.parsing import privacy_of
from server.reporting.values import number

PLAIN_READERS = "The coordinator can read every hospital's single update."


def claim_of(study: Study, folder: Path, hospitals: int, roster: Sequence[SiteId]) -> Claim:
    """From the study, `about.json` and `privacy.json`. hospitals: that a sum is of. roster: all of the study."""
    about, privacy = read_table(folder, "about.json"), counted(read_table(folder, "privacy.json"), folder)
    promise = privacy_of(privacy)
    aggregation = AGGREGATIONS.build(study.aggregation)
    readers = str(about.get("readers") or readers_of(aggregation)) or PLAIN_READERS
    epsilon = _epsilons(privacy, folder / "privacy.json")
    return Claim(
        aggregation=study.aggregation.name,
        reveals=aggregation.reveals,
        readers=readers,
        mechanism=str(privacy.get("mechanism", "")),
        unit=str(privacy.get("unit", "")),
        epsilon=epsilon,
        delta=float(privacy.get("delta", 0.0)),
        noise_source=str(privacy.get("noise_source", "")),
        opening_hospitals=opening_hospitals(study, roster),
        opening_if_cheating=opening_if_cheating(study, roster),
        opened_by=in_words(study, roster),
        paid_for=paid_for(study),
        epsilon_of_one_share=epsilon_of_one_share(study, hospitals),
        binds_coordinator=study.privacy is None or MECHANISMS.build(study.privacy).place != "server",
        relation="" if promise is None else promise.relation,
        beside=None if promise is None else promise.beside,
        trusts=(*said(study, hospitals), *compression_words(study)),
        not_covered=() if promise is None else promise.not_covered,
    )


def _epsilons(privacy: Mapping[str, Any], path: Path) -> dict[str, float]:
    """By hospital; null is without bound. Raises FileError where what was promised and spent is not all there."""
    sites = privacy.get("sites", {})
    entries = sites.values() if isinstance(sites, dict) else [""]
    spent = [one.get("epsilon", "") if isinstance(one, dict) else "" for one in entries]
    if any(not _is_spent(one) for one in (privacy.get("delta", 0.0), *spent)):
        raise FileError(path, "does not say delta and what every hospital spent, as numbers")
    return {site: inf if epsilon is None else float(epsilon) for site, epsilon in zip(sites, spent, strict=True)}


def _is_spent(value: object) -> bool:
    return value is None or ((found := number(value)) is not None and found >= 0)


def hospitals_asked(observed: Observation, orders: Orders) -> int:
    """How many hospitals agreed on the sum that is attacked; all of them where none was made."""
    chosen = round_of_the_smallest(observed)
    if chosen is None or observed.singles:
        return len(observed.sites)
    return hospitals_of(orders[chosen[0].round, chosen[1]])


def round_of_the_smallest(observed: Observation) -> tuple[Summed, SiteId] | None:
    """The first sum that has the hospital of the fewest cases in it, and that hospital."""
    sums = [one for one in observed.sums if len(one.sites) > 1]
    inside = {site for one in sums for site in one.sites}
    if not inside:
        return None
    victim = min(inside, key=lambda site: (observed.cases[site], site))
    return next(one for one in sums if victim in one.sites), victim
