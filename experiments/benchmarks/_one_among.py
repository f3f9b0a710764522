"""One real hospital of a sum under masks among thousands, of which all others do no more than it needs of them.

The others make keys, sign them, sign the survivors, and encrypt for this one shares of secrets that they do not have;
what reaches the hospital is of the very form and size that a round of so many brings, and it checks all of it. So a
round of 10,000 takes seconds, where 10,000 whole hospitals would take hours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import process_time

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Message
from flwr.app.message_type import MessageType

from common.data.cases import SiteId
from common.errors import EngineError
from common.seeding import generator
from common.sums.aggregation import Local
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._chosen import CHOICE_BYTES, Announced
from common.sums.aggregations._key_agreement import PublicKeys, SecretKeys, encrypt, shared_secrets
from common.sums.aggregations._secagg_client import NO_SHARE
from common.sums.aggregations._session_state import SITES, pieces
from common.sums.aggregations._sparse_client import SparseSum, marked, masked_by
from common.sums.aggregations._sparse_server import Graph
from common.sums.aggregations._witnessed_sum import (
    CONFIRM,
    WitnessedSum,
    confirmed,
    with_signatures,
    witnesses_of,
)
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Payload, Word
from common.sums.identity import Identity
from common.sums.update import Update
from common.wire.message_bytes import identify, size_of
from common.wire.records import to_records

STUDY, RUN = "0" * 64, "1" * 32


@dataclass
class Crowd:
    """A round's hospitals, of which each can sign and has keys of the round. aggregation: that they sum by."""

    aggregation: SecureAggregation
    hospitals: int
    values: int
    identities: dict[SiteId, Ed25519PrivateKey] = field(init=False)

    def __post_init__(self) -> None:
        self.identities = {f"hospital-{place:05d}": Ed25519PrivateKey.generate() for place in range(self.hospitals)}

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """All of the round, sorted."""
        return tuple(self.identities)

    @cached_property
    def public_keys(self) -> Mapping[SiteId, bytes]:
        """That hospitals know each other by."""
        return {site: key.public_key().public_bytes_raw() for site, key in self.identities.items()}

    @cached_property
    def agreement(self) -> Agreement:
        """Of the sum."""
        return Agreement(self.sites, self.values, 1, (), 1.0)

    @cached_property
    def is_sparse(self) -> bool:
        """Whether hospitals share with neighbours alone."""
        return isinstance(self.aggregation.sums_in(self.hospitals), SparseSum)

    def local(self, site: SiteId, secrets: dict[str, bytes]) -> Local:
        """What a hospital's half works with."""
        cohort = Cohort(self.sites, self.aggregation.threshold_in(self.hospitals), (self.sites,))
        return Local(site, 1, STUDY, self.identity(site), secrets, generator(1, site), cohort, RUN)

    def identity(self, site: SiteId) -> Identity:
        """That signs as a hospital."""
        return Identity(site, self.identities[site], self.public_keys)

    @cached_property
    def context(self) -> bytes:
        """What keys are signed for."""
        return _transcript.context(self.local(self.sites[0], {}), self.agreement)

    @cached_property
    def secrets(self) -> Mapping[SiteId, SecretKeys]:
        """Of the round, of each hospital."""
        return {site: SecretKeys.generate() for site in self.sites}

    @cached_property
    def keys(self) -> dict[SiteId, PublicKeys]:
        """Announced by each where all share with all."""
        return {site: one.announce(self.identity(site), self.context) for site, one in self.secrets.items()}

    @cached_property
    def announced(self) -> dict[SiteId, Announced]:
        """By each in a sparse graph."""
        return {
            site: Announced.signed(os.urandom(CHOICE_BYTES), one, self.identity(site), self.context)
            for site, one in self.secrets.items()
        }


@dataclass(frozen=True)
class Seen:
    """Of one hospital: CPU seconds, bytes that came and went, by leg; and with how many it has a mask in common."""

    seconds: Mapping[str, float]
    came: Mapping[str, int]
    went: Mapping[str, int]
    partners: int


