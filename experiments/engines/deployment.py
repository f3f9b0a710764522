"""Plain Flower on this machine: a SuperLink, one SuperNode a hospital, and `flwr run`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

import psutil
from flwr.serverapp import ServerApp

from client.approved_studies import list_json
from common.data.cases import SiteId
from common.errors import EngineError, StudyError
from common.files.access import UMASK, appending, private_folder, write
from common.files.json_files import read_table
from common.study.federation import RosterEntry
from common.study.study import Study, parse
from common.sums import identity
from experiments.engine import QUIET, Engine, RunConfig, without_proxy
from experiments.engines import _flower_program
from experiments.engines._bundle import bundle
from experiments.engines._local_grid import hospital_folder
from experiments.engines._plugins_of_nodes import allow, travelling
from experiments.engines._run_secrets import LOOPBACK, RunSecrets

NO_REASON = "see the logs in its deployment folder"
POLL_S = 0.5
FEDERATION = "wardround"
LONGEST_COMMAND_S = 300.0
LONGEST_HANDSHAKE_S = 5.0
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
        study = _with_roster(parse(str(run_config["study"])), _introduce_all(own))
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
            federation = cls(home, logs, _free_port(), secrets, programs, plugins)
            try:
                federation._start_link(start_timeout_s)
                for index, site in enumerate(sites):
                    federation._start_node(index, len(sites), hospital_folder(folder, site))
                yield federation
            finally:
                federation._end()

    def submit(self, run_config: RunConfig) -> str:
        """`flwr run` with the configuration in a file; the run's id, once the SuperLink has taken it."""
        app = self.home / "app" / "wardround"
        bundle(app)
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in run_config.items())
        config = self.home / "run.toml"
        config.write_text(lines + "\n", encoding="utf-8")
        said = self._flwr("run", str(app), FEDERATION, "--run-config", str(config), "--format", "json")
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
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{FEDERATION}"\n\n[superlink.{FEDERATION}]\n'
            f'address = "{LOOPBACK}:{self.port}"\nroot-certificates = "{self.secrets.authority}"\n',
            encoding="utf-8",
        )
        own = ("--enable-supernode-auth", "--disable-runtime-dependency-installation")
        self._start("superlink", "flower-superlink", *self._listening(self.port), *own)
        context = _flower_program.connecting_context(self.secrets.authority, self.secrets.connecting)
        deadline = monotonic() + timeout_s
        while not _listens(self.port, context):
            if monotonic() > deadline or self.processes[0].poll() is not None:
                raise EngineError(f"the SuperLink did not come up; see {self.logs / 'superlink.log'}.")
            sleep(POLL_S / 5)
        if _answers_a_stranger(self.port, self.secrets.authority):
            raise EngineError("the SuperLink answers whoever reaches its port; this Flower is not the one of 1.41.")

    def _start_node(self, index: int, count: int, own: Path) -> None:
        private_folder(own)
        key = self.secrets.node_keys[index]
        self._flwr("supernode", "register", f"{key}.pub", FEDERATION, "--format", "json")
        config = f'site-index={index} partition-id={index} num-partitions={count} folder="{own}"'
        self._start(
            f"supernode-{index}",
            "flower-supernode",
            *("--superlink", f"{LOOPBACK}:{self.port}"),
            *("--root-certificates", str(self.secrets.authority)),
            *("--auth-supernode-private-key", str(key)),
            *self._listening(_free_port()),
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
                env=self._environment(place),
                start_new_session=True,
                cwd=place,
                umask=UMASK,
            )
        self.processes.append(started)

    def _status(self, run_id: str) -> tuple[str, str]:
        runs = self._flwr("ls", FEDERATION, "--run-id", run_id, "--format", "json").get("runs", [])
        own = [run for run in runs if str(run.get("run-id")) == run_id]
        if not own:
            raise EngineError(f"the SuperLink knows no run {run_id}; see {self.logs / 'superlink.log'}.")
        return str(own[0]["status"]), str(own[0].get("status-details", ""))

    def _flwr(self, *arguments: str) -> dict[str, Any]:
        """What a command of Flower's says in JSON."""
        name = f"flwr {arguments[0]}"
        try:
            done = subprocess.run(
                [str(self.programs / "flwr"), *arguments],
                env=self._environment(self.home),
                capture_output=True,
                text=True,
                timeout=LONGEST_COMMAND_S,
                cwd=self.home,
                umask=UMASK,
            )
            said = json.loads(done.stdout) if done.returncode == 0 else None
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{name} did not end within {LONGEST_COMMAND_S:g} s; see {self.logs}.") from error
        except json.JSONDecodeError as error:
            raise EngineError(f"{name} said something that is not JSON: {done.stdout[-800:]}") from error
        if not isinstance(said, dict):
            raise EngineError(f"{name} failed: {(done.stderr or done.stdout)[-800:]}")
        return said

    def _environment(self, home: Path) -> Mapping[str, str]:
        """The person's own, but none of Flower's switches (some open ports) and no proxy between us and loopback."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLWR_")}
        modules = [inherited.get("PYTHONPATH", ""), *([str(self.plugins)] if self.plugins else [])]
        found_first = (str(self.programs), str(Path(sys.executable).parent), os.environ.get("PATH", ""))
        return {
            **inherited,
            **QUIET,
            "FLWR_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(one for one in modules if one),
            "PATH": os.pathsep.join(found_first),
            "PYTHONWARNINGS": "default",
            **without_proxy(os.environ),
            _flower_program.AUTHORITY: str(self.secrets.authority),
            _flower_program.CONNECTING: str(self.secrets.connecting),
        }

    def _end(self) -> None:
        """End every process and all that descend from it, nodes before the SuperLink."""
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


def _introduce_all(folders: Mapping[SiteId, Path]) -> Mapping[SiteId, bytes]:
    """A signing key for every hospital, and everybody's public keys: else it is the administrator who does this."""
    public = {site: identity.create(folder) for site, folder in folders.items()}
    for folder in folders.values():
        identity.introduce(folder, public)
    return public


def _with_roster(study: Study, public: Mapping[SiteId, bytes]) -> Study:
    """The study as every hospital approves it: with the names and keys of all of them, unless it has them."""
    if study.federation.roster:
        return study
    roster = tuple(RosterEntry(site, sha256(key).hexdigest()) for site, key in sorted(public.items()))
    return replace(study, federation=replace(study.federation, roster=roster))


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _listens(port: int, context: ssl.SSLContext) -> bool:
    """Whether somebody with the run's certificate listens there, and not just anybody who took the port."""
    try:
        with (
            socket.create_connection((LOOPBACK, port), LONGEST_HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK),
        ):
            return True
    except OSError:
        return False


def _answers_a_stranger(port: int, authority: Path) -> bool:
    """Whether a byte comes back for whoever has no certificate."""
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with (
            socket.create_connection((LOOPBACK, port), LONGEST_HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK) as stranger,
        ):
            stranger.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return bool(stranger.recv(1))
    except OSError:
        return False


def _state(folder: Path) -> str:
    return str(_about(folder).get("state", ""))


def _reason(folder: Path) -> str:
    return str(_about(folder).get("reason", ""))


def _about(folder: Path) -> dict[str, object]:
    return read_table(folder, "about.json")


engine: type[Engine] = Deployment
