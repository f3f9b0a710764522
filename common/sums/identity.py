"""Who a hospital is to the others: an Ed25519 key of its own, and everybody's public key, known beforehand.

The server passes messages between hospitals and could change them; what a hospital signs it cannot. Public keys
must reach each hospital another way than through the server (a file from the consortium's administrator).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.data.names import SiteId
from common.errors import FileError, HospitalError, WireError
from common.files import access as files
from common.files.access import is_there, read
from common.files.json_files import read_table, write_json

KEY_FILE, PEERS_FILE = "identity.key", "peers.json"
LARGEST_KEY_BYTES = 1 << 10
PUBLIC_KEYS_KEPT = 1 << 14


@dataclass(frozen=True)
class Identity:
    """One hospital's signing key, and the public keys of all hospitals of the study, itself included."""

    site: SiteId
    key: Ed25519PrivateKey = field(repr=False)
    public_keys: Mapping[SiteId, bytes]

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self.key.sign(message)

    def verify(self, site: SiteId, signature: bytes, message: bytes) -> None:
        """Raise WireError where `site` is unknown here or did not sign this message."""
        public = self.public_keys.get(site)
        if public is None:
            raise WireError("a message is said to be from a hospital that is not known here.")
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except InvalidSignature:
            raise WireError(f"a message said to be from {site} is not signed by it.") from None


def simulated(site: SiteId, sites: Iterable[SiteId], seed: int) -> Identity:
    """An identity for simulation alone: its keys follow from the seed, so that no file need be handed round."""
    return Identity(site, _simulated_key(site, seed), _simulated_keys(tuple(sites), seed))


@dataclass(frozen=True)
class _SimulatedKeys(Mapping[SiteId, bytes]):
    """Public keys, each made when it is asked for: most sums ask for those of a few hospitals, or for none."""

    sites: Mapping[SiteId, None]
    seed: int

    def __getitem__(self, site: SiteId) -> bytes:
        if site not in self.sites:
            raise KeyError(site)
        return _simulated_public(site, self.seed)

    def __iter__(self) -> Iterator[SiteId]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)


@lru_cache(maxsize=4)
def _simulated_keys(sites: tuple[SiteId, ...], seed: int) -> _SimulatedKeys:
    """Kept: thousands of hospitals in one process know the same ones."""
    return _SimulatedKeys(dict.fromkeys(sites), seed)


def create(folder: Path) -> bytes:
    """Make a hospital's key in `folder`, readable by its user only, unless there is one; its public key, 32 bytes."""
    if not is_there(folder, KEY_FILE):
        secret = Ed25519PrivateKey.generate().private_bytes_raw()
        files.create(folder, KEY_FILE, b64encode(secret))
    return _public(read_key(folder))


def introduce(folder: Path, public_keys: Mapping[SiteId, bytes]) -> None:
    """Write everybody's public keys into a hospital's folder."""
    table = {site: b64encode(key).decode() for site, key in sorted(public_keys.items())}
    write_json(folder, PEERS_FILE, table, durable=True)


def load(site: SiteId, folder: Path) -> Identity:
    """The identity in a hospital's folder. Raises HospitalError where a file is absent or damaged."""
    try:
        table = read_table(folder, PEERS_FILE, required=True)
        public = {str(name): b64decode(key, validate=True) for name, key in table.items()}
        identity = Identity(site, read_key(folder), public)
    except (FileError, ValueError, TypeError) as error:
        raise HospitalError(
            f"{KEY_FILE} and {PEERS_FILE} are needed in the hospital's folder to sign: {error}"
        ) from error
    if public.get(site) != _public(identity.key):
        raise HospitalError(f"{PEERS_FILE} gives {site} another public key than that of {KEY_FILE}.")
    return identity


def read_key(folder: Path) -> Ed25519PrivateKey:
    """The signing key in a folder. Raises FileError where it is absent or damaged."""
    try:
        secret = b64decode(read(folder, KEY_FILE, LARGEST_KEY_BYTES), validate=True)
        return Ed25519PrivateKey.from_private_bytes(secret)
    except ValueError as error:
        raise FileError(folder / KEY_FILE, "is no signing key: bring it back from a copy") from error


def _simulated_key(site: SiteId, seed: int) -> Ed25519PrivateKey:
    from common.seeding import entropy  # brings torch, which a command that reads keys does without

    return Ed25519PrivateKey.from_private_bytes(entropy(seed, site, "simulated identity").to_bytes(32, "big"))


@lru_cache(maxsize=PUBLIC_KEYS_KEPT)
def _simulated_public(site: SiteId, seed: int) -> bytes:
    return _public(_simulated_key(site, seed))


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
