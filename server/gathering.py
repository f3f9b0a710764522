"""Before the first round: wait for hospitals to come up, and hear what each one holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

from common.boundary import guarded
from common.cases import SiteId
from common.cohorts import hospitals_at_start
from common.errors import TooFewHospitalsError, WireError
from common.exchange import Number, Payload
from common.order import ACCEPTS_CHANGED_DATA, RUN
from common.study import Study
from server.conversation import Conversation, Heard, Sent
from server.public_numbers import counts_are_told
from server.roster import Member, disagreeing, member
from server.traffic import TO_HOSPITAL, TO_SERVER, Traffic

POLL_S = 0.2


@dataclass(frozen=True)
class Gathered:
    """Those that take part, and why others that came up do not, in words."""

    members: Mapping[SiteId, Member]
    nodes: Mapping[SiteId, int]
    failures: tuple[str, ...]


def gather(
    conversation: Conversation,
    study: Study,
    hospitals: int,
    traffic: Traffic,
    run: str = "",
    accepts_changed_data: bool = False,
) -> Gathered:
    """What every hospital holds, and its node, by its name, sorted. run: the run's name to them.

    Waits at most the study's start_timeout_s for as many as must be there at its start, all that are expected
    (`hospitals`) if it does not say. Raises TooFewHospitalsError, with each failure's reason, where fewer answer, and
    RoundError where two cannot learn one model. Of nodes that go by one name none takes part, nor does one whose name
    is not in the study's roster: it has no say in what most hospitals hold.
    """
    wanted = hospitals_at_start(study, hospitals)
    nodes = _await_nodes(conversation, max(hospitals, wanted), study.federation.start_timeout_s)
    accepts: dict[str, Number] = {ACCEPTS_CHANGED_DATA: 1} if accepts_changed_data else {}
    request = Payload(None, accepts, {"study": study.json, RUN: run})
    claims: dict[SiteId, list[tuple[Member, int]]] = {}
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
            known = guarded(partial(_introduced, event, counts_are_told(study)))
            _refuse_strangers(known.site, study.federation.names)
        except WireError as error:
            failures.append(f"node {event.node}: {error}")
            continue
        claims.setdefault(known.site, []).append((known, event.node))
        traffic.count("hello", TO_HOSPITAL, "study", known.site, sent[event.node])
        traffic.count("hello", TO_SERVER, "description", known.site, event.bytes_received)
    found = {site: claimed[0] for site, claimed in claims.items() if len(claimed) == 1}
    failures += [_disputed(site, claimed) for site, claimed in claims.items() if len(claimed) > 1]
    unlike = disagreeing({site: known for site, (known, _) in found.items()})
    failures += unlike.values()
    found = {site: found[site] for site in sorted(found.keys() - unlike.keys())}
    _demand_enough(found, failures, wanted, len(nodes))
    return Gathered({site: known for site, (known, _) in found.items()}, _nodes(found), tuple(failures))


def _nodes(found: Mapping[SiteId, tuple[Member, int]]) -> Mapping[SiteId, int]:
    return {site: node for site, (_, node) in found.items()}


def _await_nodes(conversation: Conversation, wanted: int, timeout_s: float) -> list[int]:
    deadline = monotonic() + timeout_s
    nodes = list(conversation.grid.get_node_ids())
    while len(nodes) < wanted and monotonic() < deadline:
        sleep(POLL_S)
        nodes = list(conversation.grid.get_node_ids())
    return nodes


def _disputed(site: SiteId, claimed: Sequence[tuple[Member, int]]) -> str:
    """Nobody can tell which of them is that hospital, so that none of them takes part."""
    nodes = " and ".join(str(node) for _, node in claimed)
    return f"nodes {nodes} call themselves {site}; none is believed: every node's site must differ"


def _introduced(reply: Heard, told: bool) -> Member:
    if reply.payload is None:
        raise WireError(reply.reason)
    known = member(reply.payload)
    if told and known.cases["train"] == 0:
        raise WireError(f"{known.site} has no training cases.")
    return known


def _refuse_strangers(site: SiteId, roster: Sequence[SiteId]) -> None:
    if roster and site not in roster:
        raise WireError(f"{site} is not in the study's roster (federation.roster).")


def _demand_enough(found: Mapping[SiteId, object], failures: list[str], minimum: int, nodes: int) -> None:
    if len(found) >= minimum and found:
        return
    raise TooFewHospitalsError(
        f"{len(found)} of {nodes} hospitals are ready and the study demands {minimum} at its start "
        f"(federation.hospitals_at_start). {'; '.join(failures)}"
    )
