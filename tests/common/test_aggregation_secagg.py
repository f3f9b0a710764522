"""`secagg`: masks cancel whoever drops out, exactly; too few open nothing; its parts against published vectors."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.sums.aggregations import _keystream, _shamir
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES, SIGNED_KEYS_BYTES
from common.sums.aggregations._ring import Ring
from common.sums.aggregations._secagg_client import COMMITMENT_BYTES, ENCRYPTED_BYTES, commitment
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from common.sums.mean import UNITS_PER_ONE, Mean
from common.sums.update import Update
from common.wire.records import from_records, to_records
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates

LEGS = ("keys", "shares", "round", "survivors", "unmask")
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def oracle(exchange: InMemoryExchange, sites: tuple[SiteId, ...]) -> Update:
    """Python's own integers, added one by one: the words of those hospitals, never masked."""
    aggregation = exchange.aggregation
    assert isinstance(aggregation, SecureAggregation)
    agreement = Agreement.of(frozenset(exchange.updates), expected_of(exchange.updates))
    totals = [0] * aggregation.codec_in(2).length(agreement)
    for site in sites:
        words = aggregation.codec_in(2).encode(exchange.updates[site], agreement, exchange.local(site).rng)
        totals = [total + int(word) for total, word in zip(totals, words, strict=True)]
    return aggregation.codec_in(2).decode(np.array(totals, np.uint64), len(sites), agreement)


