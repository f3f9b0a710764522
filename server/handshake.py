"""Before the first round: wait for hospitals to come up, and hear what each one holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic, sleep

from common.data.names import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.study.program import DIGITS_SHOWN
from common.study.study import Study
from common.sums.cohorts import hospitals_at_start
from common.sums.exchange import Number, Payload
from common.wire.boundary import guarded
from common.wire.refusals import ASKED_AGAIN
from common.wire.train_requests import ACCEPTS_CHANGED_DATA, RUN
from server.member_signatures import demand_proven, hand_round
from server.members import Member, disagreeing, member, site_of
from server.problems import Problem
from server.public_numbers import counts_are_told
from server.traffic import TO_HOSPITAL, TO_SERVER, Traffic
from server.transport import Conversation, Heard, Sent

POLL_S = 0.2
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Between two questions to hospitals whose people may still agree, or whose hours may come."""


@dataclass(frozen=True)
class Gathered:
    """Those that take part, and their nodes."""

    members: Mapping[SiteId, Member]
    nodes: Mapping[SiteId, int]


Note = Callable[[Problem], None]
"""Told of everybody who takes no part, and why, whether or not the others are enough."""
Refuses = Callable[[Mapping[SiteId, str]], None]
"""Told who refuses for now, and why, each time that all were asked."""


def gather(
    conversation: Conversation,
    study: Study,
    hospitals: int,
    traffic: Traffic,
    note: Note,
    expected: Sequence[SiteId] = (),
    run: str = "",
    accepts_changed_data: bool = False,
    refuses: Refuses = lambda refused: None,
) -> Gathered:
    """What every hospital holds, and its node, by its name, sorted. run: the run's name to them.

    Waits at most the study's start_timeout_s for as many as must be there at its start, all that are expected
    (`hospitals`, and `expected` by name) if it does not say. Raises TooFewHospitalsError, with each failure's reason,
    where fewer answer, and RoundError where two cannot learn one model. Of nodes that go by one name none takes part,
    nor does one whose name is not in the study's roster: it has no say in what most hospitals hold.
    """
    wanted = hospitals_at_start(study, hospitals)
    nodes = _await_nodes(conversation, max(hospitals, wanted), study.federation.start_timeout_s)
    accepts: dict[str, Number] = {ACCEPTS_CHANGED_DATA: 1} if accepts_changed_data else {}
    request = Payload(None, accepts, {"study": study.json, RUN: run})
    heard, sent = _heard(conversation, request, study.federation.start_timeout_s, nodes, refuses)
    claims: dict[SiteId, list[tuple[Member, int]]] = {}
    failures: list[Problem] = []
    for event in heard:
        try:
            known = guarded(partial(_introduced, event, study, run))
        except WireError as error:
            failures.append(Problem("start", str(error), _name_given(event, conversation), event.node))
            continue
        claims.setdefault(known.site, []).append((known, event.node))
        traffic.count("hello", TO_HOSPITAL, "study", known.site, sent[event.node])
        traffic.count("hello", TO_SERVER, "description", known.site, event.bytes_received)
    found = {site: claimed[0] for site, claimed in claims.items() if len(claimed) == 1}
    failures += [_disputed(site, claimed) for site, claimed in claims.items() if len(claimed) > 1]
    failures = [_of_an_impostor(one) if one.site in found else one for one in failures]
    failures = _with_the_silent(failures, found, expected, hospitals - len(nodes), study.federation.start_timeout_s)
    try:
        unlike = disagreeing({site: known for site, (known, _) in found.items()})
        failures += [Problem("start", why, site, found[site][1]) for site, why in unlike.items()]
        agreeing = {site: found[site] for site in sorted(found.keys() - unlike.keys())}
        apart = hand_round(conversation, agreeing, request, study.federation.start_timeout_s, traffic)
        failures += [Problem("start", why, site, found[site][1]) for site, why in apart.items()]
    finally:
        for failure in failures:
            note(failure)
    found = {site: one for site, one in agreeing.items() if site not in apart}
    _demand_enough(found, failures, wanted, max(len(nodes), hospitals))
    return Gathered({site: known for site, (known, _) in found.items()}, _nodes(found))


