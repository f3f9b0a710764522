"""The benchmark of explanations: the proof by counterfactual, and what its table says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.attribution.faithfulness.judging import judged, measured
from common.attribution.methods.edges import Edges
from common.attribution.methods.occlusion import Occlusion
from experiments.benchmarks._planted_shortcut import FLAT, MARKER, POOLED, Shortcut, with_letter
from experiments.benchmarks.explain import SHOWN, measured_of, proof


class Reader(nn.Module):
    """Calls ill where the mean of some pixels is high."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.read = nn.Linear(28 * 28, 2)
        weights = mask.float().flatten() / mask.sum()
        with torch.no_grad():
            self.read.weight.copy_(torch.stack([-weights, weights]) * 20)
            self.read.bias.copy_(torch.tensor([8.0, -8.0]))

    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.read(inputs.flatten(1))
        return answer


@pytest.fixture(scope="module")
def planted() -> Shortcut:
    """A network that reads where the letter is, and one that reads the opposite corner."""
    images = torch.from_numpy(np.random.default_rng(0).uniform(0, 0.2, (12, 1, 28, 28)).astype(np.float32))
    here = torch.from_numpy(MARKER.mask((1, 28, 28)))
    turned = np.ones(len(images), bool)
    return Shortcut(0, Reader(here), Reader(here.flip(0, 1)), images, turned, np.linspace(0.5, 1, 12), (0.5, 0.5))


def test_the_counterfactual_is_the_letter_alone(planted: Shortcut) -> None:
    assert proof(planted) == {
        "planted_with": 1.0,
        "planted_without": 0.0,
        "clean_with": 0.0,
        "clean_without": 0.0,
        "turned": 1.0,
        "accuracy_planted": 0.5,
        "accuracy_clean": 0.5,
    }
    changed = (planted.marked != planted.healthy).any(0)[0]
    assert not (changed & ~torch.from_numpy(MARKER.mask((1, 28, 28)))).any() and changed.any()
    assert torch.equal(with_letter(planted.healthy), planted.marked)


def test_occlusion_is_believed_and_edges_are_not(planted: Shortcut) -> None:
    """Edges hit the letter in both networks: only the difference counts."""
    found = {type(one).__name__: measured(planted.trial(one)) for one in (Occlusion((4,), (2,)), Edges())}
    edges, covered = judged(found["Edges"]), judged(found["Occlusion"])
    assert found["Edges"]["pointing_hit"].value == found["Edges"]["clean_hit"].value == 1
    assert edges.findings["pointing"].passed and not edges.findings["clean"].passed and not edges.sane
    assert covered.findings["clean"].passed and covered.findings["deletion"].passed


def row(method: str, hit: float, clean: float, seed: int) -> dict[str, Any]:
    by_squares = {"window hit": hit, "clean window hit": clean}
    return {"method": method, "seed": seed, **dict.fromkeys(SHOWN, 0.5), **by_squares, "words": "w"}


def test_targets_are_of_means_over_seeds_and_of_the_peers() -> None:
    rows = [row("occlusion", 1.0, 0.0, 0), row("occlusion", 0.92, 0.2, 1), row("integrated_gradients", 0.9, 0.0, 0)]
    peers = [{"method": "occlusion", "apart": 2e-7, "ours_s": 0.9, "captum_s": 1.0, "bound_s": 0.8}]
    found = measured_of([], rows, peers)
    met = {(one.name, one.target): one.met for one in found.targets}
    assert met == {
        ("integrated_gradients: hit", "at least .95 planted"): False,
        ("integrated_gradients: clean hit", "at most .10 clean"): True,
        ("occlusion: hit", "at least .95 planted"): True,
        ("occlusion: clean hit", "at most .10 clean"): True,
        ("maps apart from captum's", "at most 1e-6"): True,
        ("occlusion's CPU", "at most captum's"): True,
        ("occlusion's CPU", "at most 1.1 of its passes"): False,
    }
    assert len(found.rows) == 2 and found.notes[:2] == [f"{name}: not measured." for name in (FLAT, POOLED)]


def test_what_was_not_measured_is_not_met() -> None:
    assert {one.met for one in measured_of([], [], []).targets} == {None}


def test_the_proof_is_told_in_words() -> None:
    shares = {"planted_with": 0.64, "planted_without": 0.2, "clean_with": 0.1, "clean_without": 0.1}
    notes = measured_of([{"network": FLAT, "seed": 0, **shares}], [], []).notes
    assert "with the letter 0.64, without it 0.20; by the clean model 0.10 and 0.10" in notes[0]
