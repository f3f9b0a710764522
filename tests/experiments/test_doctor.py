"""`wardround doctor` on folders that were really made, with one thing after another broken."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from client.approvals import approval_now, keep_approval
from common.consortium import certificates as certs
from common.files.access import remove, write
from experiments.cli import cli
from server.front.settings import FrontSettings
from tests.security.fronts import free_port, python_front, recorder

Findings = dict[str, dict[str, Any]]


@dataclass
class Made:
    """A consortium of two, made with its own commands."""

    hospital: Path
    coordinator: Path
    port: int


def ran(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [*words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("consortium")
    port = free_port()
    address = f"https://localhost:{port}"
    coordinator = place / "coordinator"
    ran("consortium", "create", "Test", "--folder", str(coordinator), "--host", "localhost", "--port", str(port))
    for name in ("north", "south"):
        ran("node", "enrol", name, "--folder", str(place / name), "--coordinator", address)
    requests = [str(next((place / name).glob("*request*"))) for name in ("north", "south")]
    ran("consortium", "sign", *requests, "--folder", str(coordinator))
    ran("node", "accept", "--folder", str(place / "north"), str(coordinator / "replies/north.reply.json"))
    return Made(place / "north", coordinator, port)


@pytest.fixture
def made(enrolled: Made, tmp_path: Path) -> Made:
    for one in (enrolled.hospital, enrolled.coordinator):
        shutil.copytree(one, tmp_path / one.name)
    return Made(tmp_path / "north", tmp_path / "coordinator", enrolled.port)


def examined(folder: Path) -> Findings:
    """By what was looked at; of several of one name, the worst."""
    result = CliRunner().invoke(cli, ["doctor", "--folder", str(folder), "--json"])
    found: Findings = {"exit": {"code": result.exit_code}}
    for one in json.loads(result.stdout)["findings"]:
        assert bool(one["remedy"]) == (one["status"] != "ok")
        if one["status"] != "ok" or one["what"] not in found:
            found[one["what"]] = one
    return found


def failed(found: Findings) -> set[str]:
    return {what for what, one in found.items() if one.get("status") == "fail"}


@contextmanager
def front(made: Made) -> Iterator[None]:
    with recorder() as behind:
        settings = FrontSettings(listen="127.0.0.1", port=made.port, link=f"http://127.0.0.1:{behind.port}")
        with python_front(made.coordinator, settings):
            yield


def test_a_hospital_that_is_all_well_but_has_no_way_out_fails_for_now(made: Made) -> None:
    found = examined(made.hospital)
    assert failed(found) == {"tcp"}
    assert found["exit"]["code"] == 1
    assert found["members"]["status"] == found["compared"]["status"] == "warn"
    assert "coordinator, south" in found["compared"]["said"]
    assert str(made.port) in found["tcp"]["remedy"]


def test_a_hospital_that_is_let_through_hears_of_every_step(made: Made) -> None:
    with front(made):
        found = examined(made.hospital)
    assert not failed(found)
    assert found["exit"]["code"] == 0
    assert [found[what]["status"] for what in ("dns", "tcp", "tls", "clock")] == ["ok"] * 4
    assert "asks for no signature" in found["http"]["said"]  # the stand-in behind the front does not


def test_lines_are_for_people(made: Made) -> None:
    lines = ran("doctor", "--folder", str(made.hospital), code=1).splitlines()
    assert any(line.startswith("ok    binding: ") for line in lines)
    assert any(line.startswith("fail  tcp: ") and " -> " in line for line in lines)


def other_key(made: Made) -> None:
    write(made.hospital, "keys/tls.key", certs.private_pem(certs.new_key()))


def other_node_key(made: Made) -> None:
    write(made.hospital, "keys/node.key", certs.openssh_private(certs.new_key()))


def other_authority(made: Made) -> None:
    other = certs.new_authority("Other", datetime.now(UTC))
    write(made.hospital, "keys/authority.crt", certs.pem(other.certificate))


def authority_of(made: Made) -> certs.Authority:
    key = certs.read_private_key((made.coordinator / "authority/ca.key").read_bytes())
    return certs.Authority(key, certs.read_certificate((made.coordinator / "authority/ca.crt").read_bytes()))


def not_yet_valid(made: Made) -> None:
    tls = certs.read_private_key((made.hospital / "keys/tls.key").read_bytes())
    node = certs.read_private_key((made.hospital / "keys/node.key").read_bytes())
    at = datetime.now(UTC) + timedelta(days=5)
    node_key = certs.node_bytes(node.public_key())
    leaf = certs.hospital_certificate(authority_of(made), "north", tls.public_key(), node_key, at)
    write(made.hospital, "keys/tls.crt", certs.pem(leaf))


def other_name(made: Made) -> None:
    text = (made.hospital / "node.toml").read_text()
    write(made.hospital, "node.toml", text.replace("north", "west"))


def readable_by_all(made: Made) -> None:
    (made.hospital / "keys/tls.key").chmod(0o644)


def damaged_list(made: Made) -> None:
    write(made.hospital, "members.json", "{}")


def no_certificate(made: Made) -> None:
    remove(made.hospital, "keys/tls.crt")


def no_settings(made: Made) -> None:
    write(made.hospital, "node.toml", "site = 1")


BROKEN: dict[str, tuple[Callable[[Made], None], set[str]]] = {
    "another TLS key": (other_key, {"certificate"}),
    "another node key": (other_node_key, {"binding", "membership"}),
    "another authority": (other_authority, {"chain"}),
    "not yet valid": (not_yet_valid, {"chain"}),
    "another name": (other_name, {"name", "membership"}),
    "readable by all": (readable_by_all, {"permissions"}),
    "a damaged member list": (damaged_list, {"members", "membership"}),
    "no certificate": (no_certificate, {"certificate", "membership"}),
    "no settings": (no_settings, {"settings"}),
}


@pytest.mark.parametrize(("spoil", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_in_a_hospital_is_named(made: Made, spoil: Callable[[Made], None], expected: set[str]) -> None:
    spoil(made)
    found = examined(made.hospital)
    assert failed(found) - {"tcp", "way"} == expected
    assert found["exit"]["code"] == 78


def test_a_study_that_was_approved_for_another_program_is_named(made: Made) -> None:
    keep_approval(approval_now('{"a": 1}', "Old", {}), made.hospital)
    assert examined(made.hospital)["approvals"]["status"] == "ok"
    keep_approval(replace(approval_now('{"b": 1}', "New", {}), program="0" * 64), made.hospital)
    found = examined(made.hospital)["approval"]
    assert found["status"] == "warn"
    assert "New was approved for program 000000000000" in found["said"]


def set_settings(made: Made, **values: str) -> None:
    lines = {"site": "north", "coordinator": f"https://localhost:{made.port}", **values}
    write(made.hospital, "node.toml", "".join(f'{name} = "{value}"\n' for name, value in lines.items()))


def test_a_host_without_an_address_is_a_matter_of_dns(made: Made) -> None:
    set_settings(made, coordinator="https://no-such-host.invalid:8443")
    assert failed(examined(made.hospital)) == {"dns"}


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """Says one thing to the first who comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            taken, _ = server.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("status", "word"), [(407, "password"), (403, "allow CONNECT"), (502, "reaches")])
def test_a_proxy_that_does_not_pass_is_named(made: Made, status: int, word: str) -> None:
    with listening(f"HTTP/1.1 {status} No\r\n\r\n".encode()) as port:
        set_settings(made, proxy=f"http://127.0.0.1:{port}")
        found = examined(made.hospital)
    assert failed(found) == {"tunnel"}
    assert word in found["tunnel"]["remedy"]


