"""`privacy.json` brought up to what `charged.jsonl` says, for a crash may have kept a run from counting its last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import FileError, StudyError
from server.charges import Charges, charged_rounds
from server.privacy_spent import beside, releases_of, spent_by


def counted(table: Any, folder: Path) -> Any:
    """A folder's table; as it is where nothing was charged since, or where the files are not as written."""
    try:
        return _counted(table, charged_rounds(Charges(folder).lines(), (), ()))
    except (FileError, ValueError, TypeError, LookupError, AttributeError, StudyError):
        return table


def _counted(table: Mapping[str, Any], charged: Mapping[str, int]) -> Mapping[str, Any]:
    rounds = {site: max(one["rounds"], charged.get(site, 0)) for site, one in table["sites"].items()}
    if all(one["rounds"] == rounds[site] for site, one in table["sites"].items()):
        return table
    delta = table["delta"]
    sites = {site: {**one, **spent_by(releases_of(one), rounds[site], delta)} for site, one in table["sites"].items()}
    return {**table, "beside": beside(sites, delta, table["place"] == "hospital"), "sites": sites}
