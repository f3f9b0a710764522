"""Runs one study inline in a process of its own, and says what its data cost."""

from __future__ import annotations

import json
import resource
import sys
from hashlib import sha256
from pathlib import Path
from time import perf_counter, process_time

import psutil

from common.study.study import parse
from experiments.engines._quiet import run_quietly


def main() -> None:
    """Arguments: a study's TOML file and the run folder. Prints JSON on the last line."""
    study_file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    originals: set[str] = set()
    sys.addaudithook(lambda event, values: _note(originals, event, values))
    begin = perf_counter()
    run_quietly(parse(study_file.read_text(encoding="utf-8")), folder, "probe")
    told = {
        "kept_mib": psutil.Process().memory_full_info().uss / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "seconds": perf_counter() - begin,
        "cpu_s": process_time(),
        "originals_read": len(originals),
        "model": sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
    }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def _note(originals: set[str], event: str, values: tuple[object, ...]) -> None:
    """Opening by path or by a folder's descriptor both name the file."""
    if event == "open" and isinstance(values[0], str) and values[0].endswith(".nii"):
        originals.add(values[0])


if __name__ == "__main__":
    main()