def test_a_program_that_is_no_front_is_a_matter_of_tls(made: Made) -> None:
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        set_settings(made, coordinator=f"https://localhost:{port}")
        assert failed(examined(made.hospital)) == {"tls"}


def test_a_front_by_another_name_is_a_matter_of_tls(made: Made) -> None:
    set_settings(made, coordinator=f"https://127.0.0.1:{made.port}")
    with front(made):
        found = examined(made.hospital)
    assert failed(found) == {"tls"}
    assert "127.0.0.1" in found["tls"]["remedy"]


def test_a_hospital_that_was_revoked_hears_it(made: Made) -> None:
    ran("consortium", "revoke", "north", "--folder", str(made.coordinator))
    with front(made):
        found = examined(made.hospital)
    assert failed(found) == {"http"}
    assert "revoked" in found["http"]["said"]


def run_out(made: Made) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    listed = certs.revocation_list(authority_of(made), {}, 9, at - timedelta(hours=1), days=0)
    write(made.coordinator, "front/crl.pem", certs.pem(listed))


def test_a_revocation_list_that_ran_out_is_named_on_both_sides(made: Made) -> None:
    run_out(made)
    with front(made):
        there, here = examined(made.hospital), examined(made.coordinator)
    assert "revocation list" in there["http"]["said"]
    assert "renew --front" in there["http"]["remedy"]
    assert "ran out" in here["the front's revocation list"]["said"]
    assert here["exit"]["code"] == 78


