"""The member list: who signed it, and whether the keys beside it are those that it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from client.enrolment.comparing import not_compared, read_marks
from client.node_settings import FILE, read_settings
from common.consortium import certificates as certs
from common.consortium.members import MemberList, members_if_there
from common.errors import FileError
from common.files.access import is_there, names, read
from common.sums.identity import KEY_FILE, read_key
from experiments.doctor.finding import Finding, fail, ok, warn
from experiments.doctor.keys import first_certificate, private_key
from server.coordinator_folder import NODE_KEYS

SIGN = "wardround consortium sign."
LARGEST_KEY_BYTES = 1 << 14
NEW_REPLY = "Have the coordinator run `wardround consortium sign` with this hospital's request, and accept its reply."


def signatures(folder: Path) -> Iterator[Finding]:
    """Whether all members signed it: sums are refused until they have."""
    listed = members_if_there(folder)
    if listed is None:
        remedy = "A hospital gets it with `wardround node accept`, a coordinator with `wardround consortium sign`."
        yield warn("members", "there is no member list", remedy)
        return
    yield from _compared(folder, listed)
    unsigned = listed.unsigned
    if not unsigned:
        yield ok("members", f"all {len(listed.members)} members of {listed.consortium} signed list {listed.version}")
        return
    said = f"list {listed.version} is not signed by {', '.join(unsigned)}: protected sums are refused until it is"
    remedy = "Each of them compares the others' groups; a study's next run then brings its signature."
    yield warn("members", said, remedy)


def _compared(folder: Path, listed: MemberList) -> Iterator[Finding]:
    """In a hospital: whether it compared everybody's groups; it signs the list when it has."""
    if not is_there(folder, FILE):
        return
    left = not_compared(read_settings(folder).site, listed, read_marks(folder))
    if left:
        said = f"the groups of {', '.join(left)} are yet to be compared by telephone"
        yield warn("compared", said, f"wardround node accept --folder '{folder}' --compare '{left[0]}'.")


def own_keys(folder: Path, site: str) -> Iterator[Finding]:
    """Whether a hospital's keys are those that the list gives it."""
    listed = members_if_there(folder)
    if listed is None:
        return
    keys = listed.members.get(site)
    if keys is None:
        yield fail("membership", f"{site} is not in the member list", NEW_REPLY)
        return
    found = {
        "node key": (keys.node, certs.node_bytes(private_key(folder, "keys/node.key").public_key())),
        "identity": (keys.identity, _public(folder)),
        "certificate": (keys.certificate, _certified(folder)),
    }
    wrong = [name for name, (told, own) in found.items() if told != own]
    if wrong:
        yield fail("membership", f"the list gives {site} another {' and another '.join(wrong)}", NEW_REPLY)
    else:
        yield ok("membership", f"the list gives {site} the keys of this folder")


def node_keys(folder: Path) -> Iterator[Finding]:
    """Whether a coordinator keeps each member's node key, and nobody else's."""
    listed = members_if_there(folder)
    kept = {name.removesuffix(".pub") for name in names(folder, NODE_KEYS) if name.endswith(".pub")}
    if listed is None:
        return
    for name in sorted({*listed.members} - kept):
        yield fail(
            "node keys", f"{NODE_KEYS}/{name}.pub is absent: {name} cannot enter", "wardround consortium sign."
        )
    for name in sorted(kept - {*listed.members}):
        said = f"{NODE_KEYS}/{name}.pub is no member's, and its owner may act as a node"
        yield warn("node keys", said, f"Remove '{folder / NODE_KEYS / name}.pub' unless it is about to join.")
    wrong = sorted(name for name in kept & {*listed.members} if _kept_key(folder, name) != listed.members[name].node)
    for name in wrong:
        yield fail("node keys", f"{NODE_KEYS}/{name}.pub is not the key that the list says", "Take the list's.")
    if kept == {*listed.members} and not wrong:
        yield ok("node keys", f"one of each of the {len(kept)} members")


def _public(folder: Path) -> bytes:
    try:
        return read_key(folder).public_key().public_bytes_raw()
    except ValueError as error:
        raise FileError(folder / KEY_FILE, "is no signing key") from error


def _certified(folder: Path) -> str:
    return certs.key_digest(certs.public_key_of(first_certificate(folder, "keys/tls.crt")))


def _kept_key(folder: Path, name: str) -> bytes:
    file = f"{NODE_KEYS}/{name}.pub"
    try:
        key = load_ssh_public_key(read(folder, file, LARGEST_KEY_BYTES))
    except ValueError as error:
        raise FileError(folder / file, "is no public key of OpenSSH") from error
    return certs.node_bytes(key) if isinstance(key, certs.PublicKey) else b""
