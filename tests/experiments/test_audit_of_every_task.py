"""Every task of ours, and one that can nothing beyond its role, is audited to the end, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.study.catalogue import TASKS
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse
from experiments.audit.conduct import USED_UP, Effort, audit_run
from experiments.audit.report.page import page_of
from experiments.engines._quiet import run_quietly

OWN = Path(__file__).with_name("own_tasks.py")
TEXT = """
title = "Of every task"
rounds = 2
engine = "inline"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4, 4, 4], slices_per_patient = 1 }
task = "classification"
training = { batch_size = 2, steps = 2, learning_rate = 0.001 }
federation = { start_timeout_s = 600, round_timeout_s = 600, record_traffic = true }
baselines = { local = false, pooled = false }
"""
MLP = "network={name='mlp', hidden=[8]}"
PAIRS = "{name='phantom_pairs', hospitals=3, size=16, patients=[4, 4, 4]}"
TABLE = "source={{name='table', folder='{folder}', file='t.csv', site='site', features=['a', 'b', 'c'], {truth}}}"
TIMES = "target='survival', time='time', event='event'"
DIGITS = "{name='morpho', hospitals=3, patients=[4]}"
GRAPH = "graph='thickness -> intensity; thickness & intensity -> image'"
CAUSES = "causes=[{name='thickness', center=2.5}, {name='intensity', center=160, spread=55}]"
LADDER = "network={name='conditional_ladder', channels=[2], latents=[1], top=2}"
ENCODER = "network={name='groupnorm_cnn', channels=2}, projection=4"
IMAGED = "{name='phantom', hospitals=3, size=16, slices_per_patient=1, patients=[4]}"
SCANNED = f"{{name='acquired', images={IMAGED}, operators=['denoising']}}"
SMALL = "network={name='unet', channels=2, depth=1}"
SMALLER = "{name='downsampling', factor=2}"
STUDIES = {
    "adversarial": (
        "",
        f"{{name='adversarial', task={{name='segmentation', {SMALL}}}, size=0.1, attack='fgsm', recipe='fgsm'}}",
    ),
    "generator": (
        SCANNED,
        "{name='generator', operator='denoising', width=4, levels=1, latents=2, latent_steps=2, adaptation_steps=2}",
    ),
    "postprocessed": (SCANNED, f"{{name='postprocessed', operator='denoising', {SMALL}}}"),
    "direct": (SCANNED, f"{{name='direct', operator='denoising', {SMALL}}}"),
    "unrolled": (SCANNED, f"{{name='unrolled', operator='denoising', iterations=1, {SMALL}}}"),
    "denoiser": (SCANNED, f"{{name='denoiser', operator='denoising', iterations=1, {SMALL}}}"),
    "superresolution": (
        SCANNED.replace("'denoising'", SMALLER),
        f"{{name='superresolution', operator={SMALLER}, "
        "design={name='post', network={name='edsr', channels=2}}}",
    ),
    "simclr": (DIGITS, f"{{name='simclr', {ENCODER}}}"),
    "triplet": (DIGITS, f"{{name='triplet', {ENCODER}}}"),
    "regression": ("target='number', label='number'", f"{{name='regression', {MLP}, center=50, spread=6}}"),
    "survival": (TIMES, f"{{name='survival', {MLP}, cuts=[2.0, 3.0]}}"),
    "cox": (TIMES, f"{{name='cox', {MLP}}}"),
    "registration": (PAIRS, "{name='registration', network={name='voxelmorph', channels=2, depth=1}}"),
    "mae": ("", "{name='mae', network={name='vit', width=8, depth=1, heads=2}, decoder_width=8, decoder_heads=2}"),
    "ijepa": ("", "{name='ijepa', network={name='vit', width=8, depth=1, heads=2}, predictor_width=8}"),
    "planted": ("", "{name='planted', network={name='unet', channels=2, depth=1}}"),
    "deep_scm": (DIGITS, f"{{name='deep_scm', {GRAPH}, {CAUSES}, {LADDER}}}"),
    "dino": ("", "{name='dino', network={name='groupnorm_cnn', channels=4}, projection=8, hidden=8, prototypes=8}"),
    "byol": ("", "{name='byol', network={name='groupnorm_cnn', channels=4}, projection=8, hidden=8}"),
    "a stranger's": ("", f"{{name='{OWN}:Bare'}}"),
}
WITH_CLASSES = {"label_counts", "exact_batch", "fishing"}
"""Attacks that count or suppose a case's class."""


def test_every_task_is_audited_here() -> None:
    """But for two, of which most audits of these tests are."""
    assert set(STUDIES) == {*TASKS.names(), "a stranger's"} - {"classification", "segmentation"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["patient,site,a,b,c,number,time,event"]
    for number, (a, b, c, noise) in enumerate(rng.normal(size=(36, 4))):
        truth = f"{50 + 5 * a + noise:.2f},{abs(3 + a + noise):.2f},{number % 2}"
        rows.append(f"p{number},h{number % 3},{a:.3f},{b:.3f},{c:.3f},{truth}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize("name", STUDIES)
def test_an_audit_comes_to_its_end_and_guesses_no_class(name: str, table: Path) -> None:
    truth, task = STUDIES[name]
    own = [TABLE.format(folder=table, truth=truth)] if "target=" in truth else [f"source={truth}"] if truth else []
    with trusting(ANYTHING):
        run_quietly(parse(TEXT, [*own, f"task={task}"]), table / "run")
        report = audit_run(table / "run", Effort(0.1))
        assert "What was not tried" in page_of(report)
    failed = [(one.attack, one.reason) for one in report.trials if one.settings.get("failed")]
    assert not [one for one in failed if USED_UP not in one]
    assert all(one.possible or len(one.reason) > 10 for one in report.trials)
    assert not [one.attack for one in report.trials if one.possible and one.attack in WITH_CLASSES]
    tried = {column for one in report.trials if one.possible or one.refused for column in (one.kind, one.observer)}
    for verdict in report.verdicts:
        assert {column for column, light in verdict.lights.items() if light == "green"} <= tried
