"""What a run promised, from the files it left: the audit's yardstick."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from common.cases import SiteId
from common.catalogue import AGGREGATIONS, MECHANISMS
from common.study import Study
from common.trust import said
from experiments.audit.collusion_needed import (
    epsilon_of_one_share,
    in_words,
    opening_hospitals,
    opening_if_cheating,
    paid_for,
)
from experiments.audit.records import Claim
from server.privacy_recount import counted
from server.reporting.parsing import privacy_of

PLAIN_READERS = "The coordinator can read every hospital's single update."


def claim_of(study: Study, folder: Path, hospitals: int, roster: Sequence[SiteId]) -> Claim:
    """From the study, `about.json` and `privacy.json`. hospitals: that a sum is of. roster: all of the study."""
    about, privacy = _read(folder, "about.json"), counted(_read(folder, "privacy.json"), folder)
    promise = privacy_of(privacy)
    aggregation = AGGREGATIONS.build(study.aggregation)
    readers = str(about.get("readers") or getattr(aggregation, "readers", "")) or PLAIN_READERS
    sites = privacy.get("sites", {})
    return Claim(
        aggregation=study.aggregation.name,
        reveals=aggregation.reveals,
        readers=readers,
        mechanism=str(privacy.get("mechanism", "")),
        unit=str(privacy.get("unit", "")),
        epsilon={site: inf if (spent := one["epsilon"]) is None else float(spent) for site, one in sites.items()},
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
        trusts=said(study),
        not_covered=() if promise is None else promise.not_covered,
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
