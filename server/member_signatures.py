"""Enrolled hospitals sign their member list; the coordinator hands all signatures round, and can add nothing to them.

Each hospital verifies them with the keys of its own list. What is said here, of whoever has not signed or signed
another list, is what the coordinator was told: it helps people, and protects nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from common.consortium.members import introduces
from common.data.names import SiteId
from common.errors import WireError
from common.study.study import Study
from common.sums.exchange import Payload
from common.wire.train_requests import NAMES, SIGNATURES
from server.members import Member
from server.traffic import TO_HOSPITAL, TO_SERVER, Traffic
from server.transport import Conversation, Sent

LEG = "members"
NOT_ENROLLED = "it has no member list, and others of the study have one: enrol it (wardround node enrol)"
NOT_SIGNED = (
    "it has not signed the member list: its people compare the others' keys by telephone, and it signs "
    "(wardround node accept --compare NAME)"
)
ANOTHER_LIST = (
    "it signed another member list than {others}: it has yet to accept the newest reply (wardround node accept), or "
    "somebody showed it another list"
)


def demand_proven(member: Member, study: Study, run: str, node: int) -> None:
    """Raise WireError unless an enrolled hospital proves with its identity key that this node is its own.

    Whoever took part before knows all else that it says. The key must be that of the study's roster, if it has one.
    """
    if not member.members:
        return
    key, wanted = bytes.fromhex(member.members_key), {one.name: one.key for one in study.federation.roster}
    is_proven = introduces(key, bytes.fromhex(member.members_proof), member.site, run, node)
    if not is_proven or sha256(key).hexdigest() != wanted.get(member.site, sha256(key).hexdigest()):
        raise WireError(f"it does not prove to be {member.site} by the key in the study's roster.")


def hand_round(
    conversation: Conversation,
    found: Mapping[SiteId, tuple[Member, int]],
    request: Payload,
    timeout_s: float,
    traffic: Traffic,
) -> Mapping[SiteId, str]:
    """Hand every enrolled hospital everybody's signatures; who takes no part for want of one, and why.

    found: hospitals and their nodes. request: what every message carries, study and run. Where nobody is enrolled
    nothing is sent.
    """
    members = {site: member for site, (member, _) in found.items()}
    if not any(one.members for one in members.values()):
        return {}
    signed = {site: one.members_signature for site, one in members.items() if one.members_signature}
    words = {**request.words, NAMES: list(signed), SIGNATURES: list(signed.values())}
    nodes = {node: site for site, (member, node) in found.items() if member.members}
    asked = dict.fromkeys(sorted(nodes), replace(request, words=words))
    apart: dict[SiteId, str] = {}
    for event in conversation.converse(LEG, asked, timeout_s):
        site = nodes[event.node]
        if isinstance(event, Sent):
            traffic.count(LEG, TO_HOSPITAL, "signatures", site, event.bytes_sent)
            continue
        if event.bytes_received:
            traffic.count(LEG, TO_SERVER, "agreement", site, event.bytes_received)
        if event.payload is None:
            apart[site] = event.reason
    return dict(sorted({**apart, **_known(members)}.items()))


def _known(members: Mapping[SiteId, Member]) -> dict[SiteId, str]:
    """Of whom it can be said better than a refusal says."""
    lists = Counter(one.members for one in members.values() if one.members)
    usual = [digest for digest, count in lists.items() if count == max(lists.values())]
    why: dict[SiteId, str] = {}
    for site, one in members.items():
        if not one.members:
            why[site] = NOT_ENROLLED
        elif not one.members_signature:
            why[site] = NOT_SIGNED
        elif len(usual) > 1 or one.members not in usual:
            others = [name for name, other in members.items() if other.members and other.members != one.members]
            why[site] = ANOTHER_LIST.format(others=" and ".join(others))
    return why
