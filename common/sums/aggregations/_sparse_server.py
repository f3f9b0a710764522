"""Sums under masks of a sparse graph of pairs, the server's half: it routes what neighbours send, and adds up."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError, TooFewHospitalsError, WireError
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._chosen import ANNOUNCED_BYTES, Announced, Tree, chosen
from common.sums.aggregations._folding import Folding
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES
from common.sums.aggregations._legs import Legs
from common.sums.aggregations._ring import Words
from common.sums.aggregations._secagg_client import (
    COMMITMENT_BYTES,
    ENCRYPTED_BYTES,
    PLAINLY,
    Accept,
    pair_streams,
    self_stream,
)
from common.sums.aggregations._secagg_server import Opened, is_mask_key, is_seed, read_signature, recovered
from common.sums.aggregations._session_state import pieces
from common.sums.aggregations._sparse_client import (
    NOTHING,
    ONE_GROUP,
    PLACE_BYTES,
    SIGNED,
    SparseSum,
    marked,
    mates_of,
)
from common.sums.aggregations._witnessed_sum import CONFIRM, WitnessedSum, with_signatures, witnesses_of
from common.sums.aggregations._witnesses import Witnesses
from common.sums.cohort import Cohort, Groups
from common.sums.exchange import Exchange, Payload, Word

Agreeing = Mapping[SiteId, tuple[Mapping[str, Word], bytes]]
"""By hospital: words that tell whose signatures come, and these, one after the other."""


@dataclass(frozen=True)
class Graph:
    """Who announced what in a round of `sites`, and whom each chose, `count` of them; its groups."""

    sites: tuple[SiteId, ...]
    announced: Mapping[SiteId, Announced]
    count: int
    groups: Groups = ()

    @cached_property
    def places(self) -> Mapping[SiteId, int]:
        """Of each hospital among the round's."""
        return {site: place for place, site in enumerate(self.sites)}

    @cached_property
    def tree(self) -> Tree:
        """Over what was announced."""
        return Tree.over([self.announced[site].to_bytes() if site in self.announced else b"" for site in self.sites])

    @cached_property
    def chosen(self) -> Mapping[SiteId, tuple[SiteId, ...]]:
        """By each that announced, in the order of their shares' points, from 1."""
        hospitals = len(self.sites)
        places = {
            site: chosen(one.choice, self.places[site], hospitals, self.count) for site, one in self.announced.items()
        }
        return {site: tuple(self.sites[place] for place in some) for site, some in places.items()}

    @cached_property
    def choosing(self) -> Mapping[SiteId, tuple[SiteId, ...]]:
        """Who chose each that announced, sorted."""
        found: dict[SiteId, list[SiteId]] = {site: [] for site in self.announced}
        for site, some in sorted(self.chosen.items()):
            for other in some:
                if other in found:
                    found[other].append(site)
        return {site: tuple(some) for site, some in found.items()}

    def holders(self, site: SiteId) -> tuple[SiteId, ...]:
        """Of those that a hospital chose, who announced keys, sorted: each gets shares of it."""
        return tuple(other for other in self.chosen[site] if other in self.announced)

    def neighbours(self, site: SiteId) -> tuple[SiteId, ...]:
        """Who has a mask in common with a hospital, sorted."""
        return tuple(sorted(self._near(site) & self.announced.keys()))

    def _near(self, site: SiteId) -> set[SiteId]:
        group = self._group_of.get(site, frozenset())
        return {*self.chosen[site], *self.choosing[site], *mates_of(site, group, self.groups)}

    @cached_property
    def _group_of(self) -> Mapping[SiteId, frozenset[SiteId]]:
        """Of each hospital that is in one. Looked up for every hospital, of thousands of groups."""
        return {site: one for one in map(frozenset, self.groups) for site in one}

    def witnesses(self, of: Iterable[SiteId], many: Witnesses) -> dict[SiteId, tuple[SiteId, ...]]:
        """Of each of these hospitals."""
        return {site: witnesses_of(self.announced[site], self.places[site], self.sites, many) for site in of}

    def shown_to(self, site: SiteId) -> Payload:
        """The request of the leg "shares"."""
        parts = [self.tree.root, self.tree.path(self.places[site])]
        for other in sorted(self._near(site)):
            place = self.places[other]
            one = self.announced.get(other, NOTHING)
            parts += [place.to_bytes(PLACE_BYTES, "big"), one.to_bytes(), self.tree.path(place)]
        return Payload(data=np.frombuffer(b"".join(parts), np.uint8))


