"""Requests, replies, member lists and fingerprints: golden digits, and damage in every place."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from common.consortium import certificates, fingerprints, forms
from common.consortium.expiry import Expiry, warnings
from common.consortium.members import (
    CoordinatorKeys,
    MemberKeys,
    MemberList,
    facts_of,
    read_members,
    write_members,
)
from common.consortium.replies import Reply, read_reply
from common.consortium.requests import Request, Secrets, make, read_history, read_request
from common.errors import HospitalError, WireError

AT = certificates.now()


def secrets() -> Secrets:
    return Secrets(certificates.new_key(), certificates.new_key(), Ed25519PrivateKey.generate())


FIRST, SECOND = secrets(), secrets()
AUTHORITY, COORDINATOR = certificates.new_authority("Aorta", AT), Ed25519PrivateKey.generate()
REQUEST = make("Köln", FIRST, AT)
OTHER = make("Ulm", SECOND, AT)
LISTED = MemberList(
    "Aorta",
    {"Köln": FIRST.public.of_member, "Ulm": SECOND.public.of_member},
    CoordinatorKeys(COORDINATOR.public_key().public_bytes_raw(), certificates.key_digest(AUTHORITY.key.public_key())),
    3,
)
CERTIFICATE = certificates.hospital_certificate(AUTHORITY, "Köln", FIRST.tls.public_key(), FIRST.public.node, AT)
HISTORIES = {"Köln": (REQUEST,), "Ulm": (OTHER,)}
REPLY = Reply("Köln", CERTIFICATE, AUTHORITY.certificate, LISTED, HISTORIES, ("front.example",), 8443)


def test_the_groups_of_a_member_are_those_that_sha256sum_and_bc_work_out() -> None:
    """Of {"consortium":"Aorta","domain":...,"keys":{...},"name":"K\\u00f6ln"} as one line, modulo 10^32."""
    keys = MemberKeys(bytes(31) + b"\2", b"node", "0" * 63 + "1")
    digest = fingerprints.digest_of("Aorta", "Köln", keys)
    assert digest == "3a73b68e589d0e402801f6f3fe1dab64b942321e1fd3e8f461b44f3e53378dd5"
    assert fingerprints.groups_of(digest) == "7066 6984 4750 7769 4012 9334 4076 9493"


def test_groups_begin_with_zeros_where_the_number_is_small() -> None:
    assert fingerprints.groups_of(f"{10**32 + 7:064x}") == "0000 0000 0000 0000 0000 0000 0000 0007"


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: replace(keys, identity=bytes(32)),
        lambda keys: replace(keys, node=keys.node + b"\n"),
        lambda keys: replace(keys, certificate="0" * 64),
    ],
)
def test_no_key_of_a_member_can_change_without_its_groups(change: Callable[[MemberKeys], MemberKeys]) -> None:
    keys = FIRST.public.of_member
    whole = fingerprints.digest_of("Aorta", "Köln", keys)
    assert fingerprints.digest_of("Aorta", "Köln", change(keys)) != whole
    assert fingerprints.digest_of("Aorta", "Ulm", keys) != whole != fingerprints.digest_of("Vena", "Köln", keys)


@given(st.text("0123456789 -–.\t", min_size=0, max_size=60))
def test_typed_groups_are_right_exactly_where_their_digits_are(typed: str) -> None:
    digest = f"{12345678901234567890123456789012:064x}"
    digits = "".join(one for one in typed if one.isdigit())
    assert fingerprints.is_same(typed, digest) == (digits == "12345678901234567890123456789012")


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("1234-5678 9012–3456  7890 1234 5678 9012", True),
        (" 12345678901234567890123456789012\n", True),
        ("١٢٣٤ 5678 9012 3456 7890 1234 5678 9012", True),
        ("1234 5678 9012 3456 7890 1234 5678 901", False),
        ("1234 5678 9012 3456 7890 1234 5678 90122", False),
        ("1234 5678 9012 3456 7890 1234 5678 9O12", False),
        ("", False),
    ],
)
def test_spaces_dashes_and_other_scripts_digits_are_forgiven_and_nothing_else(typed: str, right: bool) -> None:
    assert fingerprints.is_same(typed, f"{12345678901234567890123456789012:064x}") is right


def test_requests_and_replies_are_read_back_as_they_were_written() -> None:
    assert read_request(json.loads(json.dumps(REQUEST.table)), AT) == REQUEST
    assert read_reply(json.loads(json.dumps(REPLY.signed(COORDINATOR))), AT) == REPLY


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([here] if here else []), *(one for key, part in inner for one in paths(part, (*here, key)))]


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.just([]), st.just({}), st.just("\ud800")
)
SIGNED_REPLY = REPLY.signed(COORDINATOR)


def damaged(table: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy = deepcopy(table)
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@given(st.data())
def test_a_request_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    path, value = data.draw(st.sampled_from(paths(REQUEST.table))), data.draw(ODD)
    changed = damaged(REQUEST.table, path, value)
    if changed == REQUEST.table:
        return
    with pytest.raises(WireError):
        read_request(changed, AT)


@given(st.data())
def test_a_reply_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    path, value = data.draw(st.sampled_from(paths(SIGNED_REPLY))), data.draw(ODD)
    changed = damaged(SIGNED_REPLY, path, value)
    if json.dumps(changed, sort_keys=True) == json.dumps(SIGNED_REPLY, sort_keys=True):
        return
    with pytest.raises(WireError):
        read_reply(changed, AT)


@pytest.mark.parametrize("value", [None, [], "", 0, {}, {"format": "wardround enrolment request 1"}])
def test_what_is_no_request_at_all_is_refused(value: Any) -> None:
    with pytest.raises(WireError):
        read_request(value, AT)
    with pytest.raises(WireError):
        read_reply(value, AT)


@pytest.mark.parametrize(
    "lie",
    [
        lambda: replace(REPLY, name="Ulm"),
        lambda: replace(REPLY, authority=certificates.new_authority("Aorta", AT).certificate),
        lambda: replace(REPLY, requests={**HISTORIES, "Ulm": (REQUEST,)}),
        lambda: replace(REPLY, requests={"Köln": (REQUEST,)}),
        lambda: replace(REPLY, listed=replace(LISTED, members={**LISTED.members, "Ulm": secrets().public.of_member})),
        lambda: replace(REPLY, listed=replace(LISTED, members={"Ulm": LISTED.members["Ulm"]})),
        lambda: replace(
            REPLY,
            certificate=certificates.hospital_certificate(
                AUTHORITY, "Köln", FIRST.tls.public_key(), SECOND.public.node, AT
            ),
        ),
        lambda: replace(
            REPLY,
            certificate=certificates.hospital_certificate(
                AUTHORITY, "Ulm", FIRST.tls.public_key(), FIRST.public.node, AT
            ),
        ),
        lambda: replace(
            REPLY,
            certificate=certificates.hospital_certificate(
                AUTHORITY, "Köln", SECOND.tls.public_key(), FIRST.public.node, AT
            ),
        ),
    ],
)
def test_a_reply_that_its_own_coordinator_signed_and_that_contradicts_itself_is_refused(
    lie: Callable[[], Reply],
) -> None:
    with pytest.raises(WireError):
        read_reply(lie().signed(COORDINATOR), AT)


def test_a_reply_is_refused_once_its_certificate_ran_out_and_where_another_signed_it() -> None:
    with pytest.raises(WireError):
        read_reply(REPLY.signed(COORDINATOR), AT + timedelta(days=800))
    with pytest.raises(WireError):
        read_reply(REPLY.signed(Ed25519PrivateKey.generate()), AT)


def test_whoever_names_anothers_key_cannot_prove_it() -> None:
    stolen = replace(SECOND.public, identity=FIRST.public.identity)
    forged = replace(OTHER, keys=stolen)
    with pytest.raises(WireError):
        read_request(replace(forged, proofs=SECOND.sign(forged.statement)).table, AT)


def test_a_rotation_counts_only_where_the_keys_before_signed_it() -> None:
    after = make("Köln", SECOND, AT, FIRST)
    assert read_history([REQUEST.table, after.table], "Köln", AT) == (REQUEST, after)
    thief = secrets()
    forged = replace(make("Köln", SECOND, AT, thief), replaces=FIRST.public.digest)
    forged = replace(forged, proofs=SECOND.sign(forged.statement), former=thief.sign(forged.statement))
    for history in ([REQUEST, forged], [after], [REQUEST, after, REQUEST], [REQUEST, OTHER], [REQUEST, REQUEST]):
        with pytest.raises(WireError):
            read_history([one.table for one in history], "Köln", AT)


def test_a_rotation_that_keeps_a_key_is_none() -> None:
    half = Secrets(SECOND.tls, FIRST.node, SECOND.identity)
    with pytest.raises(WireError, match="each of the three"):
        read_history([REQUEST.table, make("Köln", half, AT, FIRST).table], "Köln", AT)


def test_a_request_from_tomorrow_is_taken_and_one_from_next_week_is_not() -> None:
    read_request(make("Ulm", SECOND, AT + timedelta(hours=20)).table, AT)
    with pytest.raises(WireError, match="clock"):
        read_request(make("Ulm", SECOND, AT + timedelta(days=7)).table, AT)


@pytest.mark.parametrize("name", ["", "a/b", "coordinator", "Front", "ü" * 33, " Ulm", "x" * 65, "a\nb", 5, None])
def test_names_that_no_member_can_have_are_refused(name: Any) -> None:
    with pytest.raises(WireError):
        forms.member_name(name)


def test_a_list_is_signed_by_its_members_alone_and_over_that_very_version() -> None:
    signature = FIRST.identity.sign(LISTED.statement)
    assert LISTED.is_signed_by("Köln", signature)
    assert not LISTED.is_signed_by("Ulm", signature)
    assert not LISTED.is_signed_by("Trier", signature)
    assert not replace(LISTED, version=4).is_signed_by("Köln", signature)
    assert not LISTED.is_signed_by("Köln", FIRST.identity.sign(LISTED.statement.removeprefix(b"wardround ")))
    kept = LISTED.with_signatures({"Köln": signature, "Ulm": signature, "Trier": signature})
    assert kept.signatures == {"Köln": signature} and kept.unsigned == ["Ulm"]
    assert kept.digest == LISTED.digest


def test_a_list_is_kept_for_its_owner_alone_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    signed = LISTED.with_signatures({"Köln": FIRST.identity.sign(LISTED.statement)})
    write_members(tmp_path, signed)
    assert read_members(tmp_path) == signed
    assert (tmp_path / "members.json").stat().st_mode & 0o077 == 0
    for text in ("", "[]", "{}", '{"members": 1}', (tmp_path / "members.json").read_text()[:-40]):
        (tmp_path / "members.json").write_text(text)
        with pytest.raises(HospitalError, match=r"members\.json is damaged"):
            read_members(tmp_path)


def test_two_members_with_one_key_or_names_alike_are_no_list() -> None:
    keys, other = FIRST.public.of_member, SECOND.public.of_member
    for members in (
        {"A": keys, "B": replace(other, identity=keys.identity)},
        {"A": keys, "B": replace(other, node=keys.node)},
        {"A": keys, "B": replace(other, certificate=keys.certificate)},
        {"Ulm": keys, "ULM": other},
    ):
        with pytest.raises(WireError, match="two members"):
            facts_of(replace(LISTED, members=members).facts)


@pytest.mark.parametrize(
    ("days", "said"),
    [(31, ""), (29.5, "runs out on"), (0.5, "in less than a day"), (1.5, "in 1 day:"), (-1, "ran out on")],
)
def test_what_runs_out_is_said_from_thirty_days_before(days: float, said: str) -> None:
    warning = Expiry("this", AT + timedelta(days=days), "renew it").warning(AT)
    assert (said in warning and warning.endswith("renew it.")) if said else warning == ""


def test_the_most_urgent_warning_comes_first() -> None:
    found = [Expiry("late", AT + timedelta(days=20), "x"), Expiry("soon", AT + timedelta(days=2), "x")]
    assert [one.split()[0] for one in warnings(found, AT)] == ["soon", "late"]


def test_a_request_shows_no_secret() -> None:
    assert "private" not in repr(FIRST).lower() and "PRIVATE" not in json.dumps(REQUEST.table)
    assert isinstance(REQUEST, Request)
