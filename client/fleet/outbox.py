"""The last reply of every run, on the disk before it is pushed: what was lost on the way is told again, unchanged.

A coordinator that did not get a reply asks again, in a message of its own with the very same content. Where that was
the last thing this hospital answered in the run, it gets the same bytes, and the hospital's program never hears of
it. Anything else is new, and goes to the program, which has rules of its own for what comes twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from client.atomic_write import write_durably
from common.errors import FileError
from common.files.access import names, private_folder, read, remove
from common.files.json_files import json_of, table_of
from common.wire.pieces import LARGEST_MESSAGE_BYTES

FOLDER = "outbox"
SUFFIX = ".reply"
LARGEST_REPLY_BYTES = LARGEST_MESSAGE_BYTES + (1 << 24)
LARGEST_ABOUT_BYTES = 1 << 21
MOST_REPLIES = 16
REPLIED = "answered"
MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class About:
    """Which request a reply is to. run: the study's own, or Flower's where it names none. content: its name.

    again: whether the same request in another message gets it. study: as the request gave it, "" where it did not.
    outcome: what became of the request, for the node's own log.
    """

    run: str
    flower_run: int
    kind: str
    content: str
    message_id: str
    again: bool
    study: str = ""
    outcome: str = REPLIED

    def repeats(self, kind: str, content: str) -> bool:
        """Whether a request of this kind and content is the one that was answered."""
        return bool(content) and (self.kind, self.content) == (kind, content)


class Outbox:
    """folder: the hospital's own. Replies stay on the disk; what they are to is known by heart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._about: dict[str, About] = {}
        for name in self._names():
            try:
                self._about[name] = self._read(name)[0]
            except (FileError, ValueError, LookupError, TypeError):
                with suppress(FileError):  # torn by a loss of power: it was never pushed
                    remove(folder, f"{FOLDER}/{name}")

    def to_message(self, message_id: str) -> tuple[About, bytes] | None:
        """The reply to this very message, as a serialised Message."""
        return self._of([name for name, about in self._about.items() if about.message_id == message_id])

    def to_repeat(self, kind: str, content: str) -> tuple[About, bytes] | None:
        """The last reply of a run, where the request repeats what it was to."""
        return self._of([name for name, one in self._about.items() if one.again and one.repeats(kind, content)])

    def keep(self, about: About, reply: bytes) -> None:
        """On the disk when this returns, in place of the run's reply before. Raises FileError."""
        private_folder(self._folder, FOLDER)
        name = f"{sha256(about.run.encode()).hexdigest()}{SUFFIX}"
        text = json.dumps(asdict(about)).encode()
        write_durably(self._folder / FOLDER / name, len(text).to_bytes(4, "big") + text + reply)
        self._about[name] = about
        self._forget(name)

    def _of(self, found: list[str]) -> tuple[About, bytes] | None:
        if not found:
            return None
        try:
            return self._read(found[0])
        except (FileError, ValueError, LookupError, TypeError):
            return None

    def _read(self, name: str) -> tuple[About, bytes]:
        data = read(self._folder, f"{FOLDER}/{name}", LARGEST_REPLY_BYTES)
        size = int.from_bytes(data[:4], "big")
        if size > LARGEST_ABOUT_BYTES:
            raise ValueError("no reply of ours")
        table: Mapping[str, object] = table_of(
            json_of(data[4 : 4 + size], self._folder / FOLDER / name), self._folder
        )
        return About(**table), data[4 + size :]  # type: ignore[arg-type]

    def _names(self) -> list[str]:
        return [name for name in names(self._folder, FOLDER) if name.endswith(SUFFIX)]

    def _forget(self, newest: str) -> None:
        """The oldest beyond what is kept; the one just written always stays."""
        found = []
        for name in self._names():
            with suppress(OSError):
                about = (self._folder / FOLDER / name).lstat()
                found.append((name == newest, about.st_mtime_ns, about.st_size, name))
        size = 0
        for count, (is_newest, _, bytes_, name) in enumerate(sorted(found, reverse=True), 1):
            size += bytes_
            if not is_newest and (count > MOST_REPLIES or size > MOST_BYTES):
                self._about.pop(name, None)
                with suppress(FileError):
                    remove(self._folder, f"{FOLDER}/{name}")
