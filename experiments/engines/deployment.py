"""Plain Flower on this machine: a SuperLink, one SuperNode a hospital, and `flwr run`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import psutil
from flwr.serverapp import ServerApp

from client.approved_studies import list_json
from common.data.cases import SiteId
from common.errors import EngineError, StudyError
from common.files.access import UMASK, appending, private_folder, write
from common.files.json_files import read_table
from common.study.study import parse
from experiments.engine import Engine, RunConfig
from experiments.engines import _flower_program
from experiments.engines._bundle import bundle
from experiments.engines._flower_commands import FEDERATION, FlowerCommands
from experiments.engines._introduced import introduce_all, with_roster
from experiments.engines._local_grid import hospital_folder
from experiments.engines._plugins_of_nodes import allow, travelling
from experiments.engines._ports import answers_a_stranger, free_port, listens
from experiments.engines._run_secrets import LOOPBACK, RunSecrets

NO_REASON = "see the logs in its deployment folder"
POLL_S = 0.5
SLACK_S = 3600.0
"""What certificates outlive the run's own timeouts by."""


@dataclass(frozen=True)
class Deployment:
    """Stock Flower on loopback: the smoke test of the way hospitals deploy, and its slow peer.

    Every port demands a certificate that only this run's programs have, and every node a key of its own, so that
    other users of the machine can neither start runs nor take part. The apps are those of the bundle's
    pyproject.toml. start_timeout_s: for the SuperLink to listen.

    run_timeout_s: longest wait for the whole run.
    """

    start_timeout_s: float = 600.0
    run_timeout_s: float = 1800.0

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
        """Bundle the app, start everything, run, and end everything. Raises EngineError with the run's last words."""
        if client_app != "client.app:app":
            raise EngineError("deployment runs the ClientApp of the bundle, client.app:app.")
        if record_traffic:
            raise StudyError("federation.record_traffic works on 'inline' and 'processes', not on 'deployment'.")
        whole = folder.resolve()
        own = {site: hospital_folder(whole, site) for site in sites}
        study = with_roster(parse(str(run_config["study"])), introduce_all(own))
        sent = travelling(study, whole)
        for place in own.values():
            allow(sent.plugins, place)
            list_json(sent.json, study.title, place)
        limits = (self.start_timeout_s, self.run_timeout_s)
        with _Federation.started(whole, sites, *limits, sent.folder) as federation:
            run_id = federation.submit({**run_config, "study": sent.text, "run-folder": str(whole)})
            federation.await_end(run_id, self.run_timeout_s, folder)


