"""A stranger's Dataset as a source: its items, persons and hospitals, and what is wrong with one, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.pool import key_of
from client.sources.torch import Torch
from common.data.cases import Cases
from common.errors import SourceError, StudyError
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse
from experiments.engines._quiet import run_quietly

MINIMAL = """
import torch

class Mine(torch.utils.data.Dataset):
    def __init__(self):
        self.x = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    def __len__(self):
        return len(self.x)
    def __getitem__(self, i):
        return self.x[i], int(self.x[i].sum() > 0)
"""
STUDY = """
title = "Mine"
rounds = 1
source = { name = "torch", dataset = "mine.py:Mine" }
task = "classification"
strategy = "fedavg"
partition = { name = "iid", hospitals = 3 }
engine = "inline"
"""


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


def source(place: Path, body: str, head: str = "", **options: Any) -> Torch:
    """body: of `__getitem__(self, i)`, of four items. head: of the class."""
    lines = ["import random, torch, numpy as np", "from PIL import Image", "class Mine:", "    count = 4"]
    lines += [f"    {line}" for line in head.splitlines()]
    lines += ["    def __len__(self): return self.count", "    def __getitem__(self, i):"]
    lines += [f"        {line}" for line in body.splitlines()]
    (place / "mine.py").write_text("\n".join(lines))
    return Torch(f"{place / 'mine.py'}:Mine", **options)


def cases(place: Path, body: str, head: str = "", **options: Any) -> Cases:
    return source(place, body, head, **options).cases(None, 0)


def test_ten_lines_of_a_stranger_and_fewer_of_a_study_are_a_run(tmp_path: Path) -> None:
    assert len(MINIMAL.strip().splitlines()) <= 10 and len(STUDY.strip().splitlines()) <= 15
    (tmp_path / "mine.py").write_text(MINIMAL)
    study = parse(STUDY, beside=tmp_path)
    assert study.source.options["dataset"] == f"{tmp_path / 'mine.py'}:Mine"
    outcome = run_quietly(study, tmp_path / "run")
    assert outcome.about["state"] == "completed"
    kept = key_of(json.loads(study.json))
    (tmp_path / "mine.py").write_text(MINIMAL.replace("60", "66"))
    assert key_of(json.loads(parse(STUDY, beside=tmp_path).json)) != kept


@pytest.mark.parametrize(
    ("body", "inputs", "targets"),
    [
        ("return torch.full((3,), float(i)), i % 2", (3,), [0, 1, 0, 1]),
        ("return np.full((2, 5), i, np.uint8), np.int64(i % 2)", (1, 2, 5), [0, 1, 0, 1]),
        ("return [float(i)], torch.tensor([i % 2])", (1,), [0, 1, 0, 1]),
        ("return {'image': torch.zeros(1, 2, 5), 'label': i % 2}", (1, 2, 5), [0, 1, 0, 1]),
        ("return Image.new('RGB', (5, 2)), i % 2", (3, 2, 5), [0, 1, 0, 1]),
        ("return float(i), bool(i % 2)", (1,), [0, 1, 0, 1]),
    ],
)
def test_items_of_many_kinds_are_cases(
    tmp_path: Path, body: str, inputs: tuple[int, ...], targets: list[int]
) -> None:
    found = cases(tmp_path, body)
    assert found.shape.inputs == inputs and found.inputs.dtype == np.float32
    assert found.targets.tolist() == targets and found.classes == ("class 0", "class 1")


def test_masks_real_numbers_and_words_are_targets(tmp_path: Path) -> None:
    mask = cases(tmp_path, "return torch.zeros(1, 2, 3), torch.full((1, 2, 3), i % 3)", classes=("a", "b", "c"))
    assert mask.targets.shape == (4, 2, 3) and mask.targets[2, 0, 0] == 2
    real = cases(tmp_path, "return torch.zeros(3), 0.5 * i")
    assert real.classes == () and real.targets.tolist() == [0, 0.5, 1, 1.5] and real.targets.dtype == np.float32
    word = cases(tmp_path, "return torch.zeros(3), 'ab'[i % 2]", "classes = ['a', 'b']")
    assert word.targets.tolist() == [0, 1, 0, 1] and word.classes == ("a", "b")


def test_an_image_of_pillow_lies_between_0_and_1(tmp_path: Path) -> None:
    found = cases(tmp_path, "return Image.new('L', (5, 2), 51), i % 2")
    np.testing.assert_allclose(found.inputs, 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    "head",
    [
        "persons = ['p', 'p', 'q', 'r']\nward = ['N', 'N', 'S', 'S']",
        "def persons(self): return ['p', 'p', 'q', 'r']\ndef ward(self): return ('N', 'N', 'S', 'S')",
        "def persons(self, i): return 'ppqr'[i]\ndef ward(self, i): return 'NNSS'[i]",
    ],
)
def test_persons_and_hospitals_are_attributes_methods_or_keys(tmp_path: Path, head: str) -> None:
    by_name = source(tmp_path, "return torch.zeros(3) + i, i % 2", head, sites_in="ward")
    assert by_name.sites() == ("N", "S") and by_name.has_sites
    assert by_name.cases("N", 0).patients.tolist() == ["p", "p"]
    assert by_name.cases("S", 0).patients.tolist() == ["q", "r"]
    item = "return {'x': torch.zeros(3), 'y': i % 2, 'who': 'ppqr'[i], 'where': 'NNSS'[i]}"
    by_key = source(tmp_path, item, sites_in="where", persons_in="who")
    assert by_key.sites() == ("N", "S") and by_key.cases("N", 0).patients.tolist() == ["p", "p"]


def test_without_persons_a_name_follows_from_what_an_item_holds(tmp_path: Path) -> None:
    whole = cases(tmp_path, "return torch.zeros(3) + i, i % 2").patients.tolist()
    fewer = cases(tmp_path, "return torch.zeros(3) + i + 1, i % 2", "count = 3").patients.tolist()
    assert len(set(whole)) == 4 and fewer == whole[1:]


def test_an_item_that_fails_is_quarantined_and_the_others_stay(tmp_path: Path) -> None:
    body = "if i == 1: raise ValueError('no such file x.png')\nif i == 2: return torch.tensor([float('nan')]), 0\n"
    found = cases(tmp_path, body + "return torch.zeros(1), i % 2")
    assert len(found) == 2
    assert [(one.name, one.reason) for one in found.quarantined] == [
        ("item 1", "cannot be read: ValueError: no such file x.png"),
        ("item 2", "has an input with values that are not finite (NaN or infinity)"),
    ]


def test_items_of_varying_shape_are_kept_apart(tmp_path: Path) -> None:
    assert cases(tmp_path, "return torch.zeros(1, 4, 3 + i), i % 2").shape.inputs == (1, 4, 0)


def test_a_random_transform_is_pointed_out(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"two reads of item 0 of the dataset differ.*augmentation"):
        cases(tmp_path, "return torch.tensor([random.random()]), i % 2")


def test_folder_and_options_reach_the_constructor(tmp_path: Path) -> None:
    head = "def __init__(self, root, shift=0.0): self.root, self.shift = root, shift"
    found = cases(
        tmp_path, "return torch.tensor([len(self.root) + self.shift]), i % 2", head,
        folder=str(tmp_path), options={"shift": 0.5},
    )  # fmt: skip
    assert found.inputs[0, 0] == len(str(tmp_path)) + 0.5
    with pytest.raises(SourceError, match=r"cannot be built: TypeError.*shfit"):
        cases(tmp_path, "return 0.0, 0", head, folder=str(tmp_path), options={"shfit": 1})
    with pytest.raises(StudyError, match=r"takes no folder.*leave source\.folder out"):
        cases(tmp_path, "return 0.0, 0", "def __init__(self): pass", folder=str(tmp_path))


@pytest.mark.parametrize(
    ("body", "head", "options", "words"),
    [
        ("return 1.0, 0, 2", "", {}, "is tuple of 3; an item is"),
        ("return torch.zeros(2)", "", {}, "is Tensor; an item is"),
        ("return {'a': 1.0, 'b': 2}", "", {}, "is a dict of a, b: name the one that is meant in source.input_key"),
        ("return object(), 0", "", {}, "holds object"),
        ("return 1.0, i + 2", "", {"classes": ("a", "b")}, "there are 2 classes, 0 to 1"),
        ("return 1.0, 0", "", {"persons_in": "who"}, "No attribute of the dataset or key of its items 'who'"),
        ("return 1.0, 0", "persons = ['p']", {}, "has 4 items, and 'persons' of it names 1"),
        ("return 1.0, 0", "count = 0", {}, "has no item"),
    ],
)
def test_what_is_no_case_is_said_in_words(
    tmp_path: Path, body: str, head: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises((SourceError, StudyError)) as caught:
        cases(tmp_path, body, head, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("mine", "names a class by module or file"),
        ("mine.py", "needs a class"),
        ("mine.py:Mien", "did you mean 'Mine'?"),
        ("mine.py:helper", "is no map-style Dataset"),
        ("absent.py:Mine", "cannot be used: No such file or directory"),
        ("no_such_module.data:Mine", "there is no module 'no_such_module.data' here"),
    ],
)
def test_a_dataset_that_is_none_is_refused(tmp_path: Path, dataset: str, words: str) -> None:
    source(tmp_path, "return 1.0, 0")
    with (tmp_path / "mine.py").open("a") as file:
        file.write("\ndef helper(): pass\n")
    name = f"{tmp_path}/{dataset}" if ".py" in dataset else dataset
    with pytest.raises(StudyError) as caught:
        Torch(name).cases(None, 0)
    assert words in str(caught.value)


def test_absolute_imports_of_torch_still_find_torch() -> None:
    import torch

    import client.sources.torch as ours

    assert hasattr(torch, "Tensor") and ours.__name__ == "client.sources.torch"
