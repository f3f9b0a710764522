"""What a deployment keeps from other users, and what of Flower it leans on."""

from __future__ import annotations

import stat
import warnings
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from flwr.supercore.protobuf.client import ProtobufClient

from common.errors import EngineError
from experiments.engines import _flower_program
from experiments.engines._flower_commands import FlowerCommands
from experiments.engines._run_secrets import RunSecrets
from experiments.engines.deployment import _Federation


@pytest.fixture
def secrets(tmp_path: Path) -> RunSecrets:
    return RunSecrets.create(tmp_path / "secrets", 2, 3600)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_certificates_are_of_one_authority_for_loopback_one_purpose_and_a_bounded_time(secrets: RunSecrets) -> None:
    authority = certificate(secrets.authority)
    purposes = {
        secrets.listening_certificate: ExtendedKeyUsageOID.SERVER_AUTH,
        secrets.connecting: ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    for path, purpose in purposes.items():
        found = certificate(path)
        found.verify_directly_issued_by(authority)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1")]
        assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert datetime.now(UTC) < found.not_valid_after_utc <= datetime.now(UTC) + timedelta(hours=1)


def test_the_authoritys_private_key_is_in_no_file_and_no_file_is_anybody_elses(secrets: RunSecrets) -> None:
    folder = secrets.authority.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        *("authority.crt", "connecting.pem", "listening.crt", "listening.key"),
        *("node-0", "node-0.pub", "node-1", "node-1.pub"),
    ]
    assert b"PRIVATE" not in secrets.authority.read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_every_run_and_every_node_has_keys_of_its_own(secrets: RunSecrets, tmp_path: Path) -> None:
    other = RunSecrets.create(tmp_path / "other", 2, 3600)
    paths = [(one, other.authority.parent / one.name) for one in secrets.authority.parent.iterdir()]
    assert all(one.read_bytes() != another.read_bytes() for one, another in paths)
    publics = []
    for path in secrets.node_keys:
        key = load_ssh_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.public_key() == load_ssh_public_key(path.with_suffix(".pub").read_bytes())
        publics.append(key.public_key().public_numbers())
    assert publics[0] != publics[1]


def test_secrets_are_never_put_where_something_is_already(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        RunSecrets.create(tmp_path, 1, 3600)


def test_flower_is_the_one_whose_insides_this_leans_on() -> None:
    assert version("flwr") == "1.41.0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Flower's command line uses what Typer deprecates.
        assert all(callable(_flower_program.entry_point(name)) for name in _flower_program.PROGRAMS)


def test_a_server_without_tls_and_a_client_without_tls_are_refused(
    secrets: RunSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn.Config, "__init__", uvicorn.Config.__init__)
    monkeypatch.setattr(ProtobufClient, "__init__", ProtobufClient.__init__)
    _flower_program.demand_certificates(secrets.authority)
    _flower_program.present_certificate(secrets.authority, secrets.connecting)
    with pytest.raises(RuntimeError, match="listen without TLS"):
        uvicorn.Config(app="nothing:here")
    with pytest.raises(RuntimeError, match="connect without TLS"):
        ProtobufClient("http://127.0.0.1:1")
    own = {"ssl_certfile": secrets.listening_certificate, "ssl_keyfile": secrets.listening_key}
    demanding: Any = uvicorn.Config(app="nothing:here", **own)
    assert demanding.is_ssl and str(demanding.ssl_ca_certs) == str(secrets.authority)


def test_the_status_is_that_of_our_run_and_of_no_other(
    secrets: RunSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = _Federation(tmp_path, tmp_path, 0, secrets, tmp_path)
    runs = [{"run-id": "8", "status": "finished:completed"}, {"run-id": "7", "status": "running"}]
    asked: list[tuple[str, ...]] = []

    def said(*arguments: str) -> dict[str, Any]:
        asked.append(arguments)
        return {"runs": runs}

    monkeypatch.setattr(FlowerCommands, "say", lambda self, *arguments: said(*arguments))
    assert federation._status("7") == ("running", "")
    assert asked[0][:4] == ("ls", "wardround", "--run-id", "7")
    with pytest.raises(EngineError, match="knows no run 9"):
        federation._status("9")


def test_flowers_own_switches_and_proxies_are_not_inherited(
    secrets: RunSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLWR_INTERNAL_GRPC_CONTROL_API", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.1:8080")
    environment = FlowerCommands(tmp_path, tmp_path, secrets).environment(tmp_path)
    assert "FLWR_INTERNAL_GRPC_CONTROL_API" not in environment
    assert environment["NO_PROXY"] == environment["no_proxy"] == "127.0.0.1,localhost,::1"
    assert not [value for value in environment.values() if "PRIVATE KEY" in value]
