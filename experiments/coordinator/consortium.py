"""`wardround consortium ...`: what is said of each command, and what a person has to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.consortium.certificates import now
from common.consortium.fingerprints import COORDINATOR, digests_of, groups_of
from common.data.names import SiteId, in_one_form
from server.consortium.changes import remove_member, renew
from server.consortium.create import create
from server.consortium.joining import sign
from server.consortium.listing import expiry_warnings, rows
from server.consortium.place import read_consortium

MOVE_AWAY = (
    "{folder} signs for the consortium: move it where only you can reach it, until somebody joins, rotates, is "
    "revoked or renewed."
)


def created(name: str, folder: Path, hosts: Sequence[str], port: int, days: int, leaf_days: int) -> Iterator[str]:
    """Create one."""
    made = create(in_one_form(name), folder, hosts, port, now(), days, leaf_days)
    yield f"Consortium {made.listed.consortium}; its hospitals enrol with --coordinator https://{_at(hosts[0])}:{port}"
    yield f"  {groups_of(digests_of(made.listed)[COORDINATOR])}  the coordinator's groups, to read out"
    yield MOVE_AWAY.format(folder=folder / "authority")


def signed(files: Sequence[Path], folder: Path, lost: Sequence[str], days: int) -> Iterator[str]:
    """Answer requests."""
    found = sign(files, folder, now(), [in_one_form(name) for name in lost], days)
    for one in found.signed:
        yield f"  {one.groups}  {one.name} ({one.kind})"
    yield from _replies(found.replies)
    if (folder / "authority").exists():
        yield MOVE_AWAY.format(folder=folder / "authority")


def removed(name: str, folder: Path, what: str, for_good: bool) -> Iterator[str]:
    """Revoke a member for good, or let it go."""
    name = in_one_form(name)
    replies = remove_member(name, folder, now(), for_good)
    yield f"{name} is {what}; the front refuses its certificate from its next look at front/crl.pem on."
    yield from _replies(replies)


def renewed(folder: Path, names: Sequence[str], everybody: bool, front: bool, days: int) -> Iterator[str]:
    """Renew certificates."""
    wanted = sorted(read_consortium(folder).histories) if everybody else [in_one_form(name) for name in names]
    replies = renew(wanted, front, folder, now(), days)
    yield "A new revocation list was signed" + (", and the front's certificate renewed." if front else ".")
    yield from _replies(replies)
    yield from expiry_warnings(folder, now())


def listed(folder: Path) -> Iterator[str]:
    """Members, and what runs out soon."""
    consortium, found = rows(folder)
    yield f"Consortium {consortium.listed.consortium}, member list of version {consortium.listed.version}:"
    for row in found:
        end = "" if row.ends is None else f"  certificate until {row.ends:%Y-%m-%d}"
        yield f"  {row.groups}  {row.name}{end}"
    yield from expiry_warnings(folder, now())


def _replies(replies: Mapping[SiteId, Path]) -> Iterator[str]:
    for name, reply in replies.items():
        yield f"{reply} is for {name}: wardround node accept"


def _at(host: str) -> str:
    return f"[{host}]" if ":" in host else host
