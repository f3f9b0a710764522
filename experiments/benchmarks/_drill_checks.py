"""What a study in nodes left after its faults: whether anything was lost, or counted or charged twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from client._ledger_file import is_begun
from client.audit_log import verify
from client.delivered_models import FOLDER, MODEL
from client.ledger import Ledger
from common.errors import WardroundError
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import Outcome


def lost(outcome: Outcome, folder: Path, sites: Sequence[str], rounds: int, is_charged: bool) -> tuple[str, ...]:
    """Everything that is not as in an undisturbed run, in words; () where all is."""
    found = [*_of_rounds(outcome, sites, rounds)]
    for site in sites:
        own = hospital_folder(folder, site)
        found += [f"{site}: {fault}" for fault in (*_of_log(own), *_of_model(own))]
        if is_charged:
            found += [f"{site}: {fault}" for fault in _of_ledger(own, rounds)]
    return tuple(found)


def _of_rounds(outcome: Outcome, sites: Sequence[str], rounds: int) -> Iterator[str]:
    """Every round once and in order, every hospital in each."""
    told = [record["round"] for record in outcome.rounds]
    if told != list(range(1, rounds + 1)):
        yield f"{rounds} rounds were asked, and rounds.jsonl has {len(told)}"
    for record in outcome.rounds:
        missing = sorted(set(sites) - set(record["contributed"]))
        if missing:
            yield f"round {record['round']} went without {', '.join(missing)}"


def _of_log(own: Path) -> Iterator[str]:
    try:
        found = verify(own)
    except WardroundError as error:
        yield f"its log cannot be read: {error}"
        return
    if found.fault is not None:
        yield f"its log is not whole: {found.fault}"


def _of_model(own: Path) -> Iterator[str]:
    if len(list((own / FOLDER).glob(f"*/*/{MODEL}"))) != 1:
        yield "it was not handed the model"


def _of_ledger(own: Path, rounds: int) -> Iterator[str]:
    """Charged once for each round, and for no other."""
    if not is_begun(own):
        yield "its ledger was never charged"
        return
    try:
        contents = Ledger(own).contents()
    except WardroundError as error:
        yield f"its ledger cannot be read: {error}"
        return
    charged = Counter(entry.round for entry in contents.entries if entry.kind == "charge")
    for number in sorted(set(charged) | set(range(1, rounds + 1))):
        if charged[number] != 1 or number > rounds:
            yield f"round {number} was charged {charged[number]} times"
