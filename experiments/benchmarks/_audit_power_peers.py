"""Runs beside JAX-Privacy, in its own Python: its bounds of epsilon on the canary scores of `bench audit-power`.

Called as `python _audit_power_peers.py SCORES.npz RESULTS.json CONFIDENCE`; imports nothing of this project.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def bounds(auditing: Any, scores: Any, included: Any, confidence: float, delta: float) -> dict[str, float]:
    """By Steinke et al. and by Mahloujifar et al., the best of all thresholds, as the library corrects for them."""
    auditor, begun = auditing.CanaryScoreAuditor(scores[included], scores[~included]), time.process_time()
    found = {
        "one_run": float(auditor.epsilon_one_run(1 - confidence, delta)),
        "one_run_fdp": float(auditor.epsilon_one_run_fdp(1 - confidence, delta)),
    }
    return found | {"seconds": time.process_time() - begun}


def main(scores_file: str, results_file: str, confidence: float) -> None:
    """Each name's arrays `NAME/scores`, `NAME/included` and `NAME/delta`."""
    auditing = importlib.import_module("jax_privacy.auditing")
    given = np.load(scores_file)
    names = sorted({name.rpartition("/")[0] for name in given.files})
    found = {
        name: bounds(
            auditing, given[f"{name}/scores"], given[f"{name}/included"], confidence, float(given[f"{name}/delta"])
        )
        for name in names
    }
    Path(results_file).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
