"""The whole way to hospitals on this machine: mutual TLS, a front, a SuperLink, and one node process a hospital."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import tomli_w
from flwr.serverapp import ServerApp

from client.approved_studies import list_json
from common.data.cases import SiteId
from common.errors import EngineError, StudyError
from common.files.access import private_folder, read_text, write
from common.study.study import parse
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.serving import Serving, serving
from experiments.coordinator.settings import FILE
from experiments.coordinator.supervision import Program, SupervisedProgram, end_all
from experiments.engine import QUIET, Engine, RunConfig, without_proxy
from experiments.engines import _consortium
from experiments.engines._introduced import with_roster
from experiments.engines._local_grid import hospital_folder
from experiments.engines._plugins_of_nodes import Travelling, allow, travelling
from experiments.engines._run_secrets import LOOPBACK

COORDINATOR, LOGS = "coordinator", "logs"
POLL_S = 0.1
NO_REASON = "see link/ in its coordinator folder"


@dataclass(frozen=True)
class Nodes:
    """What hospitals run, all of it on loopback: certificates, node keys, front, SuperLink, supervisor and nodes.

    The run's folder keeps the coordinator's folder and the hospitals' own, so that it can be resumed. Nodes that end
    are started again, as a service manager would. start_timeout_s: for the SuperLink to listen.

    run_timeout_s: longest wait for the whole run.
    """

    start_timeout_s: float = 600.0
    run_timeout_s: float = 86400.0

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
        """Set up a consortium, start everything, run, and end everything. Raises EngineError with its last words."""
        if client_app != "client.app:app":
            raise EngineError("nodes run the hospital's installed program, client.app:app, and no other.")
        if record_traffic:
            raise StudyError("federation.record_traffic works on 'inline' and 'processes', not on 'nodes'.")
        whole = folder.resolve()
        with started(whole, sites, self.start_timeout_s, str(run_config["study"])) as rehearsal:
            job = rehearsal.submit(run_config)
            rehearsal.await_end(job, self.run_timeout_s)


@dataclass
class Rehearsal:
    """A coordinator and hospitals' nodes that are running. text: the study, as all of them approved it."""

    folder: Path
    text: str
    served: Serving
    nodes: Mapping[SiteId, SupervisedProgram]
    failures: list[BaseException] = field(default_factory=list)

    @property
    def queue(self) -> JobQueue:
        """The coordinator's jobs."""
        return JobQueue(self.served.folder)

    def submit(self, run_config: RunConfig) -> Job:
        """Put the run into the coordinator's queue."""
        resume, accepts = bool(run_config.get("resume", False)), bool(run_config.get("accept-changed-data", False))
        name, questions = str(run_config["study-name"]), str(run_config.get("questions", ""))
        return self.queue.submit(name, self.text, self.folder, resume, accepts, questions)

    def await_end(self, job: Job, timeout_s: float) -> None:
        """Wait until the study is at its end. Raises EngineError with its reason where it did not complete."""
        standing = self._awaited(job, timeout_s)
        if standing.state != "completed":
            raise EngineError(f"the run in nodes ended as {standing.state}: {standing.reason or NO_REASON}")

    def _awaited(self, job: Job, timeout_s: float) -> Standing:
        deadline = monotonic() + timeout_s
        while monotonic() < deadline:
            standing = self.queue.standing(job)
            if standing.is_over:
                return standing
            if self.failures:
                raise EngineError(f"the coordinator's programs ended: {self.failures[0]}")
            refusing = [site for site, one in self.nodes.items() if one.refuses]
            if refusing:
                raise EngineError(
                    f"the node of {refusing[0]} will not start as it is set up: "
                    f"{self.nodes[refusing[0]].last_words()}"
                )
            sleep(POLL_S)
        raise EngineError(f"the run in nodes did not end within {timeout_s:g} s; its logs are in {self.folder}.")

    def look_after(self) -> None:
        """Start again whatever has ended, until all is given up."""
        try:
            while not self.served.given_up.wait(POLL_S):
                self.served.look()
                for one in self.nodes.values():
                    one.look()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits, in the other thread
            self.failures.append(error)


@contextmanager
def started(
    folder: Path,
    sites: Sequence[SiteId],
    start_timeout_s: float,
    study_text: str,
    arrange: Callable[[Mapping[SiteId, SupervisedProgram]], None] = lambda _: None,
) -> Iterator[Rehearsal]:
    """Everything of a rehearsal in `folder`, looked after by a thread; whatever happens, every process is ended.

    arrange: told the nodes once they are set up and before they are started.
    """
    coordinator, sent, nodes = prepared(folder, sites, start_timeout_s, study_text)
    arrange(nodes)
    with serving(coordinator, sent.folder) as served:
        rehearsal = Rehearsal(folder, sent.text, served, nodes)
        watch = Thread(target=rehearsal.look_after, name="nodes", daemon=True)
        try:
            for one in nodes.values():
                one.start()
            watch.start()
            yield rehearsal
        finally:
            served.given_up.set()
            if watch.ident is not None:
                watch.join()
            end_all(nodes.values())


def prepared(
    folder: Path, sites: Sequence[SiteId], start_timeout_s: float, study_text: str
) -> tuple[Path, Travelling, Mapping[SiteId, SupervisedProgram]]:
    """The coordinator's folder, the study as all approved it, and the nodes, none of which is started."""
    coordinator = private_folder(folder, COORDINATOR)
    own = {site: hospital_folder(folder, site) for site in sites}
    _consortium.make(coordinator, own)
    _set(coordinator, start_timeout_s)
    study = with_roster(parse(study_text), _consortium.public_keys(own.values()))
    sent = travelling(study, folder)
    for place in own.values():
        allow(sent.plugins, place)
        list_json(sent.json, study.title, place)
    logs = private_folder(coordinator, LOGS)
    return (
        coordinator,
        sent,
        {site: SupervisedProgram(node_program(site, place, sent.folder), logs) for site, place in own.items()},
    )


def _set(coordinator: Path, start_timeout_s: float) -> None:
    """In the coordinator's server.toml, beside what its consortium wrote: nobody but this machine is let in."""
    table = tomllib.loads(read_text(coordinator, FILE))
    table["front"] = {**table.get("front", {}), "listen": LOOPBACK}
    table["link"] = {**table.get("link", {}), "start_timeout_s": start_timeout_s}
    write(coordinator, FILE, tomli_w.dumps(table))


def node_program(site: SiteId, place: Path, plugins: Path | None = None) -> Program:
    """A node that is kept running.

    plugins: the folder of modules that the study names, as an administrator would have installed them.
    """
    modules = [os.environ.get("PYTHONPATH", ""), *([str(plugins)] if plugins else [])]
    own = {"PYTHONPATH": os.pathsep.join(one for one in modules if one)}
    environment = {**os.environ, **QUIET, **without_proxy(os.environ), **own}
    command = [sys.executable, "-m", "experiments.cli", "node", "run", "--folder", str(place)]
    return Program(site, command, environment, place)


engine: type[Engine] = Nodes
