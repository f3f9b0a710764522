"""Flower's simulation runtime on Ray: hundreds of hospitals, and many machines."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from socket import create_connection
from threading import current_thread, main_thread
from typing import Any

import grpc
from flwr.app import ConfigRecordValues, Context, Message
from flwr.serverapp import Grid, ServerApp

from client.node import load_app
from client.protocol_context import SIMULATED_FOLDERS
from common.data.cases import SiteId
from common.errors import EngineError, StudyError, WardroundError
from common.learning.device import asked, chosen, described, gpus
from experiments.engine import Engine, RunConfig, quieten, usable_cores
from experiments.engines._interrupt import Remembered, remembered_interrupt
from experiments.engines._local_grid import hospital_folder

REQUESTS_AN_ACTOR = 4
STARTS = 4
NICENESS = "RAY_worker_niceness"
"""Ray's own is 15: beside any other work a hospital then gets hardly a core, and answers after its time."""
ADDRESS = "RAY_ADDRESS"
"""Ray's own variable for the cluster that a program joins."""
LONGEST_CONNECT_S = 20.0


@dataclass(frozen=True)
class Simulation:
    """cores_a_hospital: of Ray's actors.

    address: of a Ray cluster to join, HOST:PORT; "": that of the variable RAY_ADDRESS, and where there is none a
    cluster of this machine's own.
    """

    cores_a_hospital: float = 1.0
    address: str = ""

    def run(
        self,
        *,
        server_app: ServerApp,
        client_app: str,
        sites: Sequence[SiteId],
        run_config: RunConfig,
        folder: Path,
        record_traffic: bool = False,
    ) -> None:
        """Run on Ray. Hospitals share its actors and have no folder of their own.

        On a cluster of this machine's own they write incidents, and cases that could not be used, into the run's
        folder; on another, to their process' log.
        """
        if find_spec("ray") is None:
            raise EngineError("the simulation engine needs Ray: pip install 'wardround[simulation]'.")
        if record_traffic:
            raise StudyError("federation.record_traffic works on 'inline' and 'processes', not on 'simulation'.")
        quieten()
        if self.joined:
            _demand_cluster(self.joined)
        else:
            _demand_token()
            os.environ.setdefault(NICENESS, "0")
        outcome = _Outcome()
        places = [] if self.joined else [str(hospital_folder(folder.resolve(), site)) for site in sites]
        with _told_where_to_write(places), remembered_interrupt() as signals:
            with _signals_kept(signals):
                configured = _configured(server_app, run_config, outcome, signals, self._room())
                self._simulate(configured, client_app, len(sites))
            signals.check()
        outcome.settle()

    @property
    def joined(self) -> str:
        """The cluster that is joined; "" where one is started."""
        wanted = self.address or os.environ.get(ADDRESS, "")
        return "" if wanted == "local" else wanted

    def _simulate(self, server_app: ServerApp, client_app: str, hospitals: int) -> None:
        from flwr.simulation import run_simulation

        logging.getLogger("flwr").setLevel(logging.ERROR)
        backend: dict[str, dict[str, ConfigRecordValues]] = {
            "client_resources": {
                "num_cpus": self.cores_a_hospital,
                "num_gpus": _gpus_a_hospital(self.cores_a_hospital),
            },
            "init_args": {"log_to_driver": False, **self._cluster()},
        }
        try:
            with warnings.catch_warnings(), _nothing_of_the_current_folder():
                warnings.simplefilter("ignore")
                run_simulation(server_app, load_app(client_app), hospitals, "ray", backend)
        except (RuntimeError, ConnectionError) as error:
            raise EngineError(f"Flower's simulation runtime stopped: {error}") from error
        finally:
            _end_ray()

    def _room(self) -> Callable[[], int | None]:
        """How many hospitals work at a time; None while it is not known yet of a cluster that is being joined."""
        if self.joined:
            return partial(_actors, self.cores_a_hospital)
        actors = max(1, int(usable_cores() / self.cores_a_hospital))
        return lambda: actors

    def _cluster(self) -> dict[str, ConfigRecordValues]:
        if self.joined:
            return {"address": self.joined}
        return {"address": "local", "num_cpus": usable_cores(), "include_dashboard": False}


def _gpus_a_hospital(cores: float) -> float:
    """The share of a GPU that Ray keeps for each hospital, so that as many fit as the cores allow.

    Ray shows each process the GPU that is its own, alone, by the number 0; of the cores of other machines it knows
    more than we do, and they are taken to have as many GPUs a core as this one.
    """
    if asked() not in ("auto", "cpu", "cuda"):
        raise EngineError(
            f"{asked()!r} is one device, and on engine 'simulation' Ray deals them out: ask for auto, cpu or cuda."
        )
    if chosen().type != "cuda":
        return 0.0
    at_once = max(1, int(usable_cores() / cores))
    return min(1.0, int(1000 * gpus() / at_once) / 1000)


@contextmanager
def _told_where_to_write(folders: Sequence[str]) -> Iterator[None]:
    """Ray's actors inherit the environment of whoever starts the cluster; they have no configuration of their own."""
    before = os.environ.pop(SIMULATED_FOLDERS, None)
    if folders:
        os.environ[SIMULATED_FOLDERS] = json.dumps(folders)
    try:
        yield
    finally:
        os.environ.pop(SIMULATED_FOLDERS, None)
        if before is not None:
            os.environ[SIMULATED_FOLDERS] = before


