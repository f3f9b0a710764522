"""Certificates of a consortium, judged by OpenSSL as well: for whom they are, and for whom they are not."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from hypothesis import given
from hypothesis import strategies as st

from common.consortium import certificates as made
from common.errors import WireError
from tests.ended import ended

AT = made.now()
AUTHORITY = made.new_authority("Aorta", AT)
TLS, NODE = made.new_key(), made.new_key()
LEAF = made.hospital_certificate(AUTHORITY, "Köln", TLS.public_key(), made.node_bytes(NODE.public_key()), AT)
FRONT = made.front_certificate(AUTHORITY, ["front.example", "127.0.0.1"], TLS.public_key(), AT)


def openssl(folder: Path, leaf: bytes, *options: str) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (folder / "ca.pem").write_bytes(made.pem(AUTHORITY.certificate))
    (folder / "leaf.pem").write_bytes(leaf)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", *options, "leaf.pem"]
    done = ended(command, cwd=folder)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("certificate", "right", "wrong"), [(LEAF, "sslclient", "sslserver"), (FRONT, "sslserver", "sslclient")]
)
def test_openssl_takes_each_for_its_own_purpose_alone(
    certificate: made.x509.Certificate, right: str, wrong: str, tmp_path: Path
) -> None:
    assert "leaf.pem: OK" in openssl(tmp_path, made.pem(certificate), "-purpose", right)
    assert "purpose" in openssl(tmp_path, made.pem(certificate), "-purpose", wrong)


def test_openssl_refuses_what_the_revocation_list_names_and_takes_the_rest(tmp_path: Path) -> None:
    revoked = made.revocation_list(AUTHORITY, {LEAF.serial_number: AT}, 7, AT)
    (tmp_path / "crl.pem").write_bytes(made.pem(revoked))
    checked = ("-crl_check", "-CRLfile", "crl.pem")
    assert "certificate revoked" in openssl(tmp_path, made.pem(LEAF), *checked)
    assert "leaf.pem: OK" in openssl(tmp_path, made.pem(FRONT), *checked)
    later = str(int((AT + timedelta(days=made.REVOCATION_DAYS + 1)).timestamp()))
    assert "CRL has expired" in openssl(tmp_path, made.pem(FRONT), *checked, "-attime", later)


def test_the_authority_can_sign_no_further_authority(tmp_path: Path) -> None:
    lower = made.new_authority("Lower", AT)
    builder = (
        made._builder(
            lower.certificate.subject,
            AUTHORITY.certificate.subject,
            lower.key.public_key(),
            AT - made.EARLY,
            AT + timedelta(days=9),
        )
        .add_extension(made.x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(made.key_usage(signs_certificates=True), critical=True)
        .add_extension(made._issuer_key(AUTHORITY), critical=False)
    )
    between = made.Authority(lower.key, builder.sign(AUTHORITY.key, made.SHA384()))
    leaf = made.hospital_certificate(between, "Ulm", TLS.public_key(), b"node", AT)
    (tmp_path / "between.pem").write_bytes(made.pem(between.certificate))
    assert "path length constraint" in openssl(tmp_path, made.pem(leaf), "-untrusted", "between.pem")
    with pytest.raises(WireError):
        made.demand_hospital(leaf, AUTHORITY.certificate, AT)


def test_a_hospitals_names_its_node_by_the_very_bytes_that_flower_sends() -> None:
    assert made.node_bytes(NODE.public_key()) == public_key_to_bytes(NODE.public_key())
    assert made.node_uri_of(LEAF) == made.node_uri(public_key_to_bytes(NODE.public_key()))
    assert made.common_name(LEAF) == "Köln"
    with pytest.raises(WireError):
        made.node_uri_of(FRONT)


def test_a_node_uri_is_the_digest_worked_out_by_hand() -> None:
    """`printf node | sha256sum`."""
    by_hand = "545ea538461003efdc8c81c244531b003f6f26cfccf6c0073b3239fdedf49446"
    assert made.node_uri(b"node") == f"urn:wardround:node:{by_hand}"


@pytest.mark.parametrize("days", [-2, 729, 731])
def test_a_certificate_counts_from_a_day_before_it_was_made_until_its_end(days: int) -> None:
    at = AT + timedelta(days=days)
    if days == 729:
        made.demand_hospital(LEAF, AUTHORITY.certificate, at)
        made.demand_front(FRONT, AUTHORITY.certificate, "front.example", at)
        return
    with pytest.raises(WireError):
        made.demand_hospital(LEAF, AUTHORITY.certificate, at)
    with pytest.raises(WireError):
        made.demand_front(FRONT, AUTHORITY.certificate, "front.example", at)


@pytest.mark.parametrize(
    "check",
    [
        lambda: made.demand_hospital(FRONT, AUTHORITY.certificate, AT),
        lambda: made.demand_front(LEAF, AUTHORITY.certificate, "front.example", AT),
        lambda: made.demand_front(FRONT, AUTHORITY.certificate, "other.example", AT),
        lambda: made.demand_hospital(LEAF, made.new_authority("Aorta", AT).certificate, AT),
        lambda: made.demand_hospital(LEAF, LEAF, AT),
        lambda: made.demand_hospital(AUTHORITY.certificate, AUTHORITY.certificate, AT),
    ],
)
def test_what_is_for_another_use_or_of_another_authority_is_refused(check: Callable[[], None]) -> None:
    with pytest.raises(WireError):
        check()


def test_nothing_outlives_its_authority() -> None:
    short = made.new_authority("Short", AT, days=10)
    leaf = made.hospital_certificate(short, "Ulm", TLS.public_key(), b"node", AT)
    revoked = made.revocation_list(short, {}, 1, AT)
    end = short.certificate.not_valid_after_utc
    assert leaf.not_valid_after_utc == revoked.next_update_utc == end


def test_a_python_server_that_checks_certificates_and_revocations_loads_all_of_it(tmp_path: Path) -> None:
    revoked = made.revocation_list(AUTHORITY, {LEAF.serial_number: AT}, 7, AT)
    (tmp_path / "both.pem").write_bytes(made.pem(AUTHORITY.certificate) + made.pem(revoked))
    (tmp_path / "front.pem").write_bytes(made.pem(FRONT) + made.private_pem(TLS))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(tmp_path / "both.pem")
    context.load_cert_chain(tmp_path / "front.pem")
    assert context.cert_store_stats() == {"x509": 1, "crl": 1, "x509_ca": 1}


def test_a_revocation_list_of_another_authority_is_not_taken() -> None:
    foreign = made.revocation_list(made.new_authority("Aorta", AT), {}, 1, AT)
    with pytest.raises(WireError):
        made.read_revocations(made.pem(foreign), AUTHORITY.certificate)
    own = made.revocation_list(AUTHORITY, {5: AT}, 3, AT)
    assert made.read_revocations(made.pem(own), AUTHORITY.certificate) == own


def test_keys_are_read_back_from_each_of_their_forms_and_other_curves_are_not() -> None:
    for data in (made.private_pem(NODE), made.openssh_private(NODE)):
        assert made.read_private_key(data).private_numbers() == NODE.private_numbers()
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(WireError):
        made.read_private_key(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(WireError):
        made.read_public_key(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@given(at=st.integers(0, len(made.pem(LEAF)) - 1), byte=st.integers(0, 255))
def test_a_damaged_certificate_is_never_taken_for_another_and_never_raises_anything_else(at: int, byte: int) -> None:
    data = bytearray(made.pem(LEAF))
    data[at] = byte
    try:
        found = made.read_certificate(bytes(data))
        made.demand_hospital(found, AUTHORITY.certificate, datetime.fromtimestamp(AT.timestamp(), AT.tzinfo))
    except WireError:
        return
    assert found == LEAF