def _heard(
    conversation: Conversation,
    request: Payload,
    timeout_s: float,
    nodes: Sequence[int],
    refuses: Refuses,
) -> tuple[list[Heard], dict[int, int]]:
    """What came of the question to every node, by the node's number, and how many bytes each was sent.

    Whoever refuses for a reason that time may change is asked again, for as long as the study waits.
    """
    heard: dict[int, Heard] = {}
    sent: dict[int, int] = dict.fromkeys(nodes, 0)
    deadline, pause, asked, left = monotonic() + timeout_s, SHORTEST_PAUSE_S, sorted(nodes), timeout_s
    while asked:
        for event in conversation.converse("hello", dict.fromkeys(asked, request), left):
            if isinstance(event, Sent):
                sent[event.node] += event.bytes_sent
            elif event.node not in heard or event.payload is not None or event.refused:
                heard[event.node] = event  # a refusal says more than the silence after it
        asked = [node for node in asked if heard[node].refused in ASKED_AGAIN]
        refuses({_name_given(heard[node], conversation) or f"node {node}": heard[node].reason for node in asked})
        if deadline - monotonic() <= pause:
            break
        sleep(pause if asked else 0)
        pause, left = min(2 * pause, LONGEST_PAUSE_S), deadline - monotonic()
    return [heard[node] for node in sorted(heard)], sent


def _name_given(reply: Heard, conversation: Conversation) -> SiteId:
    """The name that a node which takes no part goes by: as it says itself, or as the engine that started it knows."""
    try:
        if reply.payload is not None:
            return site_of(reply.payload)
    except WireError:
        pass
    return str(getattr(conversation.grid, "names", {}).get(reply.node, ""))


def _of_an_impostor(failure: Problem) -> Problem:
    """A node that failed under a name by which another one takes part."""
    return replace(failure, site="", reason=f"it calls itself {failure.site}, as another does; {failure.reason}")


def _with_the_silent(
    failures: Sequence[Problem],
    found: Iterable[SiteId],
    expected: Sequence[SiteId],
    never_came: int,
    timeout_s: float,
) -> list[Problem]:
    """The failures, and everybody else who was expected and did not introduce itself.

    One failure without a name, and one name without a failure, belong together.
    """
    nameless = [failure for failure in failures if not failure.site]
    silent = sorted(set(expected) - set(found) - {failure.site for failure in failures})
    if len(nameless) == len(silent) == 1 and never_came <= 0:
        return [replace(one, site=silent[0]) if one is nameless[0] else one for one in failures]
    why = f"no node of this name introduced itself within {timeout_s:g} s"
    why += "; it may be a node that did not say its name" if nameless else ""
    if not expected and never_came > 0:
        missing = "1 expected hospital" if never_came == 1 else f"{never_came} expected hospitals"
        return [*failures, Problem("start", f"{missing} did not come up within {timeout_s:g} s")]
    return [*failures, *(Problem("start", why, site) for site in silent)]


def _nodes(found: Mapping[SiteId, tuple[Member, int]]) -> Mapping[SiteId, int]:
    return {site: node for site, (_, node) in found.items()}


def _await_nodes(conversation: Conversation, wanted: int, timeout_s: float) -> list[int]:
    deadline = monotonic() + timeout_s
    nodes = list(conversation.grid.get_node_ids())
    while len(nodes) < wanted and monotonic() < deadline:
        sleep(POLL_S)
        nodes = list(conversation.grid.get_node_ids())
    return nodes


def _disputed(site: SiteId, claimed: Sequence[tuple[Member, int]]) -> Problem:
    """Nobody can tell which of them is that hospital, so that none of them takes part."""
    nodes = " and ".join(str(node) for _, node in claimed)
    why = f"nodes {nodes} call themselves {site}; none is believed: every node's site must differ"
    return Problem("start", why, site)


def _introduced(reply: Heard, study: Study, run: str) -> Member:
    """Raises WireError for whoever cannot take part."""
    if reply.payload is None:
        raise WireError(reply.reason)
    known = member(reply.payload)
    if study.federation.roster and known.site not in study.federation.names:
        raise WireError(f"{known.site} is not in the study's roster (federation.roster).")
    demand_proven(known, study, run, reply.node)
    if study.federation.programs and known.program not in study.federation.programs:
        runs = f"program {known.program[:DIGITS_SHOWN]}" if known.program else "a program of which it says nothing"
        raise WireError(f"{known.site} runs {runs}, which the study does not list (federation.programs).")
    all_train = study.rounds and not study.split.is_by_hospital
    if counts_are_told(study) and all_train and known.cases["train"] == 0:
        raise WireError(f"{known.site} has no training cases.")
    if not all_train and counts_are_told(study) and not any(known.cases.values()):
        raise WireError(f"{known.site} has no cases.")
    return known


def _demand_enough(found: Mapping[SiteId, object], failures: Sequence[Problem], minimum: int, expected: int) -> None:
    if len(found) >= minimum and found:
        return
    reasons = "; ".join(failure.sentence for failure in failures)
    raise TooFewHospitalsError(
        f"{len(found)} of {expected} hospitals are ready and the study demands {minimum} at its start "
        "(federation.hospitals_at_start).",
        reasons,
    )