def assert_same(found: Update, wanted: Update) -> None:
    for one, other in zip(found.vectors, wanted.vectors, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.weight == wanted.weight
    assert found.statistics == wanted.statistics


def with_statistics(updates: Mapping[SiteId, Update]) -> dict[SiteId, Update]:
    return {
        site: Update(update.vectors, update.weight, {"training/loss": Mean.of([0.25 * place - 1], [update.weight])})
        for place, (site, update) in enumerate(updates.items())
    }


@st.composite
def rounds(draw: st.DrawFn) -> InMemoryExchange:
    """Any number of hospitals, any words, and for each hospital the leg in which it is lost, or none."""
    hospitals = draw(st.integers(3, 7))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    updates = with_statistics(
        random_updates(hospitals, draw(st.integers(1, 30)), rng, vectors=draw(st.integers(0, 2)))
    )
    lost: dict[str, set[SiteId]] = {leg: set() for leg in LEGS}
    for site in updates:
        leg = draw(st.sampled_from((*[None] * 12, *LEGS)))
        if leg is not None:
            lost[leg].add(site)
    fewest = draw(st.sampled_from((None, hospitals // 2 + 1)))
    aggregation = SecureAggregation(value_bits=draw(st.sampled_from((8, 16, 24))), threshold=fewest)
    return InMemoryExchange(aggregation, updates, seed=draw(st.integers(0, 99)), lost=lost)


def answering(exchange: InMemoryExchange) -> dict[str, tuple[SiteId, ...]]:
    """Who is still there in each leg."""
    left, found = sorted(exchange.updates), {}
    for leg in LEGS:
        left = [site for site in left if site not in exchange.lost.get(leg, ())]
        found[leg] = tuple(left)
    return found


def fewest(exchange: InMemoryExchange) -> int:
    assert isinstance(exchange.aggregation, SecureAggregation)
    return exchange.aggregation.threshold_in(len(exchange.updates))


@SLOW
@given(rounds())
def test_masks_cancel_for_every_pattern_of_dropouts(exchange: InMemoryExchange) -> None:
    there, threshold = answering(exchange), fewest(exchange)
    opened = collect(exchange)
    if any(len(there[leg]) < threshold for leg in LEGS):
        assert opened.total is None
        assert opened.sites == ()
        assert_closed(exchange, threshold)
        return
    assert opened.total is not None
    assert opened.sites == there["round"]
    assert opened.each is None
    assert_same(opened.total, oracle(exchange, there["round"]))


def assert_closed(exchange: InMemoryExchange, threshold: int) -> None:
    """Everybody was dropped with a reason, and the shares that were opened make up no seed and no key."""
    assert {site for site, _, _ in exchange.dropped} == set(exchange.updates)
    assert all(reason for _, _, reason in exchange.dropped)
    opened = exchange.replies("unmask")
    assert len(opened) < threshold
    commitments = {site: bytes(data(reply)[:COMMITMENT_BYTES]) for site, reply in exchange.replies("shares").items()}
    points = {site: point for point, site in enumerate(exchange.replies("keys"), start=1)}
    for place, site in enumerate(exchange.replies("shares")):
        given = {points[other]: piece(reply, place) for other, reply in opened.items()}
        for size in range(1, len(given) + 1):
            for chosen in combinations(given.items(), size):
                assert not opens(dict(chosen), commitments[site])


def opens(shares: Mapping[int, bytes], fixed: bytes) -> bool:
    try:
        return commitment(_shamir.recover(shares)) == fixed
    except WireError:
        return False


def piece(reply: Payload, place: int) -> bytes:
    return bytes(data(reply)[place * _shamir.SHARE_BYTES : (place + 1) * _shamir.SHARE_BYTES])


def data(payload: Payload) -> bytes:
    assert payload.data is not None
    return payload.data.tobytes()


@pytest.mark.parametrize("leg", LEGS)
def test_one_hospital_too_few_in_any_leg_names_the_leg_and_opens_nothing(leg: str) -> None:
    updates = random_updates(5, 12, np.random.default_rng(1))
    exchange = InMemoryExchange(SecureAggregation(threshold=4), updates, lost={leg: sorted(updates)[:2]})
    assert collect(exchange).total is None
    assert_closed(exchange, 4)
    reasons = [reason for site, _, reason in exchange.dropped if site not in exchange.gone]
    wanted = f"3 hospitals answered leg '{leg}' of secagg, and 4 must; nothing was opened"
    assert reasons == [wanted] * 3
    after = LEGS[LEGS.index(leg) + 1 :]
    assert not [one for one in exchange.crossed if one.leg in after]


def test_a_study_that_needs_more_hospitals_than_the_threshold_is_not_opened_for_fewer() -> None:
    updates = random_updates(5, 12, np.random.default_rng(1))
    exchange = InMemoryExchange(SecureAggregation(threshold=3), updates, lost={"round": ["hospital-00"]})
    assert collect(exchange, needed=5).total is None
    assert not exchange.replies("survivors")


@SLOW
@given(
    st.lists(st.tuples(st.integers(-999, 999), st.integers(1, 9)), min_size=3, max_size=5),
    st.sampled_from((3, 16, 24)),
)
def test_weights_and_statistics_are_in_the_sum_and_exact(numbers: list[tuple[int, int]], bits: int) -> None:
    updates = {
        f"hospital-{place}": Update(
            (np.zeros(2, np.float32),), float(weight), {"training/loss": Mean.of([value / 8], [weight])}
        )
        for place, (value, weight) in enumerate(numbers)
    }
    total = collect(InMemoryExchange(SecureAggregation(value_bits=bits), updates)).total
    assert total is not None
    assert total.weight == sum(weight for _, weight in numbers)
    weighted = sum(value * weight for value, weight in numbers)
    wanted = Mean(weighted * UNITS_PER_ONE // 8, sum(weight for _, weight in numbers) * UNITS_PER_ONE)
    assert total.statistics["training/loss"] == wanted


def test_nothing_but_keys_shares_signatures_and_masked_words_leaves_a_hospital() -> None:
    updates = with_statistics(random_updates(4, 25, np.random.default_rng(2)))
    exchange = InMemoryExchange(SecureAggregation(value_bits=16), updates)
    assert collect(exchange).total is not None
    words = 25 + 4 * 2 * 3  # weight, share clipped and loss: two numbers of 64 bits each, in four limbs of 16
    sizes = {
        "keys": SIGNED_KEYS_BYTES,
        "shares": COMMITMENT_BYTES + 3 * ENCRYPTED_BYTES,
        "round": 3 * words,
        "survivors": SIGNATURE_BYTES,
        "unmask": 4 * _shamir.SHARE_BYTES,
    }
    for one in exchange.crossed:
        assert one.reply is not None
        assert (one.reply.array, dict(one.reply.numbers), dict(one.reply.words)) == (None, {}, {})
        assert len(data(one.reply)) == sizes[one.leg]


def test_no_secret_is_left_after_a_round_and_none_is_sent_in_the_clear() -> None:
    class Remembering(InMemoryExchange):
        def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
            kept.update({value for own in self.secrets.values() for key, value in own.items() if key in secret})
            return super().ask(leg, requests)

    kept: set[bytes] = set()
    secret = {f"secagg/{name}" for name in ("mask key", "channel key", "seed", "channels")}
    updates = random_updates(4, 25, np.random.default_rng(2))
    exchange = Remembering(SecureAggregation(threshold=3), updates, lost={"round": ["hospital-03"]})
    assert collect(exchange).total is not None
    sent = b"".join(data(one.reply) for one in exchange.crossed if one.reply is not None)
    kept.discard(b"")
    assert len(kept) == 4 * len(secret)
    assert not [value for value in kept if value in sent]
    assert not [
        key for site in updates if site != "hospital-03" for key in exchange.secrets[site] if "secagg/" in key
    ]


def test_a_round_can_be_repeated_for_the_same_survivors(tmp_path: Path) -> None:
    exchange = InMemoryExchange(SecureAggregation(), random_updates(3, 5, np.random.default_rng(0)), folder=tmp_path)
    first, second = collect(exchange).total, collect(exchange).total
    assert first is not None
    assert second is not None
    assert_same(first, second)
    uploads = [data(one.reply) for one in exchange.crossed if one.leg == "round" and one.reply is not None]
    assert len(set(uploads)) == 6


def test_masks_of_the_lost_cancel_where_orders_cross_as_flowers_records() -> None:
    """Masks are derived from the order: both sides must read the same one from what crossed."""

    class OverRecords(InMemoryExchange):
        def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
            return super().ask(leg, {site: from_records(to_records(one), 99, 9999) for site, one in requests.items()})

    order = Payload(np.ones(9, np.float32), {"epochs": 3, "rate": 0.1, "shape": [1, 2]}, {"study": "{}", "none": []})
    updates = random_updates(5, 9, np.random.default_rng(4))
    exchange = OverRecords(SecureAggregation(), updates, lost={"round": ["hospital-02"]})
    total = collect(exchange, order).total
    assert total is not None
    assert_same(total, oracle(exchange, tuple(site for site in updates if site != "hospital-02")))


def test_shamirs_golden_polynomial() -> None:
    """5 + 2 x + 3 x**2 is 10, 21, 38 and 61 at 1 to 4."""
    shares = {point: value.to_bytes(33, "big") for point, value in ((1, 10), (2, 21), (3, 38), (4, 61))}
    for chosen in combinations(shares.items(), 3):
        assert int.from_bytes(_shamir.recover(dict(chosen)), "big") == 5


@SLOW
@given(st.binary(min_size=32, max_size=32), st.integers(1, 6), st.integers(0, 3), st.data())
def test_any_threshold_shares_give_the_secret(secret: bytes, threshold: int, more: int, draw: st.DataObject) -> None:
    shares = _shamir.share(secret, threshold, range(1, threshold + more + 1))
    chosen = draw.draw(st.permutations(sorted(shares)))[:threshold]
    assert _shamir.recover({point: shares[point] for point in chosen}) == secret


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_one_share_too_few_fits_every_secret(secret: bytes, other: bytes) -> None:
    """At 1, 2 and 3 Lagrange's weights are 3, -3 and 1: some third share makes any secret of two given shares."""
    shares = _shamir.share(secret, 3, (1, 2))
    first, second = (int.from_bytes(shares[point], "big") for point in (1, 2))
    third = (int.from_bytes(other, "big") - 3 * first + 3 * second) % _shamir.PRIME
    assert _shamir.recover({**shares, 3: third.to_bytes(33, "big")}) == other


def test_a_share_that_is_no_number_of_the_field_is_refused() -> None:
    shares = _shamir.share(bytes(32), 2, (1, 2))
    for wrong in (_shamir.PRIME.to_bytes(33, "big"), b"\xff" * 33, b"", bytes(32)):
        with pytest.raises(WireError, match="no number of the field"):
            _shamir.recover({1: shares[1], 2: wrong})


def test_the_field_has_a_prime_number_of_elements() -> None:
    """Miller and Rabin's test: a composite passes one base by a chance below 1/4, these forty below 1e-24."""
    odd, halvings = _shamir.PRIME - 1, 0
    while odd % 2 == 0:
        odd, halvings = odd // 2, halvings + 1
    for base in range(2, 42):
        powers = [pow(base, odd << k, _shamir.PRIME) for k in range(halvings)]
        assert powers[0] == 1 or _shamir.PRIME - 1 in powers


def test_keystreams_are_the_published_ones() -> None:
    """McGrew and Viega, GCM test cases 2 and 3 of AES-128: ciphertext less plaintext."""
    words = np.zeros(4, np.uint32)
    _keystream.apply(words, [bytes(28)])
    assert words.tobytes().hex() == "0388dace60b6a392f328c2b971b2fe78"
    plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    cipher = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    words = np.zeros(8, np.uint32)
    _keystream.apply(words, [bytes.fromhex("feffe9928665731c6d6a8f9467308308cafebabefacedbaddecaf888")])
    assert int.from_bytes(words.tobytes(), "big") == int(plain, 16) ^ int(cipher, 16)


@pytest.mark.parametrize("length", [1, 5, _keystream.BLOCK_WORDS, 2 * _keystream.BLOCK_WORDS + 3])
def test_a_long_keystream_is_aes_of_a_counter(length: int) -> None:
    """The second derivation enciphers the counters 2, 3, ... after the nonce one by one."""
    stream = bytes(range(28))
    blocks = b"".join(stream[16:] + counter.to_bytes(4, "big") for counter in range(2, 2 + -(-length // 4)))
    wanted = Cipher(algorithms.AES(stream[:16]), modes.ECB()).encryptor().update(blocks)
    words = np.full(length, 7, np.uint32)
    _keystream.apply(words, [stream])
    np.testing.assert_array_equal(words - np.uint32(7), np.frombuffer(wanted, "<u4")[:length])
    _keystream.apply(words, [], [stream])
    np.testing.assert_array_equal(words, np.full(length, 7, np.uint32))


@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=20), st.sampled_from((1, 2, 3, 4)))
def test_words_travel_in_as_few_bytes_as_the_ring_has(values: list[int], width: int) -> None:
    ring, words = Ring(width), np.array(values, np.uint32)
    packed = ring.pack(words)
    assert packed.tobytes() == b"".join((value % (1 << 8 * width)).to_bytes(width, "little") for value in values)
    np.testing.assert_array_equal(ring.unpack(packed, len(values)), [value % (1 << 8 * width) for value in values])
    with pytest.raises(WireError, match="bytes came for"):
        ring.unpack(packed, len(values) + 1)


def test_many_words_in_three_bytes_are_the_lowest_three_of_each() -> None:
    """Each is written over the last byte of the one before, in blocks: right only in the order of copying."""
    words = np.random.default_rng(0).integers(0, 1 << 32, (1 << 17) + 3, dtype=np.uint32)
    np.testing.assert_array_equal(Ring(3).pack(words), words.view(np.uint8).reshape(-1, 4)[:, :3].ravel())


def test_colluding_hospitals_leave_two_or_more_whose_sum_hides_one_from_the_other() -> None:
    SecureAggregation(colluding=3).check(5)
    with pytest.raises(StudyError, match=r"aggregation\.colluding = 4 of 5 hospitals leave one alone.*at most 3"):
        SecureAggregation(colluding=4).check(5)


def test_the_ring_holds_the_largest_sum_and_one_bit_more_takes_a_wider_one() -> None:
    assert [Ring.holding(bits, 4).width for bits in (6, 7, 14, 15, 22, 23, 30)] == [1, 2, 2, 3, 3, 4, 4]
    with pytest.raises(StudyError, match="value_bits must be at most 30"):
        Ring.holding(31, 4)
