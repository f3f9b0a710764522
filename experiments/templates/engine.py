"""An engine of your own: how a study runs. Here inline, with how long it took in a file of the run's folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from flwr.serverapp import ServerApp

from common.data import SiteId
from experiments.engine import Engine, RunConfig
from experiments.engines.inline import Inline


@dataclass(frozen=True)
class Mine:
    """It leaves `seconds.txt`. On every engine the same study gives the same model, bit for bit."""

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
        """Run `server_app` against one node a hospital; raise what it raises, and leave no process behind."""
        folder.mkdir(parents=True, exist_ok=True)
        begin = perf_counter()
        try:
            Inline().run(
                server_app=server_app,
                client_app=client_app,
                sites=sites,
                run_config=run_config,
                folder=folder,
                record_traffic=record_traffic,
            )
        finally:
            (folder / "seconds.txt").write_text(f"{perf_counter() - begin:.3f}\n")


engine: type[Engine] = Mine
