"""Who withdrew or did not consent, what earlier models still hold of them, and what all studies have spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path

from client.withdrawn import withdrawals
from common.errors import WardroundError
from common.files.access import is_there, names, read_text
from common.files.json_files import read_table
from experiments.audit.dossier.sheet import Departed, LedgerLine
from experiments.audit.records import Claim
from experiments.hospital.ledger_summary import summary_of
from experiments.hospital.withdrawal import RETAINED
from server.reporting.values import number
from server.reporting.wording import count, listed

HOSPITALS, LEFT_OUT = "hospitals", "quarantined.txt"
LEDGER = "privacy-ledger.sqlite"


def departed(folder: Path) -> tuple[Departed, ...]:
    """Hospital by hospital, numbers alone: names stay where they are."""
    told = read_table(folder, "run.json").get("withdrawn")
    since = told if isinstance(told, Mapping) else {}
    sites = sorted({*names(folder, HOSPITALS), *map(str, since)})
    return tuple(_of_site(folder, site, number(since.get(site))) for site in sites)


def _of_site(folder: Path, site: str, since: float | None) -> Departed:
    place = folder / HOSPITALS / site
    return Departed(site, int(since or 0), _withdrew(place) or 0, _without_consent(place))


def _withdrew(place: Path) -> int | None:
    """How many the hospital's list holds; None where it is not as it was written."""
    try:
        return sum(not one.again for one in withdrawals(place))
    except WardroundError:
        return None


def unreadable(folder: Path) -> tuple[str, ...]:
    """Hospitals whose list of who withdrew says nothing."""
    return tuple(site for site in sorted(names(folder, HOSPITALS)) if _withdrew(folder / HOSPITALS / site) is None)


def _without_consent(place: Path) -> int:
    """Cases that were left out because nobody's consent covers them."""
    if not is_there(place, LEFT_OUT):
        return 0
    return sum("consent" in line.casefold() for line in read_text(place, LEFT_OUT).splitlines())


def retained(found: tuple[Departed, ...], claim: Claim, unread: tuple[str, ...] = ()) -> Iterator[str]:
    """What stays in models, in sentences. unread: hospitals whose list of who withdrew cannot be read."""
    if unread:
        lists = "list of who withdrew is not as it was written, so that how many did is not known"
        yield f"Of {listed(unread, most=8)} the {lists}: put a copy back, and audit again."
    left = sum(max(one.since, one.in_all) for one in found)
    if left:
        yield f"{count(left, 'person')} withdrew from a hospital of this run. {RETAINED}"
    elif not unread:
        yield f"No list beside this run says that anybody withdrew from its hospitals. Should somebody: {RETAINED}"
    if claim.epsilon and claim.unit == "patient":
        bound = max(claim.epsilon.values())
        if isfinite(bound):
            yield (
                f"By this study's promise, what that can tell of one {claim.unit} is bounded by an epsilon of "
                f"{bound:.3g} at delta {claim.delta:g}."
            )
    yield "A person withdraws at the hospital: `wardround withdraw NAME --folder FOLDER`."


def ledgers(folder: Path) -> tuple[LedgerLine, ...]:
    """Of every hospital that keeps one beside the run: what all studies in it have spent together."""
    return tuple(
        _line(folder, site) for site in names(folder, HOSPITALS) if is_there(folder, f"{HOSPITALS}/{site}/{LEDGER}")
    )


def _line(folder: Path, site: str) -> LedgerLine:
    try:
        found = summary_of(folder / HOSPITALS / site)
    except WardroundError as error:
        return LedgerLine(site, 0, None, None, str(error)[:200])
    epsilon = found.epsilon if found.epsilon is not None and isfinite(found.epsilon) else None
    return LedgerLine(site, len({one.study for one in found.studies}), epsilon, found.delta, found.fault or "")
