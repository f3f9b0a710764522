"""Messages on the hospital's own disk: a SuperLink hands each out once, and forgets it where it is confirmed.

A message is written down as soon as it is known, then its objects one by one, and it stays until its answer is
pushed: whenever the node ends, the next one goes on where it was.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from client.atomic_write import write_durably
from common.errors import FileError, WireError
from common.files.access import if_there, names, private_folder, read, remove
from common.files.json_files import json_of, table_of
from common.wire.flower_inside import Delivery
from common.wire.objects import LARGEST_MESSAGE_BYTES, delivery_in, demand_named

FOLDER, OBJECTS = "inbox", "inbox/objects"
SUFFIX = ".json"
LARGEST_ENTRY_BYTES = 1 << 24
KEPT_BYTES = 1 << 28
"""Of objects of answered messages, for one that is asked again."""


@dataclass(frozen=True)
class HeldMessage:
    """A message on its way through this node. data: as it was handed over. tries: how often its answer was begun."""

    data: bytes
    delivery: Delivery
    tries: int = 0


@dataclass(frozen=True)
class Inbox:
    """folder: the hospital's own."""

    folder: Path

    def put(self, data: bytes) -> HeldMessage:
        """Write a message down. Raises WireError where it is none, FileError where it cannot be kept."""
        delivery = delivery_in(data)
        if delivery is None:
            raise WireError("a message is none.")
        return self._write(HeldMessage(data, delivery))

    def begin(self, entry: HeldMessage) -> HeldMessage:
        """Count another try: an answer that ends the process must not end it for ever."""
        return self._write(replace(entry, tries=entry.tries + 1))

    def give_up(self, entry: HeldMessage) -> HeldMessage:
        """The try ended by the hospital's own will, and does not count."""
        return self._write(replace(entry, tries=max(0, entry.tries - 1)))

    def waiting(self) -> Iterator[HeldMessage]:
        """What came and is not answered, oldest first. What is damaged is removed: it will be asked again."""
        found = []
        for name in names(self.folder, FOLDER):
            if name.endswith(SUFFIX):
                try:
                    found.append(self._read(name))
                except (FileError, WireError, ValueError, LookupError, TypeError):
                    with suppress(FileError):
                        remove(self.folder, f"{FOLDER}/{name}")
        yield from sorted(found, key=lambda entry: entry.delivery.created_at)

    def object(self, name: str) -> bytes | None:
        """An object that is here, and whole."""
        try:
            content = if_there(read, self.folder, f"{OBJECTS}/{name}", LARGEST_MESSAGE_BYTES)
            if content is not None:
                demand_named(name, content)
            return content
        except (FileError, WireError):
            return None

    def keep(self, name: str, content: bytes) -> None:
        """An object, checked before, on the disk when this returns."""
        private_folder(self.folder, OBJECTS)
        write_durably(self.folder / OBJECTS / name, content)

    def done(self, entry: HeldMessage) -> None:
        """Forget a message that is answered; of its objects the newest stay."""
        remove(self.folder, f"{FOLDER}/{entry.delivery.message_id}{SUFFIX}")
        remove(self.folder, f"{OBJECTS}/{entry.delivery.message_id}")
        self.forget_objects()

    def forget_objects(self, kept_bytes: int = KEPT_BYTES) -> None:
        """All but the newest, together no more than that."""
        place = self.folder / OBJECTS
        found = []
        for name in names(self.folder, OBJECTS):
            with suppress(OSError):
                about = (place / name).lstat()
                found.append((about.st_mtime_ns, about.st_size, name))
        size = 0
        for _, bytes_, name in sorted(found, reverse=True):
            size += bytes_
            if size > kept_bytes:
                with suppress(FileError):
                    remove(self.folder, f"{OBJECTS}/{name}")

    def _write(self, entry: HeldMessage) -> HeldMessage:
        private_folder(self.folder, FOLDER)
        text = json.dumps({"tries": entry.tries, "message": b64encode(entry.data).decode("ascii")})
        write_durably(self.folder / FOLDER / f"{entry.delivery.message_id}{SUFFIX}", text.encode())
        return entry

    def _read(self, name: str) -> HeldMessage:
        path = self.folder / FOLDER / name
        table = table_of(json_of(read(self.folder, f"{FOLDER}/{name}", LARGEST_ENTRY_BYTES), path), path)
        data = b64decode(str(table["message"]), validate=True)
        delivery = delivery_in(data)
        if delivery is None or f"{delivery.message_id}{SUFFIX}" != name:
            raise WireError("a message is none.")
        return HeldMessage(data, delivery, int(table["tries"]))