@dataclass
class _Federation:
    """All processes of a deployment, each with its own log in `logs`; whatever is secret is in `home`."""

    home: Path
    logs: Path
    port: int
    secrets: RunSecrets
    programs: Path
    plugins: Path | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(
        cls,
        folder: Path,
        sites: Sequence[SiteId],
        start_timeout_s: float,
        run_timeout_s: float,
        plugins: Path | None = None,
    ) -> Iterator[_Federation]:
        logs = folder / "deployment"
        private_folder(logs)
        with _private_folder() as home:
            secrets = RunSecrets.create(home / "secrets", len(sites), start_timeout_s + run_timeout_s + SLACK_S)
            programs = _flower_program.install(home / "programs")
            federation = cls(home, logs, free_port(), secrets, programs, plugins)
            try:
                federation._start_link(start_timeout_s)
                for index, site in enumerate(sites):
                    federation._start_node(index, len(sites), hospital_folder(folder, site))
                yield federation
            finally:
                federation._end()

    @cached_property
    def _flower(self) -> FlowerCommands:
        return FlowerCommands(self.programs, self.home, self.secrets, self.plugins)

    def submit(self, run_config: RunConfig) -> str:
        """`flwr run` with the configuration in a file; the run's id, once the SuperLink has taken it."""
        app = self.home / "app" / "wardround"
        bundle(app)
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in run_config.items())
        config = self.home / "run.toml"
        config.write_text(lines + "\n", encoding="utf-8")
        said = self._flower.say("run", str(app), FEDERATION, "--run-config", str(config))
        write(self.logs, "flwr-run.log", json.dumps(said))
        run_id = said.get("run-id")
        if not run_id:
            raise EngineError(f"the SuperLink took no run; see {self.logs / 'flwr-run.log'} and superlink.log there.")
        return str(run_id)

    def await_end(self, run_id: str, timeout_s: float, folder: Path) -> None:
        """Wait for this run; `flwr run` itself exits with 0 whatever became of it."""
        deadline = monotonic() + timeout_s
        while monotonic() < deadline:
            status, details = self._status(run_id)
            if status == "finished:completed" and _state(folder) == "completed":
                return
            if status.startswith("finished"):
                raise EngineError(f"the deployed run ended as {status}: {_reason(folder) or details or NO_REASON}")
            self._demand_life()
            sleep(POLL_S)
        raise EngineError(f"the deployed run did not end within {timeout_s:g} s; its logs are in {self.logs}.")

    def _demand_life(self) -> None:
        link, *nodes = self.processes
        if link.poll() is not None:
            raise EngineError(f"the SuperLink ended before the run did; see {self.logs / 'superlink.log'}.")
        if nodes and all(node.poll() is not None for node in nodes):
            raise EngineError(f"every SuperNode ended before the run did; see supernode-0.log in {self.logs}.")

    def _start_link(self, timeout_s: float) -> None:
        self._flower.command_link(self.port)
        own = ("--enable-supernode-auth", "--disable-runtime-dependency-installation")
        self._start("superlink", "flower-superlink", *self._listening(self.port), *own)
        context = _flower_program.connecting_context(self.secrets.authority, self.secrets.connecting)
        deadline = monotonic() + timeout_s
        while not listens(self.port, context):
            if monotonic() > deadline or self.processes[0].poll() is not None:
                raise EngineError(f"the SuperLink did not come up; see {self.logs / 'superlink.log'}.")
            sleep(POLL_S / 5)
        if answers_a_stranger(self.port, self.secrets.authority):
            raise EngineError("the SuperLink answers whoever reaches its port; this Flower is not the one of 1.41.")

    def _start_node(self, index: int, count: int, own: Path) -> None:
        private_folder(own)
        key = self.secrets.node_keys[index]
        self._flower.say("supernode", "register", f"{key}.pub", FEDERATION)
        config = f'site-index={index} partition-id={index} num-partitions={count} folder="{own}" rehearsal=true'
        self._start(
            f"supernode-{index}",
            "flower-supernode",
            *("--superlink", f"{LOOPBACK}:{self.port}"),
            *("--root-certificates", str(self.secrets.authority)),
            *("--auth-supernode-private-key", str(key)),
            *self._listening(free_port()),
            *("--node-config", config),
            home=self.home / f"node-{index}",
        )

    def _listening(self, port: int) -> Sequence[str]:
        return (
            *("--host", LOOPBACK, "--port", str(port)),
            *("--ssl-ca-certfile", str(self.secrets.authority)),
            *("--ssl-certfile", str(self.secrets.listening_certificate)),
            *("--ssl-keyfile", str(self.secrets.listening_key)),
        )

    def _start(self, name: str, program: str, *arguments: str, home: Path | None = None) -> None:
        """A program of Flower's, in a session of its own so that all of its family can be ended."""
        place = home or self.home
        private_folder(place)
        with appending(self.logs, f"{name}.log") as log:
            command = [str(self.programs / program), *arguments]
            started = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=self._flower.environment(place),
                start_new_session=True,
                cwd=place,
                umask=UMASK,
            )
        self.processes.append(started)

    def _status(self, run_id: str) -> tuple[str, str]:
        runs = self._flower.say("ls", FEDERATION, "--run-id", run_id).get("runs", [])
        own = [run for run in runs if str(run.get("run-id")) == run_id]
        if not own:
            raise EngineError(f"the SuperLink knows no run {run_id}; see {self.logs / 'superlink.log'}.")
        return str(own[0]["status"]), str(own[0].get("status-details", ""))

    def _end(self) -> None:
        """End every process and all that descend from it, nodes before the SuperLink."""
        self._flower.end()
        family = [member for process in reversed(self.processes) for member in _family(process.pid)]
        for member in family:
            with suppress(psutil.Error):
                member.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=5)
        for member in alive:
            with suppress(psutil.Error):
                member.kill()
        for process in self.processes:
            process.wait(10)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only its owner can open, for as long as the run lasts."""
    folder = Path(mkdtemp(prefix="wardround-flwr-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _state(folder: Path) -> str:
    return str(_about(folder).get("state", ""))


def _reason(folder: Path) -> str:
    return str(_about(folder).get("reason", ""))


def _about(folder: Path) -> dict[str, object]:
    return read_table(folder, "about.json")


engine: type[Engine] = Deployment
