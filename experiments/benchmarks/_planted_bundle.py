"""A bundle in which somebody planted a line: whether nodes run what a coordinator sends them.

Stock nodes do, before any check of ours could speak: the line stands in what they import. Our own node runs what its
engineers installed and never asks for the bundle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from common.errors import WardroundError
from common.study.study import parse
from experiments.engines._bundle import bundle
from experiments.engines._quiet import run_quietly

APP = "client/app.py"
STUDY = """
title = "A planted line"
engine = "deployment"
rounds = 1
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
federation = { evaluate_every = 0, start_timeout_s = 60 }
"""


def plant(app: Path, mark: Path) -> None:
    """In a bundle's program of hospitals: a line that writes a file as soon as it is imported."""
    file = app / APP
    line = f"\n__import__('pathlib').Path({str(mark)!r}).write_text('it was run')\n"
    file.write_text(file.read_text(encoding="utf-8") + line, encoding="utf-8")


@contextmanager
def planted_bundles(mark: Path) -> Iterator[None]:
    """Every bundle that this process hands to Flower while the block lasts has the line."""

    def with_line(app: Path) -> None:
        bundle(app)
        plant(app, mark)

    places = ("experiments.engines.deployment.bundle", "experiments.coordinator.attempts.bundle")
    with patch(places[0], with_line), patch(places[1], with_line):
        yield


def stock_nodes_run_it(folder: Path) -> bool:
    """Whether Flower's own SuperNodes ran the line, in a run of their own that takes about a minute.

    The hospitals' honest program is still beside the line and refuses the study, since it is not the one of the
    approval; whoever plants a line would have taken that out as well.
    """
    return _is_run(folder, "deployment")


def our_nodes_run_it(folder: Path) -> bool:
    """The same for nodes of ours."""
    return _is_run(folder, "nodes")


def _is_run(folder: Path, engine: str) -> bool:
    mark = folder / f"was-run-by-{engine}"
    with planted_bundles(mark), suppress(WardroundError):
        run_quietly(parse(STUDY, [f"engine={engine}"]), folder / engine)
    return mark.exists()
