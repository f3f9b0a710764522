"""What inline and processes share: a run's identity, its recorder, and the call of the ServerApp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import randbits

from flwr.app import Context, RecordDict
from flwr.serverapp import ServerApp

from client.node import Config
from common.data.cases import SiteId
from common.learning.device import asked, described
from common.wire.message_bytes import identify
from experiments.engine import RunConfig
from experiments.engines._interrupt import remembered_interrupt
from experiments.engines._local_grid import SERVER_NODE_ID, LocalGrid, Transport, hospital_folder, new_run
from experiments.engines._recorder import Recorder


@dataclass(frozen=True)
class LocalRun:
    """One run on this machine. Node ids follow the order of `sites`."""

    engine: str
    sites: Sequence[SiteId]
    folder: Path
    run_id: int
    record_traffic: bool
    at_once: int

    @classmethod
    def new(cls, engine: str, sites: Sequence[SiteId], folder: Path, record_traffic: bool, at_once: int) -> LocalRun:
        """A run with an id of its own."""
        return cls(engine, tuple(sites), folder, randbits(62) + 1, record_traffic, at_once)

    def node_id(self, index: int) -> int:
        """Id of the node of hospital `index`."""
        return SERVER_NODE_ID + 1 + index

    def config(self, index: int) -> Config:
        """The node configuration of hospital `index`, as Flower's SuperNode would pass it on."""
        places: Config = {"site-index": index, "partition-id": index, "num-partitions": len(self.sites)}
        return {**places, "simulated": True, "device": asked()}

    def folder_of(self, index: int) -> Path:
        """The hospital's own folder."""
        return hospital_folder(self.folder, self.sites[index])

    def serve(
        self, server_app: ServerApp, transport: Transport, run_config: RunConfig, most_pending: int | None = None
    ) -> None:
        """Run the ServerApp over the transport. most_pending: see `LocalGrid`."""
        names = {self.node_id(index): site for index, site in enumerate(self.sites)}
        recorder = Recorder(self.folder / "traffic", names) if self.record_traffic else None
        identify(self.run_id, SERVER_NODE_ID)
        context = Context(self.run_id, SERVER_NODE_ID, {}, RecordDict(), dict(run_config))
        run = new_run(self.run_id)
        with remembered_interrupt() as signals:
            beside = (run, recorder, self.at_once, signals.check, names, most_pending)
            grid = LocalGrid(self.engine, transport, len(self.sites), *beside)
            grid.device = described()
            server_app(grid, context)