def test_a_coordinator_that_is_all_well_hears_where_its_front_is(made: Made) -> None:
    found = examined(made.coordinator)
    assert not failed(found)
    assert "does not run" in found["front"]["said"]
    assert found["authority"]["status"] == "warn"
    with front(made):
        assert "TLSv1.3" in examined(made.coordinator)["front"]["said"]


def test_a_port_that_another_program_has_is_named(made: Made) -> None:
    with listening(b"SSH-2.0-x\r\n") as port:
        text = (made.coordinator / "server.toml").read_text().replace(f"port = {made.port}", f"port = {port}")
        write(made.coordinator, "server.toml", text)
        found = examined(made.coordinator)
    assert failed(found) == {"front"}


def foreign_list(made: Made) -> None:
    other = certs.new_authority("Other", datetime.now(UTC))
    write(made.coordinator, "front/crl.pem", certs.pem(certs.revocation_list(other, {}, 1, datetime.now(UTC))))


def node_key(name: str) -> Callable[[Made], object]:
    key = certs.openssh_public(certs.new_key().public_key())
    return lambda made: write(made.coordinator, f"node-keys/{name}.pub", key)


COORDINATOR: dict[str, tuple[Callable[[Made], object], str, str]] = {
    "a node key that is gone": (lambda made: remove(made.coordinator, "node-keys/north.pub"), "node keys", "fail"),
    "a stranger's node key": (node_key("x"), "node keys", "warn"),
    "another node key": (node_key("north"), "node keys", "fail"),
    "a foreign revocation list": (foreign_list, "certificate", "fail"),
    "a front without its key": (lambda made: remove(made.coordinator, "front/tls.key"), "certificate", "fail"),
    "wrong settings": (lambda made: write(made.coordinator, "server.toml", "[front]\nx = 1"), "settings", "fail"),
}


@pytest.mark.parametrize(("spoil", "what", "status"), COORDINATOR.values(), ids=COORDINATOR)
def test_what_is_broken_at_a_coordinator_is_named(
    made: Made, spoil: Callable[[Made], object], what: str, status: str
) -> None:
    spoil(made)
    assert examined(made.coordinator)[what]["status"] == status


def test_a_folder_of_neither_is_said_so(tmp_path: Path) -> None:
    assert "neither" in examined(tmp_path)["folder"]["said"]
    assert examined(tmp_path / "absent")["exit"]["code"] == 78


def test_a_hospitals_data_are_looked_for(made: Made) -> None:
    settings = made.hospital / "node.toml"
    own = settings.read_text()
    assert examined(made.hospital)["data"]["status"] == "warn"
    settings.write_text(own.replace('data_folder = ""', 'data_folder = "cases"'))
    found = examined(made.hospital)["data"]
    assert found["status"] == "fail" and "there is no folder" in str(found["said"])
    (made.hospital / "cases").mkdir()
    assert examined(made.hospital)["data"]["status"] == "ok"


def test_a_rehearsal_is_said_to_be_one(made: Made) -> None:
    settings = made.hospital / "node.toml"
    settings.write_text(settings.read_text().replace("rehearsal = false", "rehearsal = true"))
    assert "rehearsal = true" in str(examined(made.hospital)["settings"]["said"])
