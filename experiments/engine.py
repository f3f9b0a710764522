"""The role of an engine: how a study runs. Entries live in `experiments/engines/`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flwr.serverapp import ServerApp

    from common.data.cases import SiteId

RunConfig = Mapping[str, str | int | float | bool]

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
}
"""Set in every process we start: nothing calls home, nothing installs, one thread a hospital, and no module is taken
from the current folder, where a person's own `client.py` or `random.py` may lie."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Engine(Protocol):
    """A frozen dataclass of options. It ends every process it started, whatever happens."""

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
        """Run `server_app` against one node a hospital, each running the ClientApp that `client_app` names.

        Node k gets site-index k, the number of its hospital in `sites`, and a folder of its own under
        `folder/hospitals`. Raises EngineError where processes cannot be started, and whatever the ServerApp
        raises. record_traffic: keep every message as it travelled in `folder/traffic`.
        """
        ...


def quieten() -> None:
    """Put QUIET into this process' environment, from where every child inherits it."""
    os.environ.update({**QUIET, **without_proxy(os.environ)})


def without_proxy(environment: Mapping[str, str]) -> Mapping[str, str]:
    """What makes programs of any kind reach this machine itself directly, whatever proxy the environment names."""
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in known.split(",") if host.strip()]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys([*hosts, *LOOPBACK])))


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
