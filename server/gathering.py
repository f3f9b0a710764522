"""Before the first round: wait for hospitals to come up, and hear what each one holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import monotonic, sleep

from common.boundary import guarded
from common.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.exchange import Payload
from common.study import Study
from server.conversation import Conversation, Heard, Sent
from server.roster import Member, check_agreement, member
from server.traffic import TO_HOSPITAL, TO_SERVER, Traffic

POLL_S = 0.2


def gather(
    conversation: Conversation, study: Study, hospitals: int, traffic: Traffic
) -> tuple[Mapping[SiteId, Member], Mapping[SiteId, int]]:
    """What every hospital holds, and its node, by its name, sorted.

    Waits at most the study's start_timeout_s for `hospitals` of them (0: its minimum). Raises
    TooFewHospitalsError, with each failure's reason, where fewer than the minimum answer, and RoundError where
    two cannot learn one model.
    """
    wanted = max(hospitals, study.federation.minimum_hospitals)
    nodes = _await_nodes(conversation, wanted, study.federation.start_timeout_s)
    request = Payload(words={"study": study.json})
    found: dict[SiteId, tuple[Member, int]] = {}
    failures: list[str] = []
    heard: list[Heard] = []
    sent: dict[int, int] = {}
    timeout_s = study.federation.start_timeout_s
    for event in conversation.converse("hello", dict.fromkeys(sorted(nodes), request), timeout_s):
        if isinstance(event, Sent):
            sent[event.node] = event.bytes_sent
        else:
            heard.append(event)
    for event in sorted(heard, key=lambda reply: reply.node):
        try:
            known = guarded(partial(_introduced, event, found))
        except WireError as error:
            failures.append(f"node {event.node}: {error}")
            continue
        found[known.site] = (known, event.node)
        traffic.count("hello", TO_HOSPITAL, "study", known.site, sent[event.node])
        traffic.count("hello", TO_SERVER, "description", known.site, event.bytes_received)
    _demand_enough(found, failures, study.federation.minimum_hospitals, len(nodes))
    members = {site: found[site][0] for site in sorted(found)}
    check_agreement(members)
    return members, {site: found[site][1] for site in members}


def _await_nodes(conversation: Conversation, wanted: int, timeout_s: float) -> list[int]:
    deadline = monotonic() + timeout_s
    nodes = list(conversation.grid.get_node_ids())
    while len(nodes) < wanted and monotonic() < deadline:
        sleep(POLL_S)
        nodes = list(conversation.grid.get_node_ids())
    return nodes


def _introduced(reply: Heard, found: Mapping[SiteId, object]) -> Member:
    if reply.payload is None:
        raise WireError(reply.reason)
    known = member(reply.payload)
    if known.site in found:
        raise WireError(f"it calls itself {known.site}, as another node does; site-index must differ.")
    if known.cases["train"] == 0:
        raise WireError(f"{known.site} has no training cases.")
    return known


def _demand_enough(found: Mapping[SiteId, object], failures: list[str], minimum: int, nodes: int) -> None:
    if len(found) >= minimum and found:
        return
    raise TooFewHospitalsError(
        f"{len(found)} of {nodes} hospitals are ready and the study demands {minimum} "
        f"(federation.minimum_hospitals). {'; '.join(failures)}"
    )
