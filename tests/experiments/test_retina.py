"""The shipped study of retinas runs on photographs that are drawn, and finds its settings itself."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

from common.study.study import parse
from experiments.commands._study_text import STUDIES
from experiments.running.run import run_study

DRAWN = Path(__file__).parents[2] / "docs" / "retina_images.py"
SHORT = ("rounds=1", "training.steps=1", "baselines.local=false", "engine=inline")


def test_photographs_of_three_clinics_become_a_model_in_one_command(tmp_path: Path) -> None:
    runpy.run_path(str(DRAWN))["write"](tmp_path / "photos", 5, 32)
    text = (STUDIES / "retina.toml").read_text(encoding="utf-8")
    run_study(parse(text, [*SHORT, f"source.folder={tmp_path / 'photos'}"]), "retina", tmp_path / "run")
    written = tomllib.loads((tmp_path / "run" / "study.toml").read_text())
    assert written["source"]["size"] == [32, 32]
    assert written["task"]["network"] == {"name": "unet", "widths": [8, 16, 32, 64]}  # 32 is halved to 4
    assert (tmp_path / "run" / "model.safetensors").exists()
