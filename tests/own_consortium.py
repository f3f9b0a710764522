"""A consortium whose hospitals and coordinator all are on this machine: every step is the one that people take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from client.enrolment.accept import accept
from client.enrolment.comparing import accepted, is_right, not_compared, read_marks
from client.enrolment.enrol import enrol
from client.node_settings import NodeSettings
from common.consortium.certificates import AUTHORITY_DAYS, LEAF_DAYS, now
from common.consortium.fingerprints import COORDINATOR, digests_of, groups_of
from common.data.names import SiteId
from server.consortium.create import create
from server.consortium.joining import sign
from server.consortium.place import read_consortium


def found_consortium(
    name: str,
    coordinator: Path,
    hospitals: Mapping[SiteId, Path],
    host: str = "127.0.0.1",
    port: int = 8443,
    data_folders: Mapping[SiteId, str] | None = None,
    at: datetime | None = None,
) -> None:
    """Make the coordinator's folder and enrol every hospital in its own, up to its signature over the member list.

    host, port: of the front; a port that is not known yet can be put into each `node.toml` and `server.toml` later.
    """
    at = now() if at is None else at
    create(name, coordinator, [host], port, at, AUTHORITY_DAYS, LEAF_DAYS)
    requests = []
    for site, folder in sorted(hospitals.items()):
        settings = NodeSettings(site, f"https://{host}:{port}", (data_folders or {}).get(site, ""))
        requests.append(enrol(settings, folder, at))
    accept_all(sign(requests, coordinator, at).replies, hospitals, at)
    compare_all(coordinator, hospitals)


def accept_all(replies: Mapping[SiteId, Path], hospitals: Mapping[SiteId, Path], at: datetime) -> None:
    """Every hospital accepts the reply that is for it."""
    for site, reply in replies.items():
        accept(reply, hospitals[site], at)


def compare_all(coordinator: Path, hospitals: Mapping[SiteId, Path], only: Sequence[SiteId] | None = None) -> None:
    """Every hospital types what the others read out of their own folders. only: hospitals that do."""
    listed = read_consortium(coordinator).listed
    spoken = {COORDINATOR: groups_of(digests_of(listed)[COORDINATOR])}
    spoken |= {site: groups_of(digests_of(accepted(hospitals[site]))[site]) for site in listed.members}
    for site in listed.members if only is None else only:
        folder = hospitals[site]
        for name in not_compared(site, accepted(folder), read_marks(folder)):
            assert is_right(folder, site, name, spoken[name]), (site, name)
