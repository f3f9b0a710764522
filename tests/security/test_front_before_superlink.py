"""The front before a stock SuperLink: a hospital is itself there, and can be nobody else."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from client.node_settings import NodeSettings
from common.consortium import certificates as made
from common.files.access import write
from experiments.doctor.reaching import way
from server.front.settings import FrontSettings
from tests.security.fronts import (
    GIVE_UP_S,
    NOW,
    Consortium,
    Member,
    context_for,
    free_port,
    nginx_front,
    python_front,
)

PROGRAMS = Path(sys.executable).parent


@dataclass
class Federation:
    """Two hospitals registered at a SuperLink behind a front; a third has the same authority's certificate only."""

    port: int
    settings: FrontSettings
    consortium: Consortium
    alpha: Member
    beta: Member
    stranger: Member

    def client(self, member: Member, signing: Member | None = None, port: int = 0) -> FleetHttpClient:
        key = (signing or member).node
        signer = NodeAuthHttpInterceptor(key, key.public_key())
        context = context_for(self.consortium.authority, member)
        return FleetHttpClient(f"https://localhost:{port or self.port}", interceptors=[signer], verify=context)


def flower_environment(folder: Path) -> dict[str, str]:
    off = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": str(folder / "flwr")}
    return {**os.environ, **off}


def write_link_certificate(folder: Path) -> None:
    """The SuperLink's own authority: nobody else's business."""
    authority, key = made.new_authority("link", NOW), made.new_key()
    leaf = made.front_certificate(authority, ["127.0.0.1", "localhost"], key.public_key(), NOW)
    write(folder, "link/ca.crt", made.pem(authority.certificate))
    write(folder, "link/tls.crt", made.pem(leaf))
    write(folder, "link/tls.key", made.private_pem(key))


def superlink_command(folder: Path, port: int) -> list[str]:
    files = ["--ssl-ca-certfile", "ca.crt", "--ssl-certfile", "tls.crt", "--ssl-keyfile", "tls.key"]
    files = [one if one.startswith("--") else str(folder / "link" / one) for one in files]
    own = ["--enable-supernode-auth", "--host", "127.0.0.1", "--port", str(port), "--isolation", "process"]
    return [str(PROGRAMS / "flower-superlink"), *files, *own, "--disable-runtime-dependency-installation"]


def until_up(folder: Path, port: int, process: subprocess.Popen[Any]) -> None:
    context = ssl.create_default_context(cafile=folder / "link/ca.crt")
    ends = time.monotonic() + GIVE_UP_S
    while True:
        assert process.poll() is None
        assert time.monotonic() < ends
        try:
            httpx.get(f"https://127.0.0.1:{port}/", verify=context)
        except httpx.HTTPError:
            time.sleep(0.1)
            continue
        return


def register(folder: Path, port: int, member: Member) -> None:
    config = f'[superlink]\ndefault = "link"\n[superlink.link]\naddress = "127.0.0.1:{port}"\n'
    write(folder, "flwr/config.toml", f'{config}root-certificates = "{folder}/link/ca.crt"\n')
    key = folder / f"node-keys/{member.name}.pub"
    command = [str(PROGRAMS / "flwr"), "supernode", "register", str(key)]
    subprocess.run(command, env=flower_environment(folder), check=True, capture_output=True, timeout=GIVE_UP_S)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    consortium = Consortium(tmp_path_factory.mktemp("coordinator"))
    consortium.write_front()
    write_link_certificate(consortium.folder)
    members = [consortium.member(name) for name in ("alpha", "beta", "stranger")]
    port = free_port()
    with (consortium.folder / "superlink.log").open("wb") as log:
        command = superlink_command(consortium.folder, port)
        process = subprocess.Popen(command, env=flower_environment(consortium.folder), stdout=log, stderr=log)
        try:
            until_up(consortium.folder, port, process)
            for member in members[:2]:
                consortium.register(member)
                register(consortium.folder, port, member)
            settings = FrontSettings(listen="127.0.0.1", port=0, link=f"https://127.0.0.1:{port}")
            with python_front(consortium.folder, settings) as front:
                yield Federation(front, settings, consortium, *members)
        finally:
            process.kill()
            process.wait()


