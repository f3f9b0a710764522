"""Colluders that keep their secret shares: as many as the threshold open anyone, fewer nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates
from experiments.evidence.secret_shares import NOTHING, Given, Watched, unmasked

HOSPITALS, THRESHOLD = 6, 4
VICTIM, HONEST = "hospital-05", "hospital-04"


@dataclass
class Remembering(InMemoryExchange):
    """Hospitals of which a copy is kept of what the protocol tells them to forget."""

    kept: dict[SiteId, dict[str, bytes]] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        replies = super().ask(leg, requests)
        if leg == "shares":
            self.kept = {site: dict(self.secrets[site]) for site in replies}
        return replies


@dataclass
class TwoFaced(Remembering):
    """A coordinator that tells the second half of the honest that the victim is lost; colluders sign that as well."""

    colluding: tuple[SiteId, ...] = ()
    signed: dict[SiteId, Payload] = field(default_factory=dict)

    deceived: frozenset[SiteId] = frozenset()
    called_lost: frozenset[SiteId] = frozenset({VICTIM})

    def told(self, site: SiteId) -> tuple[SiteId, ...]:
        honest = sorted(set(self.updates) - {VICTIM, *self.colluding})
        lost = site in (self.deceived or honest[len(honest) // 2 :])
        return tuple(other for other in sorted(self.updates) if not lost or other not in self.called_lost)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        if leg == "unmask":
            return super().ask(leg, {site: self.proof(site) for site in requests})
        if leg != "survivors":
            return super().ask(leg, requests)
        self.signed = super().ask(leg, {site: Payload(words={SITES: list(self.told(site))}) for site in requests})
        return self.signed

    def proof(self, site: SiteId) -> Payload:
        """Signatures of all honest who were told the same, and of the colluders, of what this one was told."""
        mind, told = self.kept[site], self.told(site)
        order = _transcript.order(next(one.request for one in self.crossed if one.leg == "round"))
        statement = _transcript.survivors(mind["secagg/context"], mind["secagg/session"], order, told)
        signatures = {one: raw(self.signed[one]) for one in self.updates if self.told(one) == told}
        signatures |= {one: self.local(one).identity.sign(statement) for one in self.colluding}
        data = b"".join(signatures[one] for one in sorted(signatures))
        return Payload(words={SITES: sorted(signatures)}, data=np.frombuffer(data, np.uint8))

    def given(self, victim: SiteId = VICTIM) -> Given:
        """What the honest gave of the victim's key and seed, by what they were told."""
        size, place = _shamir.SHARE_BYTES, sorted(self.updates).index(victim)
        replies = {site: one for site, one in self.replies("unmask").items() if site not in self.colluding}
        shares = {site: raw(one)[place * size : (place + 1) * size] for site, one in replies.items()}
        of_key = {site: share for site, share in shares.items() if victim not in self.told(site)}
        return of_key, {site: share for site, share in shares.items() if site not in of_key}


def raw(payload: Payload) -> bytes:
    assert payload.data is not None
    return payload.data.tobytes()


@pytest.fixture(scope="module")
def exchange() -> Remembering:
    updates = random_updates(HOSPITALS, 50, np.random.default_rng(0))
    made = Remembering(SecureAggregation(), updates)
    assert collect(made).total is not None
    return made


def watched(exchange: Remembering) -> Watched:
    requests = {leg: {c.site: c.request for c in exchange.crossed if c.leg == leg} for leg in ("shares", "round")}
    assert isinstance(exchange.aggregation, SecureAggregation)
    shares, masked = exchange.replies("shares"), exchange.replies("round")
    return Watched(exchange.aggregation, next(iter(requests["shares"].values())), shares, requests["round"], masked)


def colluders(exchange: Remembering, count: int) -> dict[SiteId, bytes]:
    return {site: exchange.kept[site]["secagg/channels"] for site in sorted(exchange.kept)[:count]}


@pytest.mark.parametrize("victim", [VICTIM, HONEST])
def test_as_many_colluders_as_the_threshold_open_either_of_two_honest_hospitals(
    exchange: Remembering, victim: SiteId
) -> None:
    aggregation, round_ = exchange.aggregation, watched(exchange)
    assert isinstance(aggregation, SecureAggregation)
    assert aggregation.threshold_in(HOSPITALS) == THRESHOLD
    opened = unmasked(round_, colluders(exchange, THRESHOLD), victim)
    agreement = Agreement.of(frozenset(exchange.updates), expected_of(exchange.updates))
    error = np.abs(opened.vectors[0] - exchange.updates[victim].vectors[0]).max()
    assert 0 < error <= aggregation.codec_in(2).largest_error(1, agreement)
    assert opened.weight == exchange.updates[victim].weight


