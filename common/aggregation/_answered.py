"""Whose sum a hospital helped to open in a round, kept so that it never helps to open another one of that round."""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path

from common.cases import SiteId
from common.errors import WireError
from common.protocol import Local

FOLDER = "opened-sums"


def answer_once(local: Local, sites: tuple[SiteId, ...]) -> None:
    """Write down that the sum of `sites` is opened, before it is. Raises WireError where it was another set before.

    The file is on the disk when this returns, in the hospital's folder where it has one and in memory else. A
    file that a crash cut short matches no set: that round is refused from then on.
    """
    digest = sha256(json.dumps(list(sites)).encode()).hexdigest().encode()
    if local.folder is None:
        before = _remembered(local.secrets, f"opened/{local.study}/{local.round}", digest)
    else:
        before = _written(local.folder / FOLDER / local.study, f"{local.round:06d}", digest)
    if before != digest:
        raise WireError(f"in round {local.round} the sum of other hospitals was opened before; it is opened once.")


def _remembered(secrets: MutableMapping[str, bytes], key: str, digest: bytes) -> bytes:
    return secrets.setdefault(key, digest)


def _written(folder: Path, name: str, digest: bytes) -> bytes:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return (folder / name).read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)
    return digest


def _sync(folder: Path) -> None:
    """The folder's own entry on the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
