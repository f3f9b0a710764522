"""What an engineer hands to a machine: a service for systemd, a compose file and a Containerfile, filled in."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.errors import FileError, StudyError
from common.files.access import create, private_folder, read_text

Role = Literal["node", "server"]
HERE = Path(__file__).parent
CONTAINERFILE = "Containerfile"
FIRST_FREE_PORT = 1024
"""Ports below are opened with a capability."""
MEMORY = re.compile(r"[1-9][0-9]{0,8}[KMGT]")
HOMES = ("/home", "/root", "/run/user")
GPUS = """    deploy:
      resources:
        reservations:
          devices: [{driver: nvidia, count: all, capabilities: [gpu]}]"""


@dataclass(frozen=True)
class Places:
    """folder: the party's own. data: what a node reads; "" where it lies in the folder, or is none.

    port: of the coordinator's front. devices: whether a node computes on a GPU, and needs its device files.
    memory: as systemd and containers write it.
    """

    folder: Path
    user: str = "wardround"
    data: str = ""
    port: int = 8443
    devices: bool = False
    memory: str = "8G"

    def __post_init__(self) -> None:
        for name, value in (("folder", str(self.folder)), ("data", self.data), ("user", self.user)):
            if any(not one.isprintable() or one in "\"'\\%$# \t:" for one in value):
                raise StudyError(
                    f"{name} must be written without spaces, quotes, colons and the signs \\ % $ #: systemd and "
                    f"compose files give them a meaning of their own; it is {value!r}."
                )
        if not MEMORY.fullmatch(self.memory):
            raise StudyError(f"memory must be a number with K, M, G or T, such as 8G; it is {self.memory[:80]!r}.")


def write_files(role: Role, places: Places, into: Path) -> Sequence[Path]:
    """Write the files of a node or of the coordinator. Raises FileError where one of them is there already."""
    private_folder(into)
    texts = filled(role, places)
    there = [name for name in texts if (into / name).exists()]
    if there:
        raise FileError(into / there[0], "is there already; nothing was written")
    for name, text in texts.items():
        create(into, name, text)
    return [into / name for name in texts]


def filled(role: Role, places: Places) -> Mapping[str, str]:
    """By name: the texts, without a sign that still waits to be filled in."""
    signs = _signs(places)
    names = {f"wardround-{role}.service": f"wardround-{role}.service", f"compose-{role}.yaml": "compose.yaml"}
    texts = {shown: _fill(read_text(HERE, name), signs) for name, shown in names.items()}
    return {**texts, CONTAINERFILE: read_text(HERE, CONTAINERFILE)}


def _signs(places: Places) -> Mapping[str, str]:
    folder = str(places.folder.absolute())
    touched = [folder, places.data, sys.executable]
    return {
        "PROGRAM": str(Path(sys.executable).parent / "wardround"),
        "FOLDER": folder,
        "DATA_OF_A_SERVICE": f"ReadOnlyPaths={places.data}" if places.data else "",
        "DATA_OF_A_CONTAINER": f'      - "{places.data}:{places.data}:ro"' if places.data else "",
        "USER": places.user,
        "PORT": str(places.port),
        "MEMORY": places.memory,
        "DOCS": str(HERE.parents[1] / "docs" / "nodes.md"),
        # A home is hidden whole, unless something that the service needs lies in one.
        "PROTECT_HOME": "read-only" if any(one.startswith(HOMES) for one in touched) else "yes",
        "PRIVATE_DEVICES": "no" if places.devices else "yes",
        "DEVICES_OF_A_SERVICE": "DeviceAllow=char-nvidia* rw" if places.devices else "",
        "DEVICES_OF_A_CONTAINER": GPUS if places.devices else "",
        # In a user namespace of its own a service has no capability over the host's ports.
        "PRIVATE_USERS": "no" if places.port < FIRST_FREE_PORT else "yes",
        "CAPABILITY": "CAP_NET_BIND_SERVICE" if places.port < FIRST_FREE_PORT else "",
    }


def _fill(text: str, signs: Mapping[str, str]) -> str:
    for name, value in signs.items():
        text = text.replace(f"@{name}@", value)
    return "".join(f"{line}\n" for line in text.rstrip().splitlines())
