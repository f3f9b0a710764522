"""Honest training, ordinary and far from it: no hospital refuses a model of it, and limits are not come near to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client import handlers as answers
from client import imprints, singled_out
from client.approval import approve
from client.hospital import Hospital
from common.errors import WireError
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.engines._quiet import run_quietly

MARGIN = 0.7
"""Of each limit: the most that may be reached."""
ONE_GRADIENT, LARGE_STEP = 'strategy={name="fedsgd",learning_rate=1.0}', 'strategy={name="fedsgd",learning_rate=10.0}'
WIDE, DEEP = 'task.network={name="mlp",hidden=[64]}', 'task.network={name="mlp",hidden=[32,32]}'


@pytest.mark.parametrize(
    "settings",
    [
        (ONE_GRADIENT, WIDE, "training.batch_size=16", "rounds=8"),
        (LARGE_STEP, DEEP, 'training.batch_size="full"', "rounds=12"),
        ("strategy=fedavg", WIDE, "training={batch_size=1,epochs=1}", "rounds=2"),
        ("strategy=fedavg", DEEP, 'training={batch_size=8,steps=30,optimiser="adam",learning_rate=0.05}'),
        (ONE_GRADIENT, WIDE, "training.batch_size=16", 'partition={name="shards",hospitals=4}', "rounds=8"),
        (LARGE_STEP, 'task.network="logistic"', 'training.batch_size="full"'),
    ],
)
def test_no_model_of_honest_training_is_refused_or_comes_near_to_it(
    settings: tuple[str, ...], tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    nearest: list[float] = [0.0]

    def looked_at(hospital: Hospital, order: Order) -> None:
        try:
            approve(hospital, order)
        except WireError as error:
            refused.append(str(error))
            raise

    order = imprints._order
    monkeypatch.setattr(imprints, "_order", lambda *rows: _noted(nearest, order(*rows), imprints.SORTS))
    found_of = singled_out.singled_out

    def found(hospital: Hospital, order: Order) -> dict[str, singled_out.Singled]:
        found = found_of(hospital, order)
        for one in found.values():
            _noted(nearest, one.alone, singled_out.MOST_ALONE)
            _noted(nearest, one.rare, singled_out.MOST_RARE)
        return found

    monkeypatch.setattr(singled_out, "singled_out", found)
    monkeypatch.setattr(answers, "approve", looked_at)
    run_quietly(tiny(*settings), tmp_path / "run")
    assert not refused and max(nearest) <= MARGIN


def _noted(nearest: list[float], reached: float, limit: float) -> float:
    nearest.append(reached / limit)
    return reached
