"""The server's side of `common.sums.exchange.Exchange`: hospitals by name, drops with reasons, bytes counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from common.data.names import SiteId
from common.sums.exchange import Payload
from common.wire.refusals import FREE_OF_CHARGE
from common.wire.train_requests import LEGS, REPEATED, protocol_payload
from server.charges import Charges
from server.members import withdrawn_of
from server.progress import HospitalDropped, HospitalReplied, HospitalsAsked, Progress
from server.traffic import TO_HOSPITAL, TO_SERVER, Traffic
from server.transport import Conversation, Heard, Sent

_CONTENTS = {
    "hello": ("study", "description"),
    "members": ("signatures", "agreement"),
    "start": ("model", "receipt"),
}


@dataclass(frozen=True)
class Dropped:
    """A hospital whose reply is not used, on which leg, and why."""

    site: SiteId
    leg: str
    reason: str


@dataclass
class GridExchange:
    """Talks to the hospitals of `nodes` in one run, named by `run`.

    `round` and `timeout_s` are set by the loop before each leg; `stage` says what is asked outside the rounds.
    taken_back: rounds that count for nothing.
    charges: where orders to train are written down, in a study with a privacy mechanism. withdrawn: how many persons
    each hospital says withdrew since the run began, where it says so.
    """

    conversation: Conversation
    nodes: Mapping[SiteId, int]
    traffic: Traffic
    progress: Progress
    timeout_s: float
    study_json: str = ""
    run: str = ""
    round: int = 0
    stage: str = ""
    taken_back: tuple[int, ...] = ()
    dropped: list[Dropped] = field(default_factory=list)
    charges: Charges | None = None
    withdrawn: dict[SiteId, int] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """One leg; replies sorted by hospital, failures dropped with their reason."""
        return {site: one for site, one in sorted(self.as_they_come(leg, requests)) if one is not None}

    def as_they_come(self, leg: str, requests: Mapping[SiteId, Payload]) -> Iterator[tuple[SiteId, Payload | None]]:
        """One leg; each reply as it comes, and nothing of it kept here; None where a hospital was dropped.

        A leg that is an aggregation's own travels with the study and the round, which the hospital must know.
        """
        if leg not in LEGS:
            requests = {
                site: protocol_payload(request, leg, self.study_json, self.run, self.round, self.taken_back)
                for site, request in requests.items()
            }
        names = {self.nodes[site]: site for site in requests}
        by_node = {self.nodes[site]: request for site, request in sorted(requests.items())}
        unsent = self._charge(leg, requests)
        self.progress.publish(HospitalsAsked(self.round, leg, tuple(sorted(requests)), self.stage))
        for event in self.conversation.converse(leg, by_node, self.timeout_s):
            site = names[event.node]
            if isinstance(event, Sent):
                unsent.discard(site)
                sent_content, _ = _CONTENTS.get(leg, ("model" if leg in LEGS else leg, ""))
                self.traffic.count(leg, TO_HOSPITAL, sent_content, site, event.bytes_sent)
                continue
            is_used = self._accept(leg, site, event)
            if leg == "round":
                self._spare(site, "it was not sent" if site in unsent else _free_of_charge(event))
            payload = event.payload if is_used else None
            del event  # else it would be held while the next one is read
            yield site, payload
            del payload

    def _charge(self, leg: str, requests: Mapping[SiteId, Payload]) -> set[SiteId]:
        """Write down who is about to be asked to train; those hospitals."""
        training = {site for site, request in requests.items() if leg == "round" and request.words.get("sends")}
        if self.charges is not None and training:
            self.charges.asked(self.round, training)
        return training

    def _spare(self, site: SiteId, reason: str) -> None:
        if self.charges is not None and reason:
            self.charges.free(self.round, site, reason)

    def _accept(self, leg: str, site: SiteId, heard: Heard) -> bool:
        if heard.bytes_received:
            self.traffic.count(leg, TO_SERVER, _content(leg, heard.payload), site, heard.bytes_received)
        if heard.payload is None:
            self.drop(site, leg, heard.reason)
            return False
        if leg == "round":
            self.withdrawn[site] = withdrawn_of(heard.payload)
        self.progress.publish(HospitalReplied(self.round, site, heard.seconds, heard.bytes_received))
        return True

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Remember, and tell whoever watches."""
        self.dropped.append(Dropped(site, leg, reason))
        self.progress.publish(HospitalDropped(self.round, site, reason, self.stage))

    def take_dropped(self) -> list[Dropped]:
        """Who was dropped since the last call."""
        taken, self.dropped = self.dropped, []
        return taken

    def forgive(self, sites: Iterable[SiteId]) -> None:
        """Forget that these were dropped: they answered when they were asked again."""
        used = set(sites)
        self.dropped = [drop for drop in self.dropped if drop.site not in used]


def _free_of_charge(heard: Heard) -> str:
    """Why the hospital was charged nothing for what it was asked; "" where it was, or does not say."""
    if heard.payload is None:
        return heard.reason if heard.reason in FREE_OF_CHARGE.values() else ""
    return "it sent the same update again" if heard.payload.numbers.get(REPEATED) == 1 else ""


def _content(leg: str, payload: Payload | None) -> str:
    if payload is None:
        return "incident"
    if leg in _CONTENTS:
        return _CONTENTS[leg][1]
    if leg not in LEGS:
        return leg
    return "update" if payload.array is not None or payload.data is not None else "evaluation"