def test_one_colluder_fewer_opens_nobody(exchange: Remembering) -> None:
    with pytest.raises(WireError, match="do not open"):
        unmasked(watched(exchange), colluders(exchange, THRESHOLD - 1), VICTIM)


@pytest.mark.parametrize("count", [2 * THRESHOLD - HOSPITALS, 2 * THRESHOLD - HOSPITALS - 1])
def test_a_coordinator_that_cheats_needs_twice_the_threshold_less_all(count: int) -> None:
    updates = random_updates(HOSPITALS, 50, np.random.default_rng(1))
    played = TwoFaced(SecureAggregation(), updates, colluding=tuple(sorted(updates)[:count]))
    collect(played)
    kept = colluders(played, count)
    if count < 2 * THRESHOLD - HOSPITALS:
        with pytest.raises(WireError):
            unmasked(watched(played), kept, VICTIM, played.given())
        return
    opened = unmasked(watched(played), kept, VICTIM, played.given())
    agreement = Agreement.of(frozenset(updates), expected_of(updates))
    error = np.abs(opened.vectors[0] - updates[VICTIM].vectors[0]).max()
    assert 0 < error <= SecureAggregation().codec_in(2).largest_error(1, agreement)


@pytest.mark.parametrize("count", [2 * THRESHOLD - HOSPITALS, THRESHOLD - 1, THRESHOLD])
def test_with_one_whole_group_a_coordinator_that_cheats_needs_the_threshold_too(count: int) -> None:
    """No honest hospital signs survivors that lack one of its group, so that there is no second set."""
    updates = random_updates(HOSPITALS, 50, np.random.default_rng(1))
    group = tuple(sorted(updates))
    played = TwoFaced(SecureAggregation(), updates, colluding=group[:count], groups=(group,), fewest=4)
    collect(played)
    assert any("whole groups" in reason for _, leg, reason in played.refused if leg == "survivors")
    if count < THRESHOLD:
        with pytest.raises(WireError):
            unmasked(watched(played), colluders(played, count), VICTIM, played.given())
        return
    assert unmasked(watched(played), colluders(played, count), VICTIM, NOTHING).weight == updates[VICTIM].weight


@pytest.mark.parametrize("count", [3, 2])
def test_with_three_groups_colluders_sign_two_sets_of_whole_groups(count: int) -> None:
    """Nine hospitals, threshold 6: 2 t - n = 3 sign both all groups and all but the victim's."""
    updates = random_updates(9, 50, np.random.default_rng(1))
    names = sorted(updates)
    groups, victim = (tuple(names[:3]), tuple(names[3:6]), tuple(names[6:])), names[-1]
    deceived = frozenset(names[count:6])
    settings = {"colluding": tuple(names[:count]), "deceived": deceived, "called_lost": frozenset(groups[2])}
    played = TwoFaced(SecureAggregation(), updates, groups=groups, fewest=3, **settings)
    collect(played)
    found = watched(played)
    given = played.given(victim)
    if count < 3:
        with pytest.raises(WireError):
            unmasked(found, colluders(played, count), victim, given)
        return
    assert unmasked(found, colluders(played, count), victim, given).weight == updates[victim].weight


def test_two_colluders_of_a_group_of_three_are_enough_for_differences() -> None:
    """A sum of three groups and one of two, at nearly the same model: less what two tell, it is the third's."""
    updates = random_updates(9, 50, np.random.default_rng(1))
    names = sorted(updates)
    groups = (tuple(names[:3]), tuple(names[3:6]), tuple(names[6:]))
    played = InMemoryExchange(SecureAggregation(), updates, groups=groups, fewest=3)
    everybody = collect(played).total
    played.number, played.lost = 2, {"round": (names[-1],)}
    others = collect(played, Payload(np.full(50, 1e-6, np.float32), words={"study": "{}"})).total
    assert everybody is not None and others is not None and others.weight == sum(updates[n].weight for n in names[:6])
    left = everybody.vectors[0] - others.vectors[0] - sum(updates[name].vectors[0] for name in names[6:8])
    np.testing.assert_allclose(left, updates[names[-1]].vectors[0], atol=1e-5)
