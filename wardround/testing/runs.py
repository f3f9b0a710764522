"""Tiny runs for inherited tests: a study that needs no data but its own, run in this process."""

from __future__ import annotations

import json
import shutil
from atexit import register
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from client.hospital import site_names
from common.study.study import Study, parse
from experiments.engine import Engine
from experiments.engines.inline import Inline
from experiments.evidence.observing import observe
from experiments.observation import Observation
from server.app import app as server_app

CLIENT_APP = "client.app:app"
TEXT = """
title = "Tiny"
rounds = 1
seed = 11
engine = "inline"
source = { name = "phantom", hospitals = 3, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 2 } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 2 }
federation = { start_timeout_s = 600, round_timeout_s = 600, record_traffic = true }
"""


def tiny_study(*overrides: str) -> Study:
    """Three hospitals of four patients; overrides as on the command line."""
    return parse(TEXT, list(overrides))


def run_on(engine: Engine, study: Study, folder: Path) -> dict[str, Any]:
    """Run the study on this very engine; what it left in about.json."""
    sites = site_names(study)
    engine.run(
        server_app=server_app,
        client_app=CLIENT_APP,
        sites=sites,
        run_config={
            "study": study.text,
            "study-name": "tiny",
            "run-folder": str(folder),
            "hospitals": len(sites),
            "sites": json.dumps(sites),
            "resume": False,
            "accept-changed-data": False,
            "simulated": True,
        },
        folder=folder,
        record_traffic=study.federation.record_traffic,
    )
    about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return about


@lru_cache(maxsize=8)
def observed(aggregation: str) -> tuple[Path, Observation]:
    """A run's folder, and what the coordinator saw of it. It is run once in a process."""
    place = mkdtemp(prefix="wardround-testing-")
    register(shutil.rmtree, place, ignore_errors=True)
    folder = Path(place) / "run"
    run_on(Inline(), tiny_study(f"aggregation={aggregation}"), folder)
    return folder, observe(folder)
