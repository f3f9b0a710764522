"""Studies of the benchmark of super-resolution: the federation that is shipped, and designs by losses beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.study.study import Study, parse
from experiments.commands._study_text import STUDIES

BLURS = (0.3, 0.4, 0.5, 0.6)
"""Of each institution: standard deviation of its point spread, in large pixels."""
NOISES = (0.01, 0.02, 0.03, 0.04)
REACH_PIXELS: Mapping[int, int] = {2: 3, 3: 4, 4: 6, 6: 8}
STEPS = 400
BATCH = 4
ENCODER = "name = 'groupnorm_cnn', channels = 8"
DESIGNS: Mapping[str, str] = {
    "pre": "network = { name = 'edsr', channels = 12, blocks = 2 }",
    "post": "network = { name = 'edsr', channels = 24, blocks = 3 }",
    "progressive": "network = { name = 'edsr', channels = 16, blocks = 2 }",
    "iterative": "channels = 10, stages = 2",
}
LOSSES: Mapping[str, str] = {
    "l1": "'l1'",
    "perceptual": f"{{ name = 'perceptual', network = {{ {ENCODER} }}, weight = 0.02 }}",
    "gan": "{ name = 'gan', channels = 16, halvings = 3, weight = 0.003 }",
}
QUIET = ('engine="inline"', "baselines.local=false", "baselines.pooled=false")


def shipped(folder: Path, seed: int) -> Study:
    """`superresolution`, without what this benchmark measures by itself."""
    text = (STUDIES / "superresolution.toml").read_text(encoding="utf-8")
    return parse(text, [*QUIET, f'source.folder="{folder}"', f"seed={seed}"])


def operator(factor: int, blur: float | None = None) -> dict[str, object]:
    """Options of 'downsampling' by a factor; of an institution's own blur."""
    options: dict[str, object] = {"factor": factor, "kernel": "gaussian", "reach_pixels": REACH_PIXELS[factor]}
    return options if blur is None else {**options, "sd_pixels": round(blur * factor, 3)}


def designed(design: str, loss: str, made_for: int, factor: int, seed: int, encoder: Path | None) -> Study:
    """A task of one design and one loss on images measured with `factor`, whose network is made for another or it.

    encoder: of the perceptual loss. Nothing is run of it but what the benchmark trains: its source is of no account.
    """
    options = ", ".join(f"{name} = {_toml(one)}" for name, one in operator(factor).items())
    text = f"""
title = "{design} and {loss}"
rounds = 1
seed = {seed}
strategy = "fedavg"
aggregation = "plain"
source = {{ name = "phantom", hospitals = 3 }}
training = {{ steps = {STEPS}, batch_size = {BATCH}, learning_rate = 0.002, optimiser = "adam" }}

[task]
name = "superresolution"
operator = {{ name = "downsampling", {options} }}
design = {{ name = "{design}", {DESIGNS[design]} }}
loss = {LOSSES[loss]}
made_for = [{made_for}, {made_for}]
"""
    if encoder is not None:
        text += f'\n[start]\nmodel = "{encoder}"\nonly = ["encoder.*"]\n'
    return parse(text)


def pretraining(folder: Path, seed: int) -> Study:
    """Of the encoder of the perceptual loss: the same institutions' slices, without a label."""
    return parse(f"""
title = "An encoder of brain slices"
rounds = 4
seed = {seed}
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
task = {{ name = "simclr", network = {{ {ENCODER} }}, augmentation = {{ name = "mr" }} }}
training = {{ steps = 12, batch_size = 16, learning_rate = 0.003, optimiser = "adamw" }}
federation = {{ evaluate_every = 0 }}
baselines = {{ local = false, pooled = false }}

[source]
name = "acquired"
images = {{ name = "lgg", size = 64 }}
operators = ["denoising"]
folder = "{folder}"
""")


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
