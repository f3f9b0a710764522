"""A hospital's node that ends at once, a single time, as it takes a step for the nth time: a loss of power there.

python -m experiments.benchmarks._dying_node FOLDER STEP NTH
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from client.fleet.running import Options
from experiments.hospital.node_process import run_in

DIED = ".died"


def main(folder: Path, step: str, nth: int) -> int:
    """The node's exit status. Its next start lives."""
    taken = 0

    def count(name: str) -> None:
        nonlocal taken
        taken += name == step
        if taken == nth and not (folder / DIED).exists():
            (folder / DIED).touch()
            os._exit(9)

    return run_in(folder, Options(step=count))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
