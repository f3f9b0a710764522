"""`wardround check` looks at data: what does not fit is refused there, by name, before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Command = Callable[..., tuple[int, str]]
STUDY = """
title = "A first look"
source = {{ name = "npz", folder = "{folder}", classes = ["no", "yes"] }}
task = {{ name = "{task}", network = {network} }}
aggregation = "plain"
"""


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., str]:
    """A study of a file of arrays a hospital."""

    def write(task: str = "classification", network: str = '"logistic"', **hospitals: dict[str, object]) -> str:
        (tmp_path / "data").mkdir()
        for name, arrays in hospitals.items():
            np.savez(tmp_path / "data" / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        file = tmp_path / "study.toml"
        file.write_text(STUDY.format(folder=tmp_path / "data", task=task, network=network))
        return str(file)

    return write


def table(cases: int = 12, features: int = 3, targets: object = None) -> dict[str, object]:
    rng = np.random.default_rng(0)
    return {
        "inputs": rng.normal(size=(cases, features)).astype(np.float32),
        "targets": rng.integers(0, 2, cases) if targets is None else targets,
        "patients": np.array([f"p{number}" for number in range(cases)]),
    }


def images(cases: int = 6, side: int = 8, masks: bool = False) -> dict[str, object]:
    made = table(cases)
    made["inputs"] = np.random.default_rng(1).normal(size=(cases, 1, side, side)).astype(np.float32)
    if masks:
        made["targets"] = np.zeros((cases, side, side), np.int64)
    return made


def test_what_fits_is_said_with_the_shapes_that_were_seen(wardround: Command, study: Callable[..., str]) -> None:
    code, said = wardround("check", study(north=table(), south=table()))
    assert code == 0, said
    assert "# Looked at cases of north, south: inputs of 3 features with one of 2 classes a case (no, yes)." in said


@pytest.mark.parametrize(
    ("task", "network", "hospitals", "words"),
    [
        ("classification", '"unet"', {"north": table(), "south": table()}, ["north", "'unet' needs images"]),
        ("segmentation", '"unet"', {"north": images(side=9, masks=True)}, ["north", "9 x 9", "multiples of"]),
        ("classification", '"logistic"', {"north": images(masks=True)}, ["'north'", "masks of 8 x 8"]),
        ("segmentation", '"dilated"', {"north": images()}, ["'segmentation'", "one of 2 classes a case"]),
        ("classification", '"logistic"', {"north": table(), "south": table(features=4)}, ["'north'", "'south'", "4"]),
    ],
)
def test_a_network_or_a_task_that_does_not_fit_is_refused_by_name(
    wardround: Command,
    study: Callable[..., str],
    task: str,
    network: str,
    hospitals: dict[str, dict[str, object]],
    words: list[str],
) -> None:
    code, said = wardround("check", study(task, network, **hospitals))
    assert code == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said.replace("\n", " ")


def test_a_patch_of_mostly_filler_is_refused(wardround: Command, study: Callable[..., str]) -> None:
    file = study("segmentation", '"dilated"', north=images(masks=True))
    code, said = wardround("check", file, "--set", "task.patch=[64, 64]")
    assert (code, "98 % of what the network is shown would be filler" in said) == (1, True), said
    code, said = wardround("check", file, "--set", "task.patch=[8, 10]")
    assert (code, "what is missing is filled in" in said) == (0, True), said


def test_a_network_with_batch_normalisation_is_refused(
    wardround: Command, study: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "normed.py").write_text(
        "from dataclasses import dataclass\nfrom torch import nn\n\n@dataclass(frozen=True)\nclass Normed:\n"
        "    def build(self, shape):\n        return nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))\n"
    )
    code, said = wardround("check", study(network='"normed.py:Normed"', north=table()))
    assert (code, "Use torch.nn.GroupNorm instead" in said.replace("\n", " ")) == (1, True), said


def test_absent_data_are_said_and_the_rest_is_checked(wardround: Command, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY.format(folder=tmp_path / "nowhere", task="classification", network='"logistic"'))
    code, said = wardround("check", str(file))
    assert (code, "no case was looked at" in said, "This study trusts" in said) == (0, True, True), said


def test_a_hospital_whose_cases_cannot_be_used_is_named(wardround: Command, study: Callable[..., str]) -> None:
    broken = table()
    broken["inputs"] = np.full((12, 3), np.nan, np.float32)
    code, said = wardround("check", study(north=table(), south=broken))
    assert (code, "1 of the study's hospitals has no case that can be used. south" in said.replace("\n", " ")) == (
        1,
        True,
    ), said


def test_a_partition_among_more_hospitals_than_patients_is_refused(
    wardround: Command, tiny_images: Path, tmp_path: Path
) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        f'title = "Many"\nsource = {{ name = "medmnist", folder = "{tiny_images}" }}\n'
        'task = "classification"\naggregation = "plain"\npartition = { name = "iid", hospitals = 500 }\n'
    )
    code, said = wardround("check", str(file))
    assert (code, "120 patients cannot be divided between 500 hospitals" in said) == (1, True), said


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("federation.client_fraction=0", "federation.client_fraction"),
        ("federation.client_fraction=1.5", "federation.client_fraction"),
        ("federation.stop_at_score=nan", "federation.stop_at_score"),
        ("rounds=-1", "study.rounds"),
        ("rounds=1" + "0" * 400, "study.rounds"),
        ("training.learning_rate=nan", "training.learning_rate"),
        ("training.batch_size=0", "training.batch_size"),
        ('privacy={name="dpsgd", epsilon=0.0, delta=1e-5}', "privacy.epsilon"),
        ('privacy={name="dpsgd", epsilon=1.0, delta=1}', "privacy.delta"),
    ],
)
def test_a_number_out_of_range_is_refused_where_it_is_read(wardround: Command, setting: str, place: str) -> None:
    code, said = wardround("check", "heart", "--set", setting)
    assert (code, said.startswith(f"Study: {place}")) == (1, True), said
