"""Which of a cheating coordinator's orders a hospital refuses, and why: its own code is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from client.approval import approve
from client.approved_studies import approve_study, list_study
from common.data.cases import SiteId
from common.errors import RefusedError, WireError
from common.study.study import Study, parse_json
from common.wire.orders import Order, from_payload, to_payload
from experiments.evidence.ground_truth import hospital_of


def refusals(approved: Study, order: Order, site: SiteId) -> dict[str, str]:
    """Why a hospital with this software's checks refuses the order; "" where it does not.

    first: as the model of round 1. later: as that of a later round. listed: as that of a later round, where the
    hospital keeps a list of approved studies that `approved` alone is on.
    """
    first = replace(order, round=1)
    with TemporaryDirectory() as place:
        folder = Path(place)
        list_study(approved, folder)
        return {
            "first": _refusal(first, site, None),
            "later": _refusal(order, site, None),
            "listed": _refusal(order, site, folder),
        }


def _refusal(order: Order, site: SiteId, folder: Path | None) -> str:
    """What the hospital's own code says; nothing of it leaves a real hospital but an incident's number."""
    came = from_payload(to_payload(order))
    try:
        approve_study(came.study_json, folder, needs_list=False)
        approve(hospital_of(parse_json(came.study_json), site), came)
    except (RefusedError, WireError) as error:
        return str(error).rstrip(".")
    return ""
