"""`wardround consortium sign`: requests are checked against one another and all members, and answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from common.consortium.certificates import LEAF_DAYS
from common.consortium.fingerprints import digest_of, groups_of
from common.consortium.requests import LARGEST_BYTES, LONGEST_HISTORY, Request, demand_rotation, read_request
from common.data.names import SiteId, refuse_alike
from common.errors import FileError, SourceError, WireError
from common.files.access import read_all
from common.files.json_files import json_of
from common.study.spelling import unknown
from server.consortium.issuing import Desk, certificate_of, publish
from server.consortium.place import Consortium, changing, digests_of_keys, read_authority, read_issues

Kind = Literal["joined", "rotated", "replaced", "answered again"]
Histories = dict[SiteId, tuple[Request, ...]]


@dataclass(frozen=True)
class Signed:
    """What became of one request. groups: the fingerprint of its keys."""

    name: SiteId
    kind: Kind
    groups: str


@dataclass(frozen=True)
class Joined:
    """What came of a command. replies: the file of each hospital that must accept one."""

    signed: tuple[Signed, ...]
    consortium: Consortium
    replies: Mapping[SiteId, Path]


def sign(
    files: Sequence[Path], folder: Path, at: datetime, lost: Collection[SiteId] = (), days: int = LEAF_DAYS
) -> Joined:
    """Answer requests. lost: members who lost their keys, and whose new ones nobody vouches for.

    Raises SourceError, with nothing changed, where any request cannot be answered. A request that was answered before
    is answered in the same way, without the authority's key.
    """
    requests = [_read(file, at) for file in files]
    _demand_apart(requests)
    with changing(folder) as before:
        for name in lost:
            if name not in before.histories:
                raise unknown("member", name, before.histories)
        kinds: dict[SiteId, Kind] = {}
        histories = dict(before.histories)
        for request in requests:
            kinds[request.name] = _enter(histories, request, request.name in lost)
        _demand_own_keys(histories)
        _demand_not_refused(before, requests)
        replaced = [name for name, kind in kinds.items() if kind in ("rotated", "replaced")]
        after = before.changed(histories, [before.histories[name][-1].keys for name in replaced])
        certified = {request.name: certificate_of(folder, after, request.name) for request in requests}
        needed = [one for one in requests if kinds[one.name] != "answered again" or certified[one.name] is None]
        if needed:
            desk = Desk(folder, read_authority(folder, before.listed, at), read_issues(folder), at, days)
            for request in needed:
                desk.certify(histories[request.name][-1], instead=True)
            desk.settle()
        replies = publish(folder, after)
    return Joined(tuple(_signed(after, one.name, kinds[one.name]) for one in requests), after, replies)


def _read(file: Path, at: datetime) -> Request:
    try:
        return read_request(json_of(read_all(file, LARGEST_BYTES), file), at)
    except (WireError, FileError) as error:
        raise SourceError(f"{file} was not signed: {error}") from error


def _demand_apart(requests: Sequence[Request]) -> None:
    twice = [name for name, times in Counter(one.name for one in requests).items() if times > 1]
    if twice:
        raise SourceError(f"two requests are of {twice[0]!r}: which of them is that hospital's? Ask it.")


def _enter(histories: Histories, request: Request, is_lost: bool) -> Kind:
    name, known = request.name, histories.get(request.name)
    if known is None:
        if request.replaces:
            raise SourceError(f"{name} asks for new keys in the place of others, and is no member.")
        histories[name] = (request,)
        return "joined"
    if request.keys == known[-1].keys:
        return "answered again"
    if request.replaces:
        _demand_rotated(known, request)
        histories[name] = (*known, request)
        return "rotated"
    if not is_lost:
        raise SourceError(
            f"{name} is a member with other keys, and these are not vouched for by them: somebody may ask in its "
            f'name. If it lost its keys, and you know that this is its request: --lost-key "{name}"; every hospital '
            "must then compare its new keys by telephone."
        )
    histories[name] = (request,)
    return "replaced"


def _demand_rotated(known: tuple[Request, ...], request: Request) -> None:
    if len(known) >= LONGEST_HISTORY:
        raise SourceError(f"{request.name} rotated its keys {LONGEST_HISTORY - 1} times; enrol it anew (--lost-key).")
    try:
        demand_rotation(known[-1], request)
    except WireError as error:
        raise SourceError(f"{request.name}'s new keys are not vouched for by those that it has: {error}") from error


def _demand_own_keys(histories: Histories) -> None:
    """Raise SourceError where two members have names that differ in capitals alone, or share a key, now or before."""
    refuse_alike("members", histories)
    owners: dict[str, SiteId] = {}
    for name, history in histories.items():
        for key in _keys(history):
            other = owners.setdefault(key, name)
            if other != name:
                raise SourceError(f"{name} and {other} have one key: each hospital makes its own.")


def _demand_not_refused(consortium: Consortium, requests: Sequence[Request]) -> None:
    for request in requests:
        if consortium.refused & digests_of_keys(request.keys):
            raise SourceError(
                f"{request.name} asks with a key that was revoked, lost or rotated away: it counts no longer. It "
                "enrols with new keys, in a new folder."
            )


def _keys(history: Iterable[Request]) -> set[str]:
    return {key for one in history for key in one.keys.table.values()}


def _signed(consortium: Consortium, name: SiteId, kind: Kind) -> Signed:
    listed = consortium.listed
    return Signed(name, kind, groups_of(digest_of(listed.consortium, name, listed.members[name])))
