"""`wardround node files` and `wardround server files`: the files, filled in from the party's own settings."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from client.node_settings import read_settings
from client.policy import read_policy
from common.errors import FileError, StudyError
from common.files.access import is_there
from experiments.coordinator.settings import FILE
from experiments.handover.files import CONTAINERFILE, Places, Role, write_files
from server.front.settings import read_front

FILES = "files"
ROOT = 0


def of_a_node(folder: Path, user: str, into: Path | None, memory: str) -> Iterator[str]:
    """Write a node's; what to do next. Raises HospitalError for a folder that no hospital enrolled in."""
    data = _outside(folder, read_settings(folder).data_folder)
    places = Places(folder, _user(folder, user), data, devices=_has_gpu(folder), memory=memory)
    yield from _written("node", places, into)
    if not places.devices:
        yield 'It computes on the CPU: for a GPU write device = "cuda" into policy.toml, and these files anew.'


def of_a_coordinator(folder: Path, user: str, into: Path | None, memory: str) -> Iterator[str]:
    """Write a coordinator's; what to do next. Raises StudyError for a folder that is none."""
    if not is_there(folder, FILE):
        raise StudyError(f"{folder} holds no {FILE}: make the coordinator first, with `wardround consortium create`.")
    port = read_front(folder).port
    if not port:
        raise StudyError(f"{FILE}: front.port is 0, any that is free; hospitals need one that stays.")
    yield from _written("server", Places(folder, _user(folder, user), port=port, memory=memory), into)


def _written(role: Role, places: Places, into: Path | None) -> Iterator[str]:
    paths = write_files(role, places, places.folder / FILES if into is None else into)
    yield from map(str, paths)
    service = next(path for path in paths if path.suffix == ".service")
    folder, owner = places.folder.absolute(), places.folder.stat().st_uid
    if owner != _number(places.user):
        yield f"The folder is another user's: sudo chown -R {places.user}: {folder}"
    yield "With systemd:"
    yield f"  sudo cp {service.absolute()} /etc/systemd/system/"
    yield f"  sudo systemctl daemon-reload && sudo systemctl enable --now {service.stem}"
    containerfile = next(path for path in paths if path.name == CONTAINERFILE)
    yield "In a container instead, from a checkout after `make wheels`:"
    yield f"  podman build --file {containerfile.absolute()} --tag wardround ."
    compose = f"podman compose --file {service.absolute().parent}/compose.yaml up -d"
    yield f"  sudo chown -R 10001:10001 {folder} && {compose}"


def _outside(folder: Path, data: str) -> str:
    """The folder of data, absolute; "" where it lies in the node's own, which it may read anyway."""
    if not data:
        return ""
    place = Path(os.path.normpath(folder.absolute() / data))
    return "" if place.is_relative_to(folder.absolute()) else str(place)


def _user(folder: Path, named: str) -> str:
    """Who owns the folder, unless somebody else is named; never root, by itself."""
    owner = folder.stat().st_uid
    if named or owner == ROOT:
        return named or Places.user
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        raise FileError(
            folder, f"belongs to user {owner}, who has no name here; say whose it is with --user"
        ) from None


def _number(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _has_gpu(folder: Path) -> bool:
    """Only where the policy names one: what a service need not reach it does not see."""
    policy = read_policy(folder)
    return (policy.device or "").startswith("cuda") or (
        policy.device in (None, "auto") and "cuda" in (policy.devices or ())
    )
