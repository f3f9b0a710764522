"""Another user of the machine, who knows every port of a deployment and even its authority's certificate.

An open-source SuperLink has no accounts: whoever reached its port started runs, which is running code as its owner.
"""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep

import httpx
import psutil
import pytest
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE

from experiments.engines import _flower_program
from experiments.engines._run_secrets import RunSecrets
from experiments.engines.deployment import _Federation
from tests.ended import ended

FLWR = str(Path(sys.executable).parent / "flwr")
PATHS = (
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
    ("POST", "/v1/control/list-runs"),
    ("POST", "/v1/control/start-run"),
    ("POST", "/v1/control/register-node"),
    ("POST", "/v1/runtime/acquire-task"),
    ("POST", "/v1/fleet/register-node"),
    ("POST", "/v1/fleet/activate-node"),
    ("POST", "/v1/fleet/pull-messages"),
)
APP = """[project]
name = "intruder"
version = "0.1.0"
description = "x"
license = "Apache-2.0"
[tool.flwr.app]
publisher = "nobody"
[tool.flwr.app.components]
serverapp = "intruder:server"
clientapp = "intruder:client"
"""
CODE = """from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

server = ServerApp()
client = ClientApp()
"""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Federation]:
    """A SuperLink and one SuperNode, both of which listen; ended, and gone without a trace, afterwards."""
    with _Federation.started(tmp_path_factory.mktemp("run"), ["hospital-1"], 600, 600) as started:
        while len(ports(started)) < 2:
            assert all(process.poll() is None for process in started.processes)
            sleep(0.2)
        yield started
    assert not started.home.exists()
    assert all(process.poll() is not None for process in started.processes)


def family(federation: _Federation) -> list[psutil.Process]:
    parents = [psutil.Process(process.pid) for process in federation.processes]
    return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]


def listening(federation: _Federation) -> list[tuple[str, int]]:
    """Of all that live: while the federation starts, some of its programs come and go."""
    found = []
    for member in family(federation):
        with suppress(psutil.NoSuchProcess):
            found += member.net_connections("inet")
    return sorted({(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN})


def ports(federation: _Federation) -> list[int]:
    return [port for _, port in listening(federation)]


def self_made(federation: _Federation, folder: Path) -> ssl.SSLContext:
    """The certificate of another authority, as anybody can make one."""
    other = RunSecrets.create(folder / "other", 0, 600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(federation.secrets.authority)
    context.load_cert_chain(other.connecting)
    return context


def trusting(federation: _Federation, folder: Path) -> ssl.SSLContext:
    """Only the authority's certificate, which is no secret."""
    return ssl.create_default_context(cafile=str(federation.secrets.authority))


STRANGERS: dict[str, Callable[[_Federation, Path], ssl.SSLContext | bool]] = {
    "one that trusts anybody": lambda federation, folder: False,
    "one with the authority's certificate": trusting,
    "one with a certificate of its own making": self_made,
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_port_answers_a_stranger_whatever_the_path(federation: _Federation, tmp_path: Path, stranger: str) -> None:
    verify = STRANGERS[stranger](federation, tmp_path)
    for port in ports(federation):
        for method, path in PATHS:
            for scheme in ("https", "http"):
                url = f"{scheme}://127.0.0.1:{port}{path}"
                with (
                    httpx.Client(verify=verify, trust_env=False, timeout=60) as client,
                    pytest.raises(httpx.TransportError),
                ):
                    client.request(method, url, content=b"")


def test_nothing_listens_beyond_loopback(federation: _Federation) -> None:
    assert len(listening(federation)) == 2
    assert {address for address, _ in listening(federation)} == {"127.0.0.1"}


def as_stranger(federation: _Federation, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Flower's own command, as another user has it."""
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "found"\n\n[superlink.found]\naddress = "127.0.0.1:{federation.port}"\n'
        f'root-certificates = "{federation.secrets.authority}"\n'
    )
    environment = {**os.environ, "FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0"}
    environment |= {"FLWR_DISABLE_UPDATE_CHECK": "1", "NO_PROXY": "127.0.0.1"}
    return ended([FLWR, *arguments], env=environment, cwd=home)


def test_the_stock_command_of_a_stranger_lists_starts_and_registers_nothing(
    federation: _Federation, tmp_path: Path
) -> None:
    app = tmp_path / "intruder"
    app.mkdir()
    (app / "pyproject.toml").write_text(APP)
    (app / "intruder.py").write_text(CODE)
    nodes = federation._flower.say("supernode", "list")["nodes"]
    for command in (["ls"], ["run", str(app)], ["supernode", "register", f"{federation.secrets.node_keys[0]}.pub"]):
        done = as_stranger(federation, tmp_path, *command)
        assert done.returncode != 0, (command, done.stdout)
    assert federation._flower.say("ls")["runs"] == []
    assert [one["node-id"] for one in federation._flower.say("supernode", "list")["nodes"]] == [
        one["node-id"] for one in nodes
    ]


def test_a_node_without_a_registered_key_is_refused_even_with_the_runs_certificate(federation: _Federation) -> None:
    context = _flower_program.connecting_context(federation.secrets.authority, federation.secrets.connecting)
    with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
        base = f"https://127.0.0.1:{federation.port}"
        assert client.get(f"{base}/health").status_code == 200
        kind = dict.fromkeys(("content-type", "accept"), PROTOBUF_MEDIA_TYPE)
        for path in ("register-node", "activate-node", "pull-messages"):
            assert client.post(f"{base}/v1/fleet/{path}", headers=kind, content=b"").status_code == 401, path


def test_every_program_of_the_run_went_through_ours_and_shows_no_secret(federation: _Federation) -> None:
    commands = [" ".join(member.cmdline()) for member in family(federation)]
    assert len(commands) >= 4
    assert all("_flower_program.py" in command for command in commands), commands
    secret = [path for path in (federation.home / "secrets").iterdir() if path.suffix not in (".crt", ".pub")]
    lines = {line for path in secret for line in path.read_text().splitlines() if len(line) > 20}
    assert not [line for line in lines for command in commands if line in command]


def test_only_the_owner_can_read_what_is_secret(federation: _Federation) -> None:
    folder = federation.home / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (federation.home, folder, federation.programs)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