class _Outcome:
    """How the ServerApp ended: Flower runs it in a thread, and its errors arrive changed."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.finished = False

    def settle(self) -> None:
        """Raise what the ServerApp raised, or say that it never ended."""
        if self.error is not None:
            raise self.error
        if not self.finished:
            raise EngineError("Flower's simulation runtime ended before the run did.")


def patient(start: Callable[[], Any], end: Callable[[], None]) -> Any:
    """What Ray's `start` gives. Ray waits 30 s for its own processes, whatever anybody sets: too little on a machine
    that others use, so that it is begun again.
    """
    for _ in range(STARTS - 1):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            end()
    return start()


@contextmanager
def _signals_kept(signals: Remembered) -> Iterator[None]:
    """Ray's start takes SIGTERM, and answers it by aborting the process: it is taken back at once."""
    import ray

    before = ray.init

    def init(*positional: Any, **named: Any) -> Any:
        found = patient(partial(before, *positional, **named), ray.shutdown)
        if current_thread() is main_thread():
            signals.handle_again()
        return found

    ray.init = init
    try:
        yield
    finally:
        ray.init = before


def _asking(grid: Grid, signals: Remembered, room: Callable[[], int | None]) -> Grid:
    """The same grid, which raises in the ServerApp's thread what came to the main one, and says how many hospitals
    work at a time and how many requests it takes: as many as keep all actors busy, so that not all hospitals'
    models lie in memory at once.
    """
    pull, nodes = grid.pull_messages, grid.get_node_ids

    def say_room() -> None:
        if not hasattr(grid, "hospitals_at_once") and (actors := room()) is not None:
            grid.hospitals_at_once = actors  # type: ignore[attr-defined]
            grid.most_pending = REQUESTS_AN_ACTOR * actors  # type: ignore[attr-defined]

    def pull_messages(message_ids: Iterable[str]) -> Iterable[Message]:
        signals.check()
        found = list(pull(message_ids))
        say_room()
        return found

    def get_node_ids() -> Iterable[int]:
        signals.check()
        return nodes()

    grid.device = described()  # type: ignore[attr-defined]
    say_room()
    grid.pull_messages, grid.get_node_ids = pull_messages, get_node_ids  # type: ignore[method-assign]
    signals.waiting += 1
    return grid


def _actors(cores: float) -> int | None:
    """How many fit into a cluster that was joined; None until it is."""
    import ray

    if not ray.is_initialized():
        return None
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return max(1, sum(int(node["Resources"].get("CPU", 0) / cores) for node in nodes if node["Alive"]))


def _configured(
    server_app: ServerApp,
    run_config: RunConfig,
    outcome: _Outcome,
    signals: Remembered,
    room: Callable[[], int | None],
) -> ServerApp:
    """The same ServerApp, told its configuration: the runtime has no way to pass one."""
    configured = ServerApp()

    @configured.main()
    def main(grid: Grid, context: Context) -> None:
        context.run_config = dict(run_config)
        try:
            server_app(_asking(grid, signals, room), context)
            outcome.finished = True
        except (WardroundError, KeyboardInterrupt) as error:
            outcome.error = error

    return configured


@contextmanager
def _nothing_of_the_current_folder() -> Iterator[None]:
    """Keep Ray from putting the current folder first on its workers' path, where a `client.py` would hide ours.

    It leaves it out where a job has a working directory of its own, and asks that in one place.
    """
    from ray.job_config import JobConfig

    asked = "_runtime_env_has_working_dir"
    before = getattr(JobConfig, asked)
    setattr(JobConfig, asked, lambda self: True)
    try:
        yield
    finally:
        setattr(JobConfig, asked, before)


def _demand_cluster(address: str) -> None:
    """Raise EngineError where nothing listens: Ray itself goes on trying for minutes, and says nothing."""
    host, _, port = address.rpartition(":")  # "auto" would be what any user of this machine wrote into /tmp/ray
    try:
        with create_connection((host.strip("[]"), int(port)), LONGEST_CONNECT_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise EngineError(
            f"no Ray cluster answers at {address[:100]!r} ({type(error).__name__}). The address is HOST:PORT as `ray "
            f"start --head` prints it, in the variable {ADDRESS}; without it the run starts a cluster of its own."
        ) from error
    if os.environ.get("RAY_AUTH_MODE") != "disabled":
        _demand_closed(address)


def _demand_closed(address: str) -> None:
    """Raise EngineError where a cluster answers whoever asks: whoever asks can run code there, too."""
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")(b"", timeout=LONGEST_CONNECT_S)
        except grpc.RpcError:
            return
    raise EngineError(
        f"the Ray cluster at {address[:100]!r} asks nobody for a token, and runs code of whoever reaches it. Start "
        "it with RAY_AUTH_MODE=token on every machine (docs/scale.md); where nobody else reaches it, say so with "
        "RAY_AUTH_MODE=disabled."
    )


def _demand_token() -> None:
    """Make Ray's ports, on every address of the machine, refuse whoever lacks a token: else they run anybody's code.

    One token a process, in its environment, since Ray remembers the first it saw; who has chosen a mode keeps it. Ray
    reads the mode when it is first imported, so that an earlier import has to be told, by a door that Ray's own tests
    use.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = token_hex(32)
        if "ray" in sys.modules:
            from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

            AuthenticationTokenLoader.instance().reset_cache()
            Config.initialize("")


def _end_ray() -> None:
    import ray

    if ray.is_initialized():
        ray.shutdown()


engine: type[Engine] = Simulation
