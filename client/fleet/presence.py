"""That the coordinator counts this node as present: its id, kept on the disk, and a heartbeat while it runs.

A SuperLink refuses to activate a node that it believes alive, for a minute after it was killed; a heartbeat of a node
that it knows makes it present at once. So a node that knows its id begins with a heartbeat, and activates itself only
where nobody knows that id, or it is another key's by now.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock, Thread

from client.atomic_write import write_durably
from client.fleet.connection import Connection
from client.fleet.outcomes import Refused, Unreached, called_of_no_run
from common.errors import FileError
from common.files.access import if_there, read_text

FILE = "node.json"
LARGEST_BYTES = 1 << 12
BEAT_S = 10.0
"""A sixth of what a SuperLink waits for."""
LOG = logging.getLogger("wardround.node")


@dataclass
class Presence:
    """node_id: as the coordinator knows this node's key, None before it said so."""

    connection: Connection
    folder: Path
    node_id: int | None = None
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.node_id = _read(self.folder, self._owner)

    def ensure(self) -> int:
        """Be present; the node's id. Raises Unreached or Refused."""
        with self._lock:
            if self.node_id is not None and self._known(self.node_id):
                return self.node_id
            node_id = called_of_no_run(self.connection.calls.activate)
            if node_id != self.node_id:
                self.node_id = node_id
                with suppress(FileError):  # a disk that is full costs a minute after the next crash
                    write_durably(self.folder / FILE, json.dumps({"node": node_id, "key": self._owner}).encode())
            return node_id

    def leave(self) -> None:
        """Say good-bye, if anybody hears it."""
        node_id = self.node_id
        if node_id is not None:
            with suppress(Unreached, Refused):
                called_of_no_run(lambda: self.connection.calls.deactivate(node_id))

    def _known(self, node_id: int) -> bool:
        try:
            return called_of_no_run(lambda: self.connection.calls.heartbeat(node_id))
        except Refused:
            return False

    @property
    def _owner(self) -> str:
        """Whose id it is: of this key, at this coordinator."""
        return sha256(self.connection.identity.public_key + self.connection.address.encode()).hexdigest()


class Heartbeat:
    """Says every few seconds, from a thread of its own, that the node lives, however long it trains."""

    def __init__(self, presence: Presence, beat_s: float = BEAT_S) -> None:
        self._presence, self._beat_s = presence, beat_s
        self._stop = Event()
        self._thread = Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _beat(self) -> None:
        while not self._stop.wait(self._beat_s):
            try:
                self._presence.ensure()
            except (Unreached, Refused) as fact:
                LOG.debug("no heartbeat: %s", fact)
            except Exception:
                LOG.exception("a heartbeat failed")


def _read(folder: Path, owner: str) -> int | None:
    """The id that was kept for this key; None where there is none that can be used."""
    try:
        table = json.loads(if_there(read_text, folder, FILE, LARGEST_BYTES) or "{}")
        node_id = table.get("node") if isinstance(table, dict) and table.get("key") == owner else None
    except (FileError, ValueError, RecursionError):
        return None
    return node_id if isinstance(node_id, int) and not isinstance(node_id, bool) and 0 < node_id < 1 << 64 else None
