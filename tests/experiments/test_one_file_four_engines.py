"""One file of a stranger's, with data set, network, loss and strategy, on every engine, from the wheel alone.

That of `deployment` is a drill, which runs where WARDROUND_DRILLS is set: half of the test's time goes into starts of
Flower's own programs. That they come up, `tests/security/test_deployment_port.py` shows in every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.experiments.test_engine_deployment import left_of

ROOT = Path(__file__).parents[2]
OWN = '''
"""A stranger's work, in one file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from common.data import Cases
from common.seeding import generator
from common.sums import Vector
from server.strategies.fedavg import FedAvg
from strangers_helper import PATIENTS


@dataclass(frozen=True)
class Points:
    """Two groups of points."""

    has_sites: ClassVar[bool] = True
    hospitals: int = 2

    def sites(self):
        return tuple(f"hospital-{number}" for number in range(self.hospitals))

    def cases(self, site, seed):
        rng = generator(seed, site, "points")
        targets = rng.integers(2, size=PATIENTS)
        inputs = rng.normal(targets[:, None], 1.0, size=(PATIENTS, 2)).astype(np.float32)
        return Cases.of(inputs, targets, [f"{site}-{one}" for one in range(PATIENTS)], ("healthy", "ill"))


class Net(nn.Module):
    def __init__(self, features, classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.Tanh(), nn.Linear(width, classes))

    def forward(self, inputs):
        return self.layers(inputs)


def focal(logits, targets, gamma=2.0):
    right = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return -((1 - right.exp()) ** gamma) * right


@dataclass(frozen=True)
class Cautious(FedAvg):
    """speed: share of the mean change that the model takes."""

    speed: float = 0.5

    def step(self, state, parameters: Vector, contributions):
        (delta,) = contributions.total.mean()
        return state, (parameters + np.float32(self.speed) * delta).astype(np.float32)


source, network, loss = Points, Net, focal
'''
STUDY = """
title = "A stranger's study"
rounds = 1
source = "strangers_own.py"
task = { name = "classification", network = { name = "strangers_own.py", width = 6 }, loss = "strangers_own.py" }
strategy = { name = "strangers_own.py:Cautious", speed = 0.7 }
aggregation = "plain"
federation.start_timeout_s = 1200
"""
ENGINES = (
    *("processes", "inline"),
    *(["simulation"] if find_spec("ray") else []),
    *(["deployment"] if os.environ.get("WARDROUND_DRILLS") else []),
)


OTHERS = """
import sys
from experiments.cli import cli
if __name__ == "__main__":
    for engine in sys.argv[1:]:
        try:
            cli(["run", "study.toml", "--engine", engine, "--folder", engine])
        except SystemExit as end:
            assert not end.code, end.code
"""
"""In one process, which imports once what each command would; the command starts what is usual, `processes`."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    from hatchling.builders.wheel import WheelBuilder

    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel, and every package but ours of the one that runs this test."""
    place = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=600)
    python = place / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *install, str(wheel)], check=True, timeout=600
    )
    packages = next(place.glob("lib/python3*/site-packages"))
    others = [one for one in sys.path if one.endswith("-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return python


def run(python: Path, folder: Path, *words: str) -> str:
    """What a program of the environment says, in a folder without any of our code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WARDROUND", "COV_"))}
    kept["WARDROUND_TEST"] = str(folder)
    command = [str(python), "-P", *words]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def test_the_wheel_holds_what_is_read_while_it_runs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {
        str(path.relative_to(ROOT))
        for package in ("common", "client", "server", "experiments", "wardround")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".pyc",) and "__pycache__" not in path.parts
    }
    assert data <= names and "experiments/studies/demo.toml" in names
    assert {"common/py.typed", "experiments/py.typed", "experiments/audit/report/schema.json"} <= names
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.timeout(1800)
def test_one_file_gives_the_bit_identical_model_on_every_engine_from_the_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "strangers_own.py").write_text(OWN)
    (tmp_path / "strangers_helper.py").write_text("PATIENTS = 24\n")
    (tmp_path / "study.toml").write_text(STUDY)
    found = run(
        python, tmp_path, "-c", "import common, wardround; print(common.__file__, wardround.__file__)"
    ).split()
    assert all(Path(one).is_relative_to(python.parents[1]) for one in found)
    run(python, tmp_path, str(python.with_name("wardround")), "run", "study.toml", "--folder", ENGINES[0])
    run(python, tmp_path, "-c", OTHERS, *ENGINES[1:])
    tables = {engine: json.loads((tmp_path / engine / "summary.json").read_text()) for engine in ENGINES}
    assert len({table["model_sha256"] for table in tables.values()}) == 1
    assert left_of(str(tmp_path)) == []
    digests = {digest for table in tables.values() for digest in table["plugins"].values()}
    assert len(digests) == 1 and len(digests.pop()) == 64
