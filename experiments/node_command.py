"""What `wardround node run` does: a process of its own, with lines for a journal and an exit status for systemd."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from client.fleet.loop import RefusedForGoodError
from client.fleet.running import Options, run_node
from common.errors import FileError, HospitalError, StudyError, WardroundError
from experiments.engine import quieten

LASTING = 78
"""EX_CONFIG: what a restart does not mend (systemd: RestartPreventExitStatus=78)."""
LOG = logging.getLogger("wardround.node")


def run_in(folder: Path, options: Options | None = None) -> int:
    """The exit status: 0 or 143 after SIGTERM, 78 for what will not mend itself, 1 for anything else."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "httpcore", "flwr"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quieten()
    try:
        return run_node(folder.absolute(), options or Options())
    except (HospitalError, StudyError, RefusedForGoodError, FileError) as error:
        LOG.error("%s", error)
        return LASTING
    except WardroundError as error:
        LOG.error("%s", error)
        return 1
