"""`wardround consortium revoke`, `leave` and `renew`: what changes once somebody is a member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from common.consortium.certificates import LEAF_DAYS
from common.data.names import SiteId
from server.consortium.issuing import Desk, publish
from server.consortium.place import changing, read_authority, read_issues, read_public


def remove_member(name: SiteId, folder: Path, at: datetime, for_good: bool = True) -> Mapping[SiteId, Path]:
    """Its certificates count no longer, from the front's next look at the revocation list on, and the member list
    goes on without it; the replies that the others must accept. for_good: nor may it ever ask with these keys again.
    """
    with changing(folder) as before:
        keys = before.of(name)[-1].keys
        desk = Desk(folder, read_authority(folder, before.listed, at), read_issues(folder), at)
        desk.withdraw(name)
        desk.settle()
        left = {other: history for other, history in before.histories.items() if other != name}
        return publish(folder, before.changed(left, [keys] if for_good else []))


def renew(
    names: Sequence[SiteId], front: bool, folder: Path, at: datetime, days: int = LEAF_DAYS
) -> Mapping[SiteId, Path]:
    """New certificates for the same keys, and a new revocation list; the replies of these hospitals.

    What they had counts on until its own end: nothing is interrupted. The member list stays.
    """
    with changing(folder) as consortium:
        requests = [consortium.of(name)[-1] for name in names]
        desk = Desk(folder, read_authority(folder, consortium.listed, at), read_issues(folder), at, days)
        for request in requests:
            desk.certify(request, instead=False)
        if front:
            desk.certify_front(read_public(folder))
        desk.settle()
        return publish(folder, consortium, names)
