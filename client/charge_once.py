"""An order that was charged, and whose update did not leave: it is charged once, whenever the power goes.

A charge is on the disk before anything is trained. Where the power goes between it and the answer, the coordinator
asks again, and the hospital must train anew; nothing of the first attempt was ever seen, so it costs nothing. The
order and the number of charges before it are written down before the charge. Where a process that was started later
finds that note, the same order comes, and the ledger holds one charge more, the charge was made and nothing left: the
note is removed, on the disk, before an answer leaves, whatever it is. A lock that the process holds to its end keeps
others that are alive from taking its note for one of the dead.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path

from client.atomic_write import sync_folder, write_durably
from client.ledger import Charge, Ledger
from common.errors import FileError
from common.files.access import if_there, is_there, private_folder, remove
from common.files.json_files import read_table
from common.files.locks import held

FOLDER = "charged-orders"
"""One small file a study while one of its orders is answered, named by its digest."""
_own: dict[Path, ExitStack] = {}
"""The locks that this process holds."""


def charge_once(folder: Path, order: str, charge: Charge) -> None:
    """Charge for an order, unless a process before this one did and nothing left since. order: its digest.

    Raises what `Ledger.spend` raises.
    """
    ledger, is_alone = Ledger(folder), _take(folder, charge.study)
    if is_alone is None:
        ledger.spend(charge)
        return
    charges, said = ledger.charges_of(charge.study), sha256(f"{order} {charge!r}".encode()).hexdigest()
    if is_alone and _noted(folder, charge.study) == (said, charges - 1):
        return
    private_folder(folder, FOLDER, durable=True)
    write_durably(folder / _name(charge.study), json.dumps({"order": said, "charges": charges}).encode())
    ledger.spend(charge)


def release(folder: Path | None, study: str) -> None:
    """An answer of the study may leave when this returns. study: its digest."""
    if folder is not None and is_there(folder, _name(study)):
        remove(folder, _name(study))
        sync_folder(folder / FOLDER)


def let_go() -> None:
    """Give the locks back, as the end of the process does."""
    while _own:
        _own.popitem()[1].close()


def _take(folder: Path, study: str) -> bool | None:
    """True where this process takes the study's lock now, False where it has had it; None where another has it."""
    path = folder / FOLDER / f"{study}.lock"
    if path in _own:
        return False
    stack = ExitStack()
    try:
        stack.enter_context(held(folder, f"{FOLDER}/{study}.lock", "is answered by another process"))
    except FileError:
        return None
    _own[path] = stack
    return True


def _noted(folder: Path, study: str) -> tuple[str, int] | None:
    """None where there is no note, or it is damaged: then it is charged again, which can only count too much."""
    with suppress(FileError, LookupError, TypeError, ValueError):
        table = if_there(read_table, folder, _name(study))
        return (str(table["order"]), int(table["charges"])) if table else None
    return None


def _name(study: str) -> str:
    return f"{FOLDER}/{study or 'none'}.json"
