"""Plain Flower on this machine: a SuperLink, one SuperNode a hospital, and `flwr run`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import psutil
from flwr.serverapp import ServerApp

from client.approved_studies import list_study
from common import identity
from common.cases import SiteId
from common.errors import EngineError, StudyError
from common.files import UMASK, appending, private_folder, write
from common.json_files import read_table
from common.study import parse
from experiments.engine import QUIET, Engine, RunConfig
from experiments.engines._local_grid import hospital_folder

BUNDLED = ("server", "client", "common", "pyproject.toml", "README.md", "LICENSE")
ROOT = Path(__file__).parents[2]
POLL_S = 0.5
FEDERATION = "wardround"


@dataclass(frozen=True)
class Deployment:
    """Stock Flower, unencrypted on loopback: the smoke test of the way hospitals deploy, and its slow peer.

    The apps are those of the bundle's pyproject.toml. start_timeout_s: for the SuperLink to listen.
    """

    start_timeout_s: float = 60.0
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
        _approve_all(str(run_config["study"]), [hospital_folder(folder.resolve(), site) for site in sites])
        with _Federation.started(folder.resolve(), sites, self.start_timeout_s) as federation:
            federation.submit({**run_config, "run-folder": str(folder.resolve())})
            federation.await_end(monotonic() + self.run_timeout_s, folder)


@dataclass
class _Federation:
    """All processes of a deployment, each with its own log in `logs`."""

    home: Path
    logs: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(cls, folder: Path, sites: Sequence[SiteId], timeout_s: float) -> Iterator[_Federation]:
        logs = folder / "deployment"
        private_folder(logs)
        federation = cls(Path(mkdtemp(prefix="wardround-flwr-")), logs, _free_port())
        try:
            federation._start_link(timeout_s)
            _introduce_all({site: hospital_folder(folder, site) for site in sites})
            for index, site in enumerate(sites):
                federation._start_node(index, len(sites), hospital_folder(folder, site))
            yield federation
        finally:
            federation._end()

    def submit(self, run_config: RunConfig) -> None:
        """`flwr run` with the configuration in a file; returns when the SuperLink has taken it."""
        app = self.home / "app" / "wardround"
        _bundle(app)
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in run_config.items())
        config = self.home / "run.toml"
        config.write_text(lines + "\n", encoding="utf-8")
        said = self._flwr("run", str(app), FEDERATION, "--run-config", str(config))
        write(self.logs, "flwr-run.log", said)

    def await_end(self, deadline: float, folder: Path) -> None:
        """Wait for the run; `flwr run` itself exits with 0 whatever became of it."""
        while monotonic() < deadline:
            status, details = self._status()
            if status == "finished:completed" and _state(folder) == "completed":
                return
            if status.startswith("finished"):
                raise EngineError(f"the deployed run ended as {status} {details}: {_reason(folder)}")
            sleep(POLL_S)
        raise EngineError("the deployed run did not end in time.")

    def _start_link(self, timeout_s: float) -> None:
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{FEDERATION}"\n\n[superlink.{FEDERATION}]\n'
            f'address = "127.0.0.1:{self.port}"\ninsecure = true\n',
            encoding="utf-8",
        )
        arguments = ("--insecure", "--host", "127.0.0.1", "--port", str(self.port))
        self._start("superlink", "flower-superlink", *arguments, "--disable-runtime-dependency-installation")
        deadline = monotonic() + timeout_s
        while not _listens(self.port):
            if monotonic() > deadline or self.processes[0].poll() is not None:
                raise EngineError(f"the SuperLink did not come up; see {self.logs / 'superlink.log'}.")
            sleep(POLL_S / 5)

    def _start_node(self, index: int, count: int, own: Path) -> None:
        private_folder(own)
        config = f'site-index={index} partition-id={index} num-partitions={count} folder="{own}"'
        self._start(
            f"supernode-{index}",
            "flower-supernode",
            "--insecure",
            *("--superlink", f"127.0.0.1:{self.port}"),
            *("--port", str(_free_port())),
            *("--node-config", config),
            home=self.home / f"node-{index}",
        )

    def _start(self, name: str, program: str, *arguments: str, home: Path | None = None) -> None:
        """A program of Flower's, in a session of its own so that all of its family can be ended."""
        place = home or self.home
        private_folder(place)
        with appending(self.logs, f"{name}.log") as log:
            command = [_program(program), *arguments]
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

    def _status(self) -> tuple[str, str]:
        table = json.loads(self._flwr("ls", FEDERATION, "--format", "json"))
        runs = table.get("runs", [])
        return (str(runs[0]["status"]), str(runs[0].get("status-details", ""))) if runs else ("", "")

    def _flwr(self, *arguments: str) -> str:
        done = subprocess.run(
            [_program("flwr"), *arguments],
            env=self._environment(self.home),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.home,
            umask=UMASK,
        )
        if done.returncode != 0:
            raise EngineError(f"flwr {arguments[0]} failed: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout

    def _environment(self, home: Path) -> Mapping[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": path, "PYTHONWARNINGS": "default"}

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
        shutil.rmtree(self.home, ignore_errors=True)


def _bundle(app: Path) -> None:
    """What a hospital would be sent, and nothing else of the checkout."""
    app.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "py.typed")
    for name in BUNDLED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, app / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, app / name)
    shutil.copytree(ROOT / "experiments" / "studies", app / "experiments" / "studies")


def _introduce_all(folders: Mapping[SiteId, Path]) -> None:
    """A signing key for every hospital, and everybody's public keys: else it is the administrator who does this."""
    public = {site: identity.create(folder) for site, folder in folders.items()}
    for folder in folders.values():
        identity.introduce(folder, public)


def _approve_all(study: str, folders: Sequence[Path]) -> None:
    """The study in every hospital's list: whoever starts a deployment here is its administrator too."""
    for folder in folders:
        list_study(parse(study), folder)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise EngineError(f"Flower's program {name} is not installed beside {sys.executable}.")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _state(folder: Path) -> str:
    return str(_about(folder).get("state", ""))


def _reason(folder: Path) -> str:
    return str(_about(folder).get("reason", "")) or "see the logs in its deployment folder"


def _about(folder: Path) -> dict[str, object]:
    return read_table(folder, "about.json")


engine: type[Engine] = Deployment