@dataclass(frozen=True)
class Shared:
    """What a hospital sent in the leg "shares": its commitment, and its shares encrypted for each holder."""

    commitment: bytes
    encrypted: Mapping[SiteId, bytes]


def open_sparse_sum(
    sums: SparseSum,
    exchange: Exchange,
    requests: Mapping[SiteId, Payload],
    agreement: Agreement,
    cohort: Cohort,
    accept: Accept,
    adding: Adding = PLAINLY,
) -> Opened | None:
    """As `open_sum`. Raises StudyError where several groups keep state, which a sparse graph cannot compare."""
    if agreement.vectors > 1 and len(cohort.groups) > 1:
        raise StudyError(ONE_GROUP)
    legs, threshold = Legs(exchange, sums.protocol), sums.threshold.of(len(agreement.sites))
    try:
        return _Round(legs, sums, cohort.demanding(threshold), agreement.sites, adding).run(
            requests, agreement, accept
        )
    except TooFewHospitalsError:
        return None


@dataclass(frozen=True)
class _Round:
    legs: Legs
    sums: SparseSum
    cohort: Cohort
    sites: tuple[SiteId, ...]
    adding: Adding
    masked_by: dict[SiteId, bytes] = field(default_factory=dict)

    def run(self, requests: Mapping[SiteId, Payload], agreement: Agreement, accept: Accept) -> Opened:
        asked = dict.fromkeys(requests, with_agreement(Payload(), agreement, names=False))
        announced = self.legs.ask_groups("keys", asked, _read_announced, self.cohort)
        graph = Graph(self.sites, announced, self.sums.graph.chosen, self.cohort.groups)
        shown = {site: graph.shown_to(site) for site in announced}
        shares = self.legs.ask_groups("shares", shown, partial(_read_shares, graph), self.cohort)
        orders = self._orders(requests, agreement, graph, shares)
        sums = Folding(self.cohort, self.adding.add)
        surviving = tuple(
            self.legs.ask_groups("round", orders, sums.taking(partial(self._accept, accept)), self.cohort)
        )
        asked = dict.fromkeys(
            surviving, Payload(words=marked(self.sites, frozenset(surviving)), data=np.empty(0, np.uint8))
        )
        signatures = self.legs.ask("survivors", asked, read_signature, self.cohort.least)
        opened = self._opened(graph, self._agreeing(graph, signatures), shares, surviving)
        session = graph.tree.root + _transcript.order(orders[surviving[0]])
        try:
            total = sums.total(surviving)
            self._take_masks_from(total, graph, session, shares, surviving, opened)
        except WireError as error:
            self.legs.give_up("unmask", tuple(opened), str(error))
        return Opened(surviving, total, tuple(opened), signatures)

    def _orders(
        self,
        requests: Mapping[SiteId, Payload],
        agreement: Agreement,
        graph: Graph,
        shares: Mapping[SiteId, Shared],
    ) -> dict[SiteId, Payload]:
        """The order for each hospital that shared, with what those that chose it encrypted for it."""
        masking, orders = marked(self.sites, shares.keys()), {}
        for site in shares:
            sent = b"".join(shares[other].encrypted[site] for other in graph.choosing[site] if other in shares)
            request = with_agreement(requests[site], agreement, names=False)
            words = {**request.words, **masking}
            orders[site] = replace(request, words=words, data=np.frombuffer(sent, np.uint8))
        return orders

    def _accept(self, accept: Accept, site: SiteId, reply: Payload) -> Words:
        words = accept(site, reply)
        self.masked_by[site] = _signature_in(reply)
        return words

    def _agreeing(self, graph: Graph, signatures: Mapping[SiteId, bytes]) -> Agreeing:
        """Of each hospital that signed the survivors, what it is to read of others' having done so."""
        if not isinstance(self.sums, WitnessedSum) or not self.sums.are_enough(self.cohort):
            all_of_them = b"".join(signatures[site] for site in sorted(signatures))
            return dict.fromkeys(signatures, (marked(self.sites, signatures.keys()), all_of_them))
        few = graph.witnesses(signatures, self.sums.witnesses)
        told = {site: with_signatures(some, signatures) for site, some in few.items()}
        asked = {site: Payload(words=words, data=np.frombuffer(raw, np.uint8)) for site, (words, raw) in told.items()}
        confirming = self.legs.ask(CONFIRM, asked, read_signature, self.cohort.least)
        return {site: with_signatures(few[site], confirming) for site in confirming}

    def _opened(
        self,
        graph: Graph,
        agreeing: Agreeing,
        shares: Mapping[SiteId, Shared],
        surviving: tuple[SiteId, ...],
    ) -> dict[SiteId, dict[SiteId, bytes]]:
        """Of each hospital that answers, the share it gives for each that chose it."""
        there, asked, senders = set(surviving), {}, {}
        for site, (words, signed) in agreeing.items():
            senders[site] = [other for other in graph.choosing[site] if other in shares]
            beside = b"".join(self.masked_by[other] for other in senders[site] if other in there)
            asked[site] = Payload(words=words, data=np.frombuffer(signed + beside, np.uint8))

        def read(site: SiteId, reply: Payload) -> dict[SiteId, bytes]:
            given = pieces(reply.data, len(senders[site]), _shamir.SHARE_BYTES)
            return dict(zip(senders[site], given, strict=True))

        return self.legs.ask("unmask", asked, read, self.sums.graph.needed)

    def _take_masks_from(
        self,
        total: Words,
        graph: Graph,
        session: bytes,
        shares: Mapping[SiteId, Shared],
        surviving: tuple[SiteId, ...],
        opened: Mapping[SiteId, Mapping[SiteId, bytes]],
    ) -> None:
        """In place: masks of the surviving alone, and those they have in common with the lost."""
        added, subtracted, there = [], [], set(surviving)
        for site, shared in shares.items():
            points = {name: point for point, name in enumerate(graph.chosen[site], start=1)}
            given = {point: opened[name][site] for name, point in points.items() if site in opened.get(name, ())}
            if site in there:
                fits = is_seed(shared.commitment)
                subtracted.append(self_stream(recovered(site, given, self.sums.graph.needed, fits)))
                continue
            fits = is_mask_key(graph.announced[site].keys.mask)
            key = recovered(site, given, self.sums.graph.needed, fits)
            others = {name: graph.announced[name].keys.mask for name in graph.neighbours(site) if name in there}
            plus, minus = pair_streams(site, key, others, session)
            added += plus
            subtracted += minus
        self.adding.apply(total, added, subtracted)


def _read_announced(site: SiteId, reply: Payload) -> Announced:
    return Announced.from_bytes(pieces(reply.data, 1, ANNOUNCED_BYTES)[0])


def _read_shares(graph: Graph, site: SiteId, reply: Payload) -> Shared:
    holders = graph.holders(site)
    raw = pieces(reply.data, 1, COMMITMENT_BYTES + ENCRYPTED_BYTES * len(holders))[0]
    encrypted = pieces(raw[COMMITMENT_BYTES:], len(holders), ENCRYPTED_BYTES)
    return Shared(raw[:COMMITMENT_BYTES], dict(zip(holders, encrypted, strict=True)))


def _signature_in(reply: Payload) -> bytes:
    word = reply.words.get(SIGNED)
    try:
        signature = b64decode(word if isinstance(word, str) else "", validate=True)
    except ValueError:
        signature = b""
    if len(signature) != SIGNATURE_BYTES:
        raise WireError("masked words came without the signature on what they were masked by.")
    return signature
