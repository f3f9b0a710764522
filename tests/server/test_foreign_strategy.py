"""A stranger's strategy that raises, or gives no model, ends a run in one line that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wardround
from common.errors import RoundError, StudyError
from common.learning.parameters import refuse_unsuitable

STUDY: dict[str, Any] = {
    "title": "Own strategy",
    "rounds": 1,
    "engine": "inline",
    "source": {"name": "phantom", "hospitals": 3, "patients": [4], "slices_per_patient": 1, "size": 16},
    "task": {"name": "segmentation", "network": {"name": "unet", "channels": 2, "depth": 2}},
    "aggregation": "plain",
    "training": {"steps": 1, "batch_size": 2},
}
CLASS = """
from dataclasses import dataclass
import numpy as np
from server.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class Own(FedAvg):
    def {method}(self, *given):
        {body}
"""


@pytest.mark.parametrize(
    ("method", "body", "said"),
    [
        ("step", "raise ValueError('too\\n bad')", "failed in step: ValueError: too bad, line 10 of"),
        ("init", "return given[9]", "failed in init: IndexError"),
        ("init", "return {'v': [1.0]}", "a state of float64 arrays by name"),
        ("step", "return {}, given[1].astype(np.float64)", "a model of shape"),
        ("step", "return {}, given[1][:3]", "a model of shape"),
        ("step", "return {}, None", "a model of shape"),
    ],
)
def test_what_a_strategy_does_wrong_is_said_with_its_name(method: str, body: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CLASS.format(method=method, body=body), encoding="utf-8")
    with pytest.raises(RoundError, match=r"own\.py:Own") as error:
        wardround.run(folder=tmp_path / "run", show=False, strategy=f"{tmp_path}/own.py:Own", **STUDY)
    assert said in str(error.value)


def test_an_instance_norm_that_keeps_statistics_is_refused_as_batch_norm_is() -> None:
    refuse_unsuitable(nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2)))
    with pytest.raises(StudyError, match="InstanceNorm2d"):
        refuse_unsuitable(nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True)))
    assert torch.is_tensor(nn.InstanceNorm2d(2, track_running_stats=True).running_mean)
