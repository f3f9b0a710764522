"""A hospital's three keys: made once, kept for its own user alone, never overwritten; and those of a rotation."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.atomic_write import write_durably
from common.consortium.certificates import (
    LARGEST_PEM_BYTES,
    PrivateKey,
    new_key,
    openssh_private,
    openssh_public,
    private_pem,
    read_private_key,
)
from common.consortium.requests import Secrets
from common.errors import FileError, HospitalError, WireError
from common.files.access import is_there, private_folder, read, remove
from common.sums.identity import KEY_FILE, read_key

LOCK = "enrolment.lock"
BUSY = "is being changed by another command; try again"
KEYS, NEXT = "keys", "keys/next"
TLS_KEY, NODE_KEY, NODE_PUBLIC = "tls.key", "node.key", "node.pub"
TLS_CERTIFICATE, AUTHORITY = "keys/tls.crt", "keys/authority.crt"


def make_keys(folder: Path) -> Secrets:
    """The hospital's keys; whichever of them is not there yet is made."""
    return _made(folder, KEYS, folder)


def make_next_keys(folder: Path) -> Secrets:
    """Keys that a rotation will put in the place of the hospital's; those that wait already, where some do."""
    return _made(folder, NEXT, folder / NEXT)


def read_secrets(folder: Path) -> Secrets:
    """The hospital's keys. Raises HospitalError where one is absent or damaged."""
    return _read(folder, KEYS, folder)


def read_next_secrets(folder: Path) -> Secrets | None:
    """Keys that wait for the reply to a rotation; None where none do."""
    return _read(folder, NEXT, folder / NEXT) if is_there(folder, f"{NEXT}/{TLS_KEY}") else None


def install_next_keys(folder: Path, secrets: Secrets) -> None:
    """Put the rotation's keys in their place. They wait beside it until the end, so that this can be done again."""
    private_folder(folder, KEYS)
    write_durably(folder / KEYS / TLS_KEY, private_pem(secrets.tls))
    _write_node(folder / KEYS, secrets.node)
    write_durably(folder / KEY_FILE, b64encode(secrets.identity.private_bytes_raw()))


def forget_next_keys(folder: Path) -> None:
    """Once they are in their place, or given up."""
    for name in (KEY_FILE, NODE_KEY, NODE_PUBLIC, TLS_KEY):
        remove(folder, f"{NEXT}/{name}")


def _made(folder: Path, place: str, identity: Path) -> Secrets:
    private_folder(folder, place)
    _unless_there(folder, f"{place}/{NODE_KEY}", lambda: openssh_private(new_key()))
    if not is_there(identity, KEY_FILE):
        write_durably(identity / KEY_FILE, b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
    _unless_there(folder, f"{place}/{TLS_KEY}", lambda: private_pem(new_key()))
    secrets = _read(folder, place, identity)
    _unless_there(folder, f"{place}/{NODE_PUBLIC}", lambda: openssh_public(secrets.node.public_key()))
    return secrets


def _unless_there(folder: Path, name: str, content: Callable[[], bytes]) -> None:
    if not is_there(folder, name):
        write_durably(folder / name, content())


def _write_node(place: Path, key: PrivateKey) -> None:
    write_durably(place / NODE_KEY, openssh_private(key))
    write_durably(place / NODE_PUBLIC, openssh_public(key.public_key()))


def _read(folder: Path, place: str, identity: Path) -> Secrets:
    try:
        return Secrets(
            _private(folder, f"{place}/{TLS_KEY}"), _private(folder, f"{place}/{NODE_KEY}"), read_key(identity)
        )
    except (FileError, ValueError) as error:
        raise HospitalError(f"a key of this hospital is absent or damaged: {error}") from error


def _private(folder: Path, name: str) -> PrivateKey:
    try:
        return read_private_key(read(folder, name, LARGEST_PEM_BYTES))
    except WireError as error:
        raise HospitalError(f"{folder / name}: {error}") from error
