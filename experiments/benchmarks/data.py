"""Memory for data: 200 volumes of 128^3 eagerly and lazily, and a hundred hospitals that share one data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.progress import Progress

from client.prepared import OFF, VARIABLE
from common.errors import EngineError, SourceError
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.benchmarks._pool_memory import Memory, pool_memory

VOLUMES, SIDE, HOSPITALS = 200, 128, 4
POOLED_HOSPITALS = 100
MOST_KEPT_MIB, MOST_EACH_MIB = 500, 100
STUDY = """
title = "Volumes"
rounds = 1
seed = 1
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
source = {{ name = "nifti", folder = "{folder}", table = "sites.csv", dimensions = 3, size = {side}, classes = ["none", "ball"] }}
task = {{ name = "segmentation", patch = [32, 32, 32], scores = ["dice"], network = {{ name = "unet", channels = 4, depth = 2 }} }}
training = {{ steps = 10, batch_size = 2, learning_rate = 0.01 }}
federation = {{ evaluate_every = 0 }}
split = {{ validation = 0.0, test = 0.02 }}
"""
WAYS = {"eager": OFF, "lazy, first start": "", "lazy, second start": ""}


def measure(console: Console, volumes: int = VOLUMES, side: int = SIDE) -> Measured:
    """Train on the same volumes each way, in a process of its own, and read what it kept; then the shared data set."""
    with TemporaryDirectory() as place, Progress(console=console, transient=True) as progress:
        bar = progress.add_task("writing volumes", total=volumes + len(WAYS) + 1)
        folder = Path(place) / "volumes"
        for number in range(volumes):
            write_volume(folder, number, side)
            progress.advance(bar)
        original_gb = sum(path.stat().st_size for path in folder.rglob("*.nii")) / 1e9
        study = Path(place) / "study.toml"
        study.write_text(STUDY.format(folder=folder, side=side), encoding="utf-8")
        told: dict[str, Mapping[str, float | str]] = {}
        for way, prepared in WAYS.items():
            progress.update(bar, description=way)
            told[way] = _probe(study, Path(place) / way, prepared or str(Path(place) / "prepared"))
            progress.advance(bar)
        progress.update(bar, description=f"{POOLED_HOSPITALS} hospitals of MNIST")
        pooled = _pooled(Path(place))
    rows = [_row(way, original_gb, one) for way, one in told.items()]
    rows += [] if pooled is None else [_pooled_row(pooled)]
    notes = (
        [] if pooled is not None else ["MNIST is not here (`wardround data list`): its hospitals were not measured."]
    )
    return Measured(f"Memory for data: {volumes} volumes of {side}^3", rows, _targets(told, pooled), (*NOTES, *notes))


NOTES = (
    "kept MiB: memory of the process alone after the run, peak MiB: the most it had resident, mapped pages included; "
    "both with Python, torch and the network, which take some 300 MiB.",
    "originals read: files of volumes that were opened. The second start finds them prepared.",
)


def write_volume(folder: Path, number: int, side: int) -> None:
    """A noisy ball in a volume of `side`^3 int16 at 1 mm, its labels, and its line in the table of hospitals."""
    rng = np.random.default_rng(number)
    axes = np.ogrid[:side, :side, :side]
    centre = rng.uniform(0.4, 0.6, 3) * side
    ball = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)) < (0.2 * side) ** 2
    image = (rng.integers(0, 60, (side,) * 3) + 100 * ball).astype(np.int16)
    for kind, values in (("images", image), ("labels", ball.astype(np.uint8))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(values, np.eye(4)).to_filename(folder / kind / f"v{number:03d}.nii")
    table = folder / "sites.csv"
    lines = table.read_text(encoding="utf-8") if table.exists() else "patient,site\n"
    table.write_text(f"{lines}v{number:03d},site-{number % HOSPITALS}\n", encoding="utf-8")


def _probe(study: Path, folder: Path, prepared: str) -> Mapping[str, float | str]:
    """What `_data_probe` tells of one run in a fresh process."""
    command = [sys.executable, "-m", "experiments.benchmarks._data_probe", str(study), str(folder)]
    done = subprocess.run(
        command,
        env={**os.environ, VARIABLE: prepared, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"the run of {folder.name!r} failed: {done.stderr[-800:]}")
    told: Mapping[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return told


def _pooled(place: Path) -> Memory | None:
    try:
        return pool_memory(find("mnist"), place / "mnist", POOLED_HOSPITALS)
    except SourceError:
        return None


def _row(way: str, original_gb: float, told: Mapping[str, float | str]) -> dict[str, Cell]:
    return {
        "way": way,
        "GB on disk": round(original_gb, 2),
        "kept MiB": round(float(told["kept_mib"])),
        "peak MiB": round(float(told["peak_mib"])),
        "s": round(float(told["seconds"]), 1),
        "CPU s": round(float(told["cpu_s"]), 1),
        "originals read": int(told["originals_read"]),
        "model": str(told["model"])[:12],
    }


def _pooled_row(memory: Memory) -> dict[str, Cell]:
    return {
        "way": f"{memory.hospitals} hospitals of MNIST, a process each",
        "GB on disk": round(memory.original_gb, 2),
        "kept MiB": round(memory.own_mib),
        "peak MiB": round(memory.most_own_mib),
        "s": round(memory.seconds, 1),
        "CPU s": None,
        "originals read": None,
        "model": None,
    }


def _targets(told: Mapping[str, Mapping[str, float | str]], pooled: Memory | None) -> list[Target]:
    lazy, again = told["lazy, first start"], told["lazy, second start"]
    kept = max(float(lazy["kept_mib"]), float(again["kept_mib"]))
    same = len({str(one["model"]) for one in told.values()}) == 1
    read = int(again["originals_read"])
    own = None if pooled is None else pooled.own_mib
    return [
        Target("lazy: MiB kept a process", kept, None, None, f"at most {MOST_KEPT_MIB}", kept <= MOST_KEPT_MIB),
        Target("one model, lazy or not", float(same), None, None, "bit-identical", same),
        Target("second start: originals read", read, None, None, "none", read == 0),
        Target(
            "hospitals of MNIST: MiB each beyond what is shared, median at rest",
            own,
            None,
            None,
            f"at most {MOST_EACH_MIB}",
            None if own is None else own <= MOST_EACH_MIB,
        ),
    ]


benchmark: Benchmark = measure
