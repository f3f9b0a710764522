"""Maps equal those of captum and zennit, second libraries, to 1e-6."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from common.attribution.aim import Logits
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from tests.common.attribution.second_libraries import (
    MAP_LAYER,
    NUMBERS,
    STRIDE,
    WINDOW,
    classes,
    network_and_inputs,
)

THEIRS = json.loads(NUMBERS.read_text(encoding="utf-8"))
EVERY = [
    (library, name, method)
    for library, networks in THEIRS.items()
    for name, maps in networks.items()
    for method in maps
]
IG = {"points": 20, "doublings": 0}


def entry(name: str, method: str) -> Entry:
    """As the other library was asked."""
    if method == "gauss":
        return Entry("integrated_gradients", IG)
    if method == "midpoint":
        return Entry("integrated_gradients", {**IG, "rule": "midpoint", "baseline": "value", "value": 0.25})
    if method == "occlusion":
        windows = {} if name == "table" else {"window": [WINDOW], "stride": [STRIDE]}
        return Entry("occlusion", {**windows, "fill": "value", "value": 0.25})
    if method == "grad_cam":
        return Entry("grad_cam", {"layer": MAP_LAYER[name], "upsampling": "nearest"})
    return Entry(method)


@pytest.mark.parametrize(("library", "name", "method"), EVERY)
def test_a_map_is_that_of_another_library(library: str, name: str, method: str) -> None:
    network, inputs = network_and_inputs(name)
    found = ATTRIBUTIONS.build(entry(name, method)).explain(
        network, inputs, Logits(classes()), np.random.default_rng(0)
    )
    expected = torch.tensor(THEIRS[library][name][method]).reshape(len(inputs), -1, *inputs.shape[2:])
    expected = expected.reshape(found.shape) if expected.numel() == found.numel() else expected
    torch.testing.assert_close(found.expand(expected.shape), expected, rtol=1e-6, atol=1e-6)


def test_what_is_compared_is_no_row_of_zeros() -> None:
    for _, name, method in EVERY:
        assert max(map(abs, THEIRS["captum"][name].get(method, [1]))) > 1e-3, (name, method)
    assert {"image", "functional", "volume", "table"} == set(THEIRS["captum"])
