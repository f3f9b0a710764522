"""A tiny study that needs no data but what it makes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from common.study.study import Study, parse
from experiments.audit import conduct
from experiments.audit.cast import Cast
from experiments.catalogue import ATTACKS
from experiments.cli import cli

TEXT = """
title = "Tiny"
rounds = 3
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "quantity", hospitals = 4 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60 }
"""
# No test may fail because the machine is slow: what has to time out says so itself.
PATIENCE = ("federation.start_timeout_s=600", "federation.round_timeout_s=600")


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 images of 6 x 6, bright on the left or on the right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (120, 1), dtype=np.uint8)
    images = rng.integers(0, 120, (120, 6, 6), dtype=np.uint8)
    images[:, :, :3] += 100 * (1 - labels[:, :, None])
    images[:, :, 3:] += 100 * labels[:, :, None]
    parts = {"train": slice(0, 80), "val": slice(80, 100), "test": slice(100, 120)}
    arrays = {f"{part}_images": images[cut] for part, cut in parts.items()}
    arrays |= {f"{part}_labels": labels[cut] for part, cut in parts.items()}
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "tiny.npz", **arrays)
    return folder


@pytest.fixture
def tiny(tiny_images: Path) -> Callable[..., Study]:
    """The tiny study, with overrides as on the command line."""
    own = [f'source.folder="{tiny_images}"', *PATIENCE]
    return lambda *overrides: parse(TEXT, [*own, *overrides])


@pytest.fixture(autouse=True)
def _without_a_pool(hospitals_read_for_themselves: None) -> None:
    """All of these; what is of the pool has a fixture of that name that does nothing."""


@pytest.fixture(scope="session")
def one_onnx_registry() -> None:
    """Torch reads the sources of 500 operators anew for every network that it exports, for two thirds of the time."""
    if find_spec("onnxscript"):
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        read_once = staticmethod(cache(ONNXRegistry.from_torchlib))
        pytest.MonkeyPatch().setattr(ONNXRegistry, "from_torchlib", read_once)


@pytest.fixture
def attacked_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Audits by these of our attacks, beside those that a study names: all others have tests of their own."""
    cast_of = conduct.cast_of

    def attacked(*kept: str) -> None:
        assert {*kept} <= {*ATTACKS.names()}
        left_out = {*ATTACKS.names()} - {*kept}

        def few(named: Iterable[tuple[str, str]]) -> Cast:
            cast = cast_of(named)
            return replace(cast, attacks={name: one for name, one in cast.attacks.items() if name not in left_out})

        monkeypatch.setattr(conduct, "cast_of", few)

    return attacked


@pytest.fixture
def few_attacks(attacked_by: Callable[..., None]) -> None:
    """Audits by the quickest of our attacks."""
    attacked_by("analytic", "loss_threshold")


@pytest.fixture
def wardround() -> Callable[..., tuple[int, str]]:
    """The command, called in this process: exit code and all it said."""

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, arguments)
        return result.exit_code, result.output

    return run
