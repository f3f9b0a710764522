"""A perceptual loss by an encoder that a run of pretraining made: brought by path and digest, and never trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.data.cases import Shape
from common.errors import StudyError
from common.files.tensor_files import read_tensors
from common.learning.start import MODEL_FILE, digest_of, first_network, needs_model, read_start, with_digest
from common.study.study import parse
from experiments.engines._quiet import run_quietly

ENCODER = 'network = { name = "groupnorm_cnn", channels = 2 }'
IMAGES = 'images = { name = "phantom", hospitals = 3, size = 16, patients = [4], slices_per_patient = 1 }'
SETTINGS = """
title = "Small"
rounds = 1
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 2, steps = 2, learning_rate = 0.001 }
federation = { start_timeout_s = 600, round_timeout_s = 600, evaluate_every = 0 }
baselines = { local = false, pooled = false }
"""
PRETRAINING = f"""{SETTINGS}
source = {{ name = "acquired", operators = ["denoising"], {IMAGES} }}
task = {{ name = "simclr", projection = 4, {ENCODER} }}
"""
LEARNING = f"""{SETTINGS}
source = {{ name = "acquired", operators = [{{ name = "downsampling", factor = 2 }}], {IMAGES} }}

[task]
name = "superresolution"
operator = {{ name = "downsampling", factor = 2 }}
design = {{ name = "post", network = {{ name = "edsr", channels = 2, blocks = 1 }} }}
loss = {{ name = "perceptual", {ENCODER} }}

[start]
model = "{{model}}"
only = ["encoder.*"]
"""


def learning(model: Path, **start: str) -> str:
    text = LEARNING.replace("{model}", str(model))
    return text + "".join(f'{name} = "{value}"\n' for name, value in start.items())


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    run_quietly(parse(PRETRAINING), folder)
    return folder


def test_hospitals_are_given_the_encoder_and_nobody_trains_it(pretrained: Path, tmp_path: Path) -> None:
    study = with_digest(parse(learning(pretrained)))
    run_quietly(study, tmp_path / "run")
    brought, model = (read_tensors(one, MODEL_FILE).tensors for one in (pretrained, tmp_path / "run"))
    own = {name: one for name, one in model.items() if name.startswith("encoder.")}
    assert own and all(np.array_equal(one, brought[name]) for name, one in own.items())
    assert study.start is not None and digest_of(read_start(study.start)) == study.start.sha256


def test_another_encoder_than_the_study_names_is_refused(pretrained: Path) -> None:
    study = parse(learning(pretrained, sha256="0" * 64))
    with pytest.raises(StudyError, match="another one than the study names"):
        first_network(study, study.build_task(), _shape())


def test_an_encoder_that_is_brought_does_not_travel_in_rounds(pretrained: Path) -> None:
    study = parse(learning(pretrained))
    assert needs_model(first_network(study, study.build_task(), _shape()), study.start)


def test_without_a_model_the_encoder_is_the_seeds(pretrained: Path) -> None:
    study = parse(learning(pretrained), ["start=none"])
    first, second = (first_network(study, study.build_task(), _shape()).state_dict() for _ in range(2))
    names = [name for name in first if name.startswith("encoder.")]
    assert names and all(bool((first[name] == second[name]).all()) for name in names)


def _shape() -> Shape:
    return Shape((1, 16, 16), 0)