class Watched:
    """One hospital of a crowd, asked leg by leg."""

    def __init__(self, crowd: Crowd, site: SiteId) -> None:
        self.crowd, self.site = crowd, site
        self.local = crowd.local(site, {})
        self.seconds: dict[str, float] = {}
        self.came: dict[str, int] = {}
        self.went: dict[str, int] = {}
        self.update = Update((generator(2, site).uniform(-0.9, 0.9, crowd.values).astype(np.float32),), 1.0)

    def play(self) -> Seen:
        """All legs of a round in which nobody is lost. Raises EngineError where the hospital gave too few shares."""
        crowd, sites = self.crowd, self.crowd.sites
        own = _data(self._ask("keys", with_agreement(Payload(), crowd.agreement, names=not crowd.is_sparse)))
        asked, senders, session, partners = self._sparse(own) if crowd.is_sparse else self._complete(own)
        self._ask("shares", asked)
        order = with_agreement(Payload(words=self._named()), crowd.agreement, names=not crowd.is_sparse)
        order = replace(order, data=np.frombuffer(self._shares_for(senders, session), np.uint8))
        self._ask("round", order)
        self._ask("survivors", Payload(words=self._named(), data=np.empty(0, np.uint8)))
        digest = _transcript.order(order)
        statement = _transcript.survivors(crowd.context, session, digest, sites)
        words, signed = self._agreeing(own, statement)
        if crowd.is_sparse:
            alike = masked_by(crowd.context, session, digest)
            signed += b"".join(crowd.identities[site].sign(alike) for site in senders)
        request = Payload(words=words, data=np.frombuffer(signed, np.uint8))
        given = pieces(_data(self._ask("unmask", request)), len(senders) + (not crowd.is_sparse), _shamir.SHARE_BYTES)
        if NO_SHARE in given:
            raise EngineError("a hospital gave no share where it should.")
        return Seen(self.seconds, self.came, self.went, partners)

    def _agreeing(self, own: bytes, statement: bytes) -> tuple[Mapping[str, Word], bytes]:
        """Of the leg "unmask", whose signatures come, and these."""
        sites, sums = self.crowd.sites, self.crowd.aggregation.sums_in(self.crowd.hospitals)
        if not isinstance(sums, WitnessedSum):
            return self._named(), b"".join(self.crowd.identities[site].sign(statement) for site in sites)
        some = witnesses_of(Announced.from_bytes(own), sites.index(self.site), sites, sums.witnesses)
        words, signed = with_signatures(some, {site: self.crowd.identities[site].sign(statement) for site in some})
        self._ask(CONFIRM, Payload(words=words, data=np.frombuffer(signed, np.uint8)))
        said = confirmed(statement)
        return with_signatures(some, {site: self.crowd.identities[site].sign(said) for site in some})

    def _named(self) -> dict[str, Word]:
        sites = self.crowd.sites
        return marked(sites, set(sites)) if self.crowd.is_sparse else {SITES: list(sites)}

    def _complete(self, own: bytes) -> tuple[Payload, tuple[SiteId, ...], bytes, int]:
        crowd = self.crowd
        keys = crowd.keys | {self.site: PublicKeys.from_bytes(own)}
        data = np.frombuffer(b"".join(one.to_bytes() for one in keys.values()), np.uint8)
        others = tuple(site for site in crowd.sites if site != self.site)
        return Payload(words=self._named(), data=data), others, _transcript.session(keys), len(others)

    def _sparse(self, own: bytes) -> tuple[Payload, tuple[SiteId, ...], bytes, int]:
        crowd, found = self.crowd, self.crowd.aggregation.graph_in(self.crowd.hospitals)
        assert found is not None
        graph = Graph(crowd.sites, crowd.announced | {self.site: Announced.from_bytes(own)}, found.chosen)
        partners = len(graph.neighbours(self.site))
        return graph.shown_to(self.site), graph.choosing[self.site], graph.tree.root, partners

    def _shares_for(self, senders: tuple[SiteId, ...], session: bytes) -> bytes:
        """Of secrets that nobody has: the hospital cannot tell, as it cannot tell true ones."""
        announced = self.local.secrets["secagg/announced"]
        own = Announced.from_bytes(announced).keys if self.crowd.is_sparse else PublicKeys.from_bytes(announced)
        made = []
        for site in senders:
            (shared,) = shared_secrets(self.crowd.secrets[site].channel, [own.channel])
            way = _transcript.way(session, site, self.site)
            made.append(encrypt(os.urandom(2 * _shamir.SHARE_BYTES), shared, way))
        return b"".join(made)

    def _ask(self, leg: str, request: Payload) -> Payload:
        aggregation, begin = self.crowd.aggregation, process_time()
        if leg == "round":
            reply = aggregation.protect(self.update, request, self.local)
        else:
            reply = aggregation.answer(leg, request, self.local)
        self.seconds[leg] = process_time() - begin
        self.came[leg], self.went[leg] = _bytes(request), _bytes(reply)
        return reply


def _data(payload: Payload) -> bytes:
    return b"" if payload.data is None else payload.data.tobytes()


def _bytes(payload: Payload) -> int:
    """As serialised for the wire."""
    identify(run_id=1, node_id=1)
    return size_of(Message(to_records(payload), dst_node_id=1, message_type=MessageType.TRAIN))
