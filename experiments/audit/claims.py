"""What a run promised, from the files it left: the audit's yardstick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.catalogue import AGGREGATIONS, MECHANISMS
from common.errors import FileError
from common.json_files import read_table
from common.study import Study
from experiments.audit.collusion_needed import (
    epsilon_of_one_share,
    in_words,
    opening_hospitals,
    opening_if_cheating,
    paid_for,
)
from experiments.audit.records import Claim
from server.reporting.values import number

PLAIN_READERS = "The coordinator can read every hospital's single update."


def claim_of(study: Study, folder: Path, hospitals: int) -> Claim:
    """From the study, `about.json` and `privacy.json`. hospitals: that a sum is of."""
    about, privacy = read_table(folder, "about.json"), read_table(folder, "privacy.json")
    aggregation = AGGREGATIONS.build(study.aggregation)
    readers = str(about.get("readers") or getattr(aggregation, "readers", "")) or PLAIN_READERS
    epsilon = _epsilons(privacy, folder / "privacy.json")
    return Claim(
        aggregation=study.aggregation.name,
        reveals=aggregation.reveals,
        readers=readers,
        mechanism=str(privacy.get("mechanism", "")),
        unit=str(privacy.get("unit", "")),
        epsilon=epsilon,
        delta=privacy.get("delta", 0.0),
        noise_source=str(privacy.get("noise_source", "")),
        opening_hospitals=opening_hospitals(study, hospitals),
        opening_if_cheating=opening_if_cheating(study, hospitals),
        opened_by=in_words(study, hospitals),
        paid_for=paid_for(study),
        epsilon_of_one_share=epsilon_of_one_share(study, hospitals),
        binds_coordinator=study.privacy is None or MECHANISMS.build(study.privacy).place != "server",
    )


def _epsilons(privacy: Mapping[str, Any], path: Path) -> dict[str, float]:
    """By hospital. Raises FileError where what was promised and spent is not all there."""
    sites = privacy.get("sites", {}) if privacy else {}
    entries = sites.items() if isinstance(sites, dict) else [("", None)]
    found = {site: number(one.get("epsilon")) if isinstance(one, dict) else None for site, one in entries}
    if any(value is None or value < 0 for value in (number(privacy.get("delta", 0.0)), *found.values())):
        raise FileError(path, "does not say delta and what every hospital spent, as numbers")
    return {site: epsilon for site, epsilon in found.items() if epsilon is not None}
