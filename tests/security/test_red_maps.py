"""Whoever asks for maps chooses the model: one that is silent but for one person makes sums that person's own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import Hospital
from common.asking.exact_sums import Total
from common.errors import RefusedError, StudyError
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse_json
from tests.security.asked_hospital import Asker
from tests.security.test_red_probes import with_start

SIDE, PERSONS = 4, 48


def write_images(folder: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    inputs = rng.random((PERSONS, 1, SIDE, SIDE)).astype(np.float32)
    inputs *= np.linspace(0.2, 1.0, PERSONS, dtype=np.float32)[:, None, None, None]
    labels = np.arange(PERSONS) % 2
    names = np.array([f"p{row:02d}" for row in range(PERSONS)])
    np.savez(folder / "A.npz", inputs=inputs, targets=labels, patients=names)
    return folder


class Shown(Asker):
    """A hospital of images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        (self.data / "A.csv").unlink()
        write_images(self.data)


STUDY = {
    "title": "t",
    "rounds": 1,
    "seed": 1,
    "strategy": "fedavg",
    "aggregation": "plain",
    "source": {"name": "npz", "folder": "data", "channels": "first", "classes": ["no", "yes"]},
    "task": {"name": "classification", "network": {"name": "mlp", "hidden": [2]}},
    "start": {"model": "somewhere", "sha256": "0" * 64},
    "split": {"validation": 0.0, "test": 0.0},
}


def asker(root: Path, *questions: Any, **study: Any) -> Shown:
    return Shown(root, questions, study={**STUDY, **study})


def maps(**options: Any) -> dict[str, Any]:
    return {"name": "attribution_maps", "method": "gradient_x_input", "side": SIDE, **options}


def brightest_alone(one: Asker, count: int, label: int | None = None) -> np.ndarray:
    """The model answers to so many of the brightest cases only. Of the least bright of these the image, as shares."""
    hospital: Hospital = one.hospital
    batch = hospital.train.batch(np.arange(len(hospital.train)))
    images, labels = batch.inputs.numpy().reshape(len(batch), -1), batch.targets.numpy()
    own = images if label is None else images[labels == label]
    own = own[np.argsort(-own.sum(1))]
    bound = own[count - 1 : count + 1].sum(1).mean()
    weights, answers = np.zeros((2, SIDE**2)), np.zeros((2, 2))
    weights[0], answers[:, 0] = 1, 1
    names = [name for name, _ in hospital.network.named_parameters()]
    values = (weights, np.array([-bound, 0.0]), answers, np.zeros(2))
    with_start(one, dict(zip(names, values, strict=True)))
    image: np.ndarray = own[count - 1] / own[count - 1].sum()
    return image


def shares_of(total: Total) -> np.ndarray:
    return total["shares"].reshape(2, SIDE**2)


def test_a_model_that_looks_at_one_person_alone_is_not_asked_exactly(tmp_path: Path) -> None:
    """Before: of all persons the brightest one's image was the sum, to a millionth."""
    one = asker(tmp_path, maps())
    image = brightest_alone(one, 1)
    told: Any = None
    with contextlib.suppress(RefusedError):
        told = shares_of(one.total(**maps()))
    assert told is None, f"the image is told to {np.abs(told - image).max(1).min():.1e}"


def test_with_noise_another_model_is_another_question(tmp_path: Path) -> None:
    """Before: it was answered with the numbers of the first model, and nothing said so."""
    noisy = maps(epsilon=1.0, side=1)
    found = []
    for seed in (1, 1, 2):
        one = asker(tmp_path, noisy, title=f"t{len(found)}", seed=seed)
        brightest_alone(one, 12, 1)
        found.append(one.total(**noisy).integers["cases"].tolist())
    assert found[0] == found[1] != found[2]


def test_a_plug_in_that_makes_maps_is_among_those_that_people_approve(tmp_path: Path) -> None:
    """Before: it was named in the question alone, and its files had no digest in the study."""
    own = tmp_path / "own.py"
    own.write_text((Path("common/attribution/methods") / "saliency.py").read_text())
    table = {**STUDY, "analyses": [{"name": "attribution_maps", "method": f"{own}:Saliency"}]}
    with pytest.raises(StudyError, match="which was not run"):
        parse_json(json.dumps(table))
    with trusting(ANYTHING):
        assert parse_json(json.dumps(table)).plugins
    table["analyses"] = [{"name": "attribution_maps", "method": {"name": "occlusion", "window": [-1]}}]
    with pytest.raises(StudyError, match="window"):
        parse_json(json.dumps(table))
