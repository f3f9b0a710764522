"""Ray on several machines, played by two raylets on this one: the first has no core, the second does the work."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from flwr.serverapp import ServerApp

from common.errors import EngineError
from common.study.study import Study
from experiments.engines import simulation
from experiments.engines._quiet import run_quietly
from experiments.engines.simulation import Simulation
from tests.ended import ended

ROOT = Path(__file__).parents[2]
DRILLS = pytest.mark.skipif("WARDROUND_DRILLS" not in os.environ, reason="two raylets take some 20 s of a core")
CLUSTER = """
import json, os, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
cluster.add_node(num_cpus=1)
os.environ["RAY_ADDRESS"] = cluster.address
try:
    from common.study.study import parse
    from experiments.engines._quiet import run_quietly

    about = run_quietly(parse(Path(sys.argv[1]).read_text()), Path(sys.argv[2])).about
    print("TOLD " + json.dumps({name: about[name] for name in ("model_sha256", "time", "seconds")}))
finally:
    cluster.shutdown()
"""


@DRILLS
def test_the_second_machine_of_a_cluster_gives_the_bit_identical_model(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="the simulation extra is not installed")
    file = tmp_path / "study.toml"
    file.write_text(tiny("engine=simulation").text)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "7" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    done = ended(
        [sys.executable, "-c", CLUSTER, str(file), str(tmp_path / "ray")],
        env={**os.environ, **token, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")] or [done.stdout + done.stderr]
    told = json.loads(line.removeprefix("TOLD "))
    alone = run_quietly(tiny("engine=inline"), tmp_path / "inline").about
    assert told["model_sha256"] == alone["model_sha256"]
    assert 0 < told["time"]["training"] < told["seconds"]


@pytest.mark.parametrize(
    ("option", "variable", "joined"),
    [
        ("", "", ""),
        ("", "b:6379", "b:6379"),
        ("", "local", ""),
        ("a:1", "b:1", "a:1"),
    ],
)
def test_a_cluster_is_joined_by_option_or_by_rays_own_variable(
    option: str, variable: str, joined: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(simulation.ADDRESS, variable)
    engine = Simulation(address=option)
    assert engine.joined == joined
    assert engine._cluster().get("address") == (joined or "local")
    assert ("num_cpus" in engine._cluster()) == (not joined)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1:ray", "127.0.0.1:99999999", "auto"])
def test_a_cluster_that_is_not_there_is_told_at_once(address: str, tmp_path: Path) -> None:
    engine = Simulation(address=address)
    with pytest.raises(EngineError, match=r"no Ray cluster answers at '(127\.0\.0\.1:|auto).*RAY_ADDRESS"):
        engine.run(server_app=ServerApp(), client_app="client.app:app", sites=["a"], run_config={}, folder=tmp_path)


class Open(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers whoever asks, as a Ray that was started without a token."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def test_a_cluster_that_runs_anybodys_code_is_joined_where_that_is_said_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = grpc.server(ThreadPoolExecutor(1), handlers=(Open(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        for mode in (None, "token"):
            monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
            if mode:
                monkeypatch.setenv("RAY_AUTH_MODE", mode)
            with pytest.raises(EngineError, match="asks nobody for a token"):
                simulation._demand_cluster(address)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        simulation._demand_cluster(address)
    finally:
        server.stop(None)
