"""Steps of ours and of lightly's on one network, in turn, for a Python that has lightly; JSON on the last line.

Both take views, or masks, that are made already: what makes them is measured by itself. Theirs is a plain loop around
lightly's loss and, where there is one, its moving average of the teacher; of MAE its usual loop around its functions
for tokens. Not imported by the program.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch

from common.data.cases import Batch, Cases
from common.learning.losses import augmented, follow
from common.learning.parameters import new_network, trainable
from common.study.catalogue import TASKS
from common.study.options import Entry

CASES, SIDE, PAIRS, WARM = 128, 28, 24, 2
Step = Callable[[], None]


def main() -> None:
    """Of every method whose loss, or loop, lightly has."""
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps({name: _ratio(name) for name in ("simclr", "byol", "dino", "mae")}) + "\n")


def _ratio(name: str) -> dict[str, float]:
    options = {"local_crops": 0} if name == "dino" else {}
    task = TASKS.build(Entry(name, options))
    images = np.random.default_rng(0).random((CASES, 1, SIDE, SIDE), dtype=np.float32)
    cases = Cases.of(images, np.zeros(CASES, np.float32), [f"p{index}" for index in range(CASES)])
    batch = augmented(task, cases.batch(), np.random.default_rng(0))
    ours, theirs = _ours(task, cases, batch), _theirs(name, task, cases, batch)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    both = (("ours", ours), ("theirs", theirs))
    for number in range(PAIRS + WARM):
        for side, step in both if number % 2 else both[::-1]:
            begin = process_time()
            step()
            times[side].append(process_time() - begin)
    pairs = [one / other for one, other in zip(times["ours"][WARM:], times["theirs"][WARM:], strict=True)]
    return {
        "ours": 1000 * median(times["ours"][WARM:]),
        "theirs": 1000 * median(times["theirs"][WARM:]),
        "ratio": median(pairs),
    }


def _ours(task: Any, cases: Cases, batch: Batch) -> Step:
    network: Any = new_network(task, cases.shape, 1).train()
    optimiser = torch.optim.AdamW([one for _, one in trainable(network)], lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        task.loss(network, batch).mean().backward()
        optimiser.step()
        follow(task, network)

    return step


def _theirs(name: str, task: Any, cases: Cases, batch: Batch) -> Step:
    """The same parts, of the same sizes, in lightly's usual loop."""
    from common.selfsupervision.drawn_views import seen

    network: Any = new_network(task, cases.shape, 1).train()
    optimiser = torch.optim.AdamW([one for _, one in trainable(network)], lr=1e-3)
    losses, update_momentum = import_module("lightly.loss"), import_module("lightly.models.utils").update_momentum
    contrast, similarity = losses.NTXentLoss(0.2), losses.NegativeCosineSimilarity()
    against = losses.DINOLoss(output_dim=getattr(task, "prototypes", 8))
    parts = [part for part in ("moments", "projector", "predictor", "prototypes") if hasattr(network, part)]

    def answered(images: torch.Tensor) -> Any:
        values = network.encoder(images)
        for part in parts:
            values = getattr(network, part)(values)
        return values

    def taught(images: torch.Tensor) -> Any:
        with torch.no_grad():
            return network.teacher(images)

    painted = _painted(task, network, batch) if name == "mae" else None

    def loss() -> Any:
        if painted is not None:
            return painted()
        first, second = (seen(task.augmentation, batch.inputs, batch.tensor(one)) for one in task.views[:2])
        if name == "simclr":
            return contrast(answered(first), answered(second))
        if name == "byol":
            one, other = taught(first), taught(second)
            return (similarity(answered(first), other) + similarity(answered(second), one)) / 2
        return against([taught(first), taught(second)], [answered(first), answered(second)], epoch=0)

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        if hasattr(network, "teacher"):
            update_momentum(network.encoder, network.teacher.encoder, 0.99)
            update_momentum(network.projector, network.teacher.projector, 0.99)

    return step


def _painted(task: Any, network: Any, batch: Batch) -> Callable[[], torch.Tensor]:
    """The loss as lightly's MAE has it: its decoder is shown all tokens in order, hidden ones as one learned."""
    from common.selfsupervision.masks import MASK, count_of_visible, parted

    tokens, encoder, decoder = import_module("lightly.models.utils"), network.encoder, network.decoder
    images, mask = batch.inputs, batch.tensor(MASK)
    shown, hidden = parted(mask, count_of_visible(mask.shape[1], task.masked))
    side, places = encoder.patch[0], torch.arange(mask.shape[1]).expand(mask.shape)

    def loss() -> torch.Tensor:
        encoded = encoder.encoded(tokens.get_at_index(encoder.tokens(images), shown))
        seen = tokens.repeat_token(decoder.hidden.weight[None], mask.shape)
        seen = tokens.set_at_index(seen, shown, decoder.embed(encoded)) + decoder.position(places)
        for block in decoder.blocks:
            seen = block(seen)
        found = decoder.paint(tokens.get_at_index(decoder.norm(seen), hidden))
        truth = tokens.get_at_index(tokens.patchify(images, side), hidden)
        return torch.nn.functional.mse_loss(found, tokens.normalize_mean_var(truth, dim=-1))

    return loss


if __name__ == "__main__":
    main()
