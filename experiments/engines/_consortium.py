"""A consortium of hospitals on this machine, made on the spot: all that its people would do, without telephones.

Whoever rehearses is everybody: files are those that real hospitals have, and so are the programs that read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from client.enrolment.accept import accept
from client.enrolment.comparing import sign_if_compared, write_marks
from client.enrolment.enrol import enrol
from client.node_settings import NodeSettings
from common.consortium.certificates import now
from common.consortium.fingerprints import digests_of
from common.consortium.members import read_members, write_members
from common.data.names import SiteId
from common.files.access import is_there
from experiments.engines._ports import free_port
from experiments.engines._run_secrets import LOOPBACK
from server.consortium.create import create
from server.consortium.joining import sign
from server.consortium.place import FILE, read_public

NAME = "rehearsal"
AUTHORITY_DAYS, LEAF_DAYS = 3650, 730


def make(coordinator: Path, hospitals: Mapping[SiteId, Path], data: Mapping[SiteId, str] | None = None) -> None:
    """Folders of a coordinator and of hospitals, ready to run. What is there already stays, and is gone on with.

    data: the folder of each hospital's own data; of those that have none the study's source says where they are.
    """
    at = now()
    if not is_there(coordinator, FILE):
        create(NAME, coordinator, [LOOPBACK], free_port(), at, AUTHORITY_DAYS, LEAF_DAYS)
    address = f"https://{LOOPBACK}:{read_public(coordinator).public_port}"
    places = data or {}
    requests = [
        enrol(NodeSettings(site, address, places.get(site, ""), rehearsal=True), folder, at)
        for site, folder in hospitals.items()
    ]
    replies = sign(requests, coordinator, at).replies
    for site, folder in hospitals.items():
        accept(replies[site], folder, at)
    _agree(hospitals)


def public_keys(hospitals: Iterable[Path]) -> Mapping[SiteId, bytes]:
    """Everybody's signing key, as the member list of any of them says."""
    return read_members(next(iter(hospitals))).identities


def _agree(hospitals: Mapping[SiteId, Path]) -> None:
    """Everybody compares everybody's keys and signs, and has everybody's signature."""
    signatures: dict[SiteId, bytes] = {}
    for site, folder in hospitals.items():
        listed = read_members(folder)
        write_marks(folder, {name: digest for name, digest in digests_of(listed).items() if name != site})
        signatures |= sign_if_compared(folder, site, listed).signatures
    for folder in hospitals.values():
        write_members(folder, read_members(folder).with_signatures(signatures))
