"""What a step of pretraining costs beside lightly's loop on the same network, in one run, in turn."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from common.errors import EngineError
from experiments.benchmark import Benchmark, Cell, Measured, Target

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
SCRIPT = Path(__file__).with_name("_ssl_step_peers.py")
LONGEST_S = 900
MOST = 1.05
Costs = Mapping[str, Mapping[str, float]]


def measure(console: Console) -> Measured:
    """In the Python that has lightly."""
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return measured({})
    console.print("Budget: 2 CPU minutes.", style="dim")
    try:
        ended = subprocess.run([python, str(SCRIPT)], capture_output=True, text=True, timeout=LONGEST_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {said.strip()[-500:]}") from error
    return measured(json.loads(ended.stdout.splitlines()[-1]))


def measured(costs: Costs) -> Measured:
    """costs: milliseconds and their ratio by method; {} where there was no lightly."""
    rows: list[Mapping[str, Cell]] = [
        {"method": name, "ours, ms": one["ours"], "lightly, ms": one["theirs"], "ratio": one["ratio"]}
        for name, one in costs.items()
    ]
    targets = [
        Target(f"a step of {name}", one["ratio"], 1.0, MOST, f"at most {MOST} of lightly's", one["ratio"] <= MOST)
        for name, one in costs.items()
    ]
    notes = [
        "128 grey images of 28 x 28, one thread, our encoder in both; medians of pairs taken in turn. Views are of "
        "the same draws; lightly's own transforms are several times as slow (docs/selfsupervision.md).",
    ]
    if not costs:
        notes.append(f"lightly was not asked: {PEERS_PYTHON} names no Python that has it.")
    return Measured("A step of pretraining", rows, targets, notes)


benchmark: Benchmark = measure
