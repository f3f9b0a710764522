"""Runs whose hospitals share secrets with some neighbours alone: the very model of all pairs, whatever goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from common.study.study import Study
from experiments.engines._quiet import run_quietly

TEN = ('partition={name="iid",hospitals=10}', "federation.least_in_sum=4")
CHOSEN = 'aggregation={name="secagg",neighbours=8,success_bits=1,secrecy_bits=20}'
DISTRIBUTED = 'privacy={name="distributed",noise_multiplier=0.5,delta=1e-3,sampling_rate=0.5,colluding=1}'


def model_of(study: Study, folder: Path) -> bytes:
    run_quietly(study, folder)
    return (folder / "model.safetensors").read_bytes()


def test_the_model_is_that_of_all_pairs_bit_for_bit_under_distributed_noise(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = ('strategy={name="fedsgd",learning_rate=0.1}', "training={batch_size=8}", "rounds=1", DISTRIBUTED)
    all_pairs = model_of(tiny(*TEN, *study, "aggregation=secagg"), tmp_path / "all")
    assert model_of(tiny(*TEN, *study, CHOSEN), tmp_path / "chosen") == all_pairs
    about = json.loads((tmp_path / "chosen/about.json").read_text())
    assert "shares its secrets with 8 of 9 others" in about["readers"]


def test_hospitals_that_keep_state_share_with_neighbours_too(tiny: Callable[..., Study], tmp_path: Path) -> None:
    """Two vectors a hospital, and what it starts from compared among neighbours."""
    one_group = ("federation.least_in_sum=10",)
    scaffold = (*one_group, "strategy=scaffold", "rounds=2", "training={batch_size=8,steps=1,learning_rate=0.1}")
    all_pairs = model_of(tiny(*TEN, *scaffold, "aggregation=secagg"), tmp_path / "all")
    assert model_of(tiny(*TEN, *scaffold, CHOSEN), tmp_path / "chosen") == all_pairs