def activate(client: FleetHttpClient, member: Member) -> int:
    key = made.node_bytes(member.node.public_key())
    return int(client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=30)).node_id)


def status_of(call: Callable[[], object]) -> int:
    try:
        call()
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


def heartbeat(client: FleetHttpClient, node: int) -> object:
    request = SendNodeHeartbeatRequest(heartbeat_interval=30)
    request.node.node_id = node
    return client.SendNodeHeartbeat(request)


def pull(client: FleetHttpClient, node: int) -> object:
    request = PullMessagesRequest()
    request.node.node_id = node
    return client.PullMessages(request)


def push(client: FleetHttpClient, node: int, sender: int) -> object:
    request = PushMessagesRequest()
    request.node.node_id = node
    request.messages_list.add().metadata.src_node_id = sender
    return client.PushMessages(request)


def test_a_hospital_is_itself_and_nobody_else(federation: Federation) -> None:
    with federation.client(federation.alpha) as alpha, federation.client(federation.beta) as beta:
        a, b = activate(alpha, federation.alpha), activate(beta, federation.beta)
        assert a != b
        assert heartbeat(alpha, a).success  # type: ignore[attr-defined]
        assert not pull(alpha, a).messages_list  # type: ignore[attr-defined]
        for call in (heartbeat, pull):
            assert status_of(lambda call=call: call(beta, a)) == 401
        assert status_of(lambda: push(beta, a, a)) == 401
        assert status_of(lambda: push(beta, b, a)) == 403
        assert status_of(lambda: activate(beta, federation.alpha)) == 401


def test_ones_certificate_with_anothers_key_is_refused(federation: Federation) -> None:
    with federation.client(federation.beta, signing=federation.alpha) as crossed:
        assert status_of(lambda: activate(crossed, federation.alpha)) == 403


def test_a_certificate_alone_makes_no_member(federation: Federation) -> None:
    key = made.node_bytes(federation.stranger.node.public_key())
    with federation.client(federation.stranger) as stranger:
        assert status_of(lambda: activate(stranger, federation.stranger)) >= 400
        assert status_of(lambda: stranger.RegisterNode(RegisterNodeFleetRequest(public_key=key))) == 404


@pytest.mark.parametrize("path", ["/v1/control/list-runs", "/v1/runtime/acquire-task", "/docs", "/health", "/"])
def test_nothing_else_of_the_superlink_is_reached(federation: Federation, path: str) -> None:
    context = context_for(federation.consortium.authority, federation.alpha)
    for method in ("GET", "POST"):
        assert httpx.request(method, f"https://localhost:{federation.port}{path}", verify=context).status_code == 404


def test_nginx_stands_before_the_same_superlink(federation: Federation) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("needs Debian's nginx")
    settings = replace(federation.settings, port=free_port())
    with nginx_front(federation.consortium.folder, settings) as port:
        with federation.client(federation.alpha, port=port) as alpha:
            assert status_of(lambda: activate(alpha, federation.alpha)) in (
                200,
                412,
            )  # active already
        with federation.client(federation.beta, signing=federation.alpha, port=port) as crossed:
            assert status_of(lambda: activate(crossed, federation.alpha)) == 403


def hospital_folder(federation: Federation, folder: Path, node: Member) -> Path:
    """Of alpha's certificate, and of a node's key."""
    chain = federation.alpha.chain.read_bytes()
    leaf, _, key = chain.partition(b"-----BEGIN PRIVATE")
    write(folder, "keys/tls.crt", leaf)
    write(folder, "keys/tls.key", b"-----BEGIN PRIVATE" + key)
    write(folder, "keys/authority.crt", made.pem(federation.consortium.authority.certificate))
    write(folder, "keys/node.key", made.openssh_private(node.node))
    return folder


def test_the_doctor_hears_whether_a_hospital_is_let_through(federation: Federation, tmp_path: Path) -> None:
    settings = NodeSettings("alpha", f"https://localhost:{federation.port}")
    found = list(way(hospital_folder(federation, tmp_path, federation.alpha), settings))
    assert [one.status for one in found] == ["ok"] * 5
    found = list(way(hospital_folder(federation, tmp_path, federation.beta), settings))
    assert [one.what for one in found if one.status == "fail"] == ["http"]
    assert "refuses the pair" in found[3].said
