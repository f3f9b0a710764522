"""What `wardround node run` does: a process of its own, with lines for a journal and an exit status for systemd."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import sleep

from client.fleet.loop import RefusedForGoodError
from client.fleet.running import Options, run_node
from common.consortium.certificates import now
from common.consortium.expiry import of_node, warnings
from common.errors import LASTING, HospitalError, StudyError, WardroundError
from experiments.engine import quieten

DAY_S = 86400.0
LOG = logging.getLogger("wardround.node")


def _warn_daily(folder: Path) -> None:
    """Say what runs out within 30 days: a node goes on for longer."""
    while True:
        with suppress(WardroundError):  # what cannot be read stops the node itself, which says so
            for warning in warnings(of_node(folder), now()):
                LOG.warning("%s", warning)
        sleep(DAY_S)


def run_in(folder: Path, options: Options | None = None) -> int:
    """The exit status: 0 or 143 after SIGTERM, 78 for what will not mend itself, 1 for anything else."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "httpcore", "flwr"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quieten()
    Thread(target=_warn_daily, args=(folder,), name="expiry", daemon=True).start()
    try:
        return run_node(folder.absolute(), options or Options())
    except (HospitalError, StudyError, RefusedForGoodError) as error:
        LOG.error("%s", error)
        return LASTING
    except WardroundError as error:
        LOG.error("%s", error)
        return 1
