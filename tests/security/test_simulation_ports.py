"""Ray listens on every address of the machine, and runs the code of whoever reaches it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from flwr.serverapp import ServerApp

from experiments.engines import simulation
from experiments.engines.simulation import Simulation, patient
from tests.ended import ended

ROOT = Path(__file__).parents[2]
PROBE = """
import warnings
from functools import partial
import grpc
import ray
from experiments.engines.simulation import _demand_token, patient

_demand_token()

warnings.simplefilter("ignore")
start = partial(ray.init, num_cpus=0, include_dashboard=False, log_to_driver=False)
address = patient(start, ray.shutdown).address_info["gcs_address"]
try:
    with grpc.insecure_channel(address) as channel:
        for service in ("NodeInfo|GetAllNodeInfo", "JobInfo|AddJob", "InternalKV|InternalKVGet"):
            try:
                channel.unary_unary("/ray.rpc." + service.replace("|", "GcsService/"))(b"", timeout=60)
                print("ANSWERED")
            except grpc.RpcError as error:
                print(error.code().name)
finally:
    ray.shutdown()
"""


def test_ray_refuses_whoever_has_no_token() -> None:
    pytest.importorskip("ray", reason="the simulation extra is not installed")
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment = {**own, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    done = ended([sys.executable, "-c", PROBE], env=environment, cwd=ROOT)
    said = [line for line in done.stdout.splitlines() if line.isupper()]
    assert said == ["UNAUTHENTICATED"] * 3, done.stderr


def test_a_cluster_that_was_slow_to_start_is_started_again_and_another_fault_is_told_at_once() -> None:
    said = [Exception("The current node timed out during startup. This could happen"), OSError("no room")]
    ended: list[None] = []

    def start() -> None:
        raise said[len(ended)]

    with pytest.raises(OSError, match="no room"):
        patient(start, lambda: ended.append(None))
    assert len(ended) == 1


@pytest.mark.parametrize("address", ["", "10.0.0.1:6379"])
def test_a_cluster_of_our_own_demands_a_token_and_anothers_is_left_as_it_is(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", simulation.NICENESS):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(simulation, "find_spec", lambda name: object())
    monkeypatch.setattr(simulation, "_demand_cluster", lambda address: None)
    monkeypatch.setattr(Simulation, "_simulate", lambda *_: seen.append(dict(os.environ)))
    monkeypatch.setattr(simulation._Outcome, "settle", lambda self: None)
    Simulation(address=address).run(
        server_app=ServerApp(), client_app="client.app:app", sites=["a"], run_config={}, folder=tmp_path
    )
    (environment,) = seen
    assert ("RAY_AUTH_MODE" in environment) == (not address)
    assert len(environment.get("RAY_AUTH_TOKEN", "")) == (0 if address else 64)
    assert environment.get(simulation.NICENESS, "") == ("" if address else "0")
