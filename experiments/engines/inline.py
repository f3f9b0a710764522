"""All hospitals in this process, one after the other: for a debugger, and for benchmarks of learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from flwr.serverapp import ServerApp

from client.node import Node, load_app
from common.allocator import give_back_freed_memory
from common.data.cases import SiteId
from common.learning.device import chosen
from common.wire.long_form import Buffer
from experiments.engine import Engine, RunConfig, quieten
from experiments.engines._local_grid import Poll
from experiments.engines._local_run import LocalRun


@dataclass(frozen=True)
class Inline:
    """A hospital works when its reply is asked for. One that hangs, hangs the run: there is nothing between."""

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
        """Run in this process, on one thread, and one device."""
        quieten()
        threads = torch.get_num_threads()
        local = LocalRun.new("inline", sites, folder, record_traffic, at_once=1)
        app, device = load_app(client_app), str(chosen())
        nodes = {
            local.node_id(index): Node(
                app,
                local.node_id(index),
                local.run_id,
                {**local.config(index), "folder": str(local.folder_of(index)), "device": device},
            )
            for index in range(len(sites))
        }
        try:
            local.serve(server_app, _Calls(nodes), run_config, most_pending=1)
        finally:
            torch.set_num_threads(threads)
            give_back_freed_memory()


@dataclass(frozen=True)
class _Calls:
    """Carries a request by calling the node."""

    nodes: dict[int, Node]

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        return lambda: self.nodes[node_id].answer(b"".join(request))


engine: type[Engine] = Inline
