"""Whether a layer of a received model is an imprint: rows of one direction that sort cases into bins.

Each bin's gradient is then an input (Fowl et al. 2022, Robbing the Fed, section 3). What an imprint needs is rows
that are alike AND thresholds, -bias / norm, that differ by more than the rows' own differences move a case: else no
case has its place. Rows alone say nothing. Large steps along one gradient make an honest layer's rows alike (in
`heart` with a learning rate of 10, three fifths of them), and a network may begin with equal rows; but such steps
move weights and bias together, so that thresholds differ little more than rows do (`_order` was 3.4 at most).

Both are looked at on the hospital's own cases, and where those fall into no bins nothing is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import urandom

import numpy as np
import torch
from cryptography.hazmat.primitives.poly1305 import Poly1305
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital
from client.training import chunk_size
from client.whole_batches import pieces
from common.errors import WireError
from common.learning.device import home
from common.learning.losses import augmented, case_losses, groups_of
from common.learning.parameters import Layout, read, trainable, write
from common.privacy.noise_coverage import hides_cases
from common.privacy.study_facts import mechanism_of
from common.sums.update import Vector

PARALLEL = 0.9999
"""Cosine, of either sign, from which two rows have one direction; a server's imprint has 1 but for rounding."""
MOST_PARALLEL = 3
"""Rows of one direction that may be chance; an imprint of so few bins tells cases apart no better than any layer."""
NEARLY_PARALLEL, NEARLY_PARALLEL_IF_SHORT, SHORT = 0.8, 0.95, 32
"""An imprint under noise of half its rows' norm still has the first; of fewer inputs than the last, chance has it."""
MOST_IN_BINS = 0.25
"""Of a layer's rows, those in sets of nearly one direction, of whatever direction."""
LEAST_BINS = 8
"""So few rows that are nearly of one direction may be chance."""
LEAST_COLUMNS = 8
"""Of fewer inputs, honest random rows are parallel too."""
SORTS = 10.0
"""Deviation of the thresholds of rows that are alike, by how far the differences of these move a case."""
LENIENT = 3.0
"""Times as much, about the mean of what is shown: honest large steps on images, and diverging ones, reached 9.3."""
ROUNDING, TINY = 1e-7, 1e-12
"""Of thresholds that are equal, by their size, and against noughts."""
ROWS_A_BLOCK = 512
MANY_ROWS, SHADOWS = 1024, 256
"""Rows from which they are first seen from so many directions."""
SHADOW_OF_NEAR = NEARLY_PARALLEL - 6 * math.sqrt((1 - NEARLY_PARALLEL**2) / SHADOWS)
LAYERS_REMEMBERED = 256
MOST_CASES, MOST_PLACES = 512, 1024
"""Cases that are shown to the layers, and inputs of a layer that is applied to many places of a case."""


_KEY = urandom(32)
"""Of this process alone: whoever does not know it finds no second layer of the same tag, and it is made fast."""
_suspects: dict[tuple[tuple[int, ...], bytes], bool] = {}


@dataclass(frozen=True)
class _Rows:
    """Of a layer, those with a direction. cosines: (rows, rows) signed. thresholds: (rows,) bias by norm.
    shown: (rows, inputs) what rows of norm 1 make of a few inputs. sizes: (rows,) of one column of these, the root of
    its mean square, columns counted by what a row makes of them: one that it leaves out may be of any size.
    """

    cosines: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    shown: NDArray[np.float64]
    sizes: NDArray[np.float64]


def refuse_imprint(hospital: Hospital, parameters: Vector) -> None:
    """Raise WireError where a learned linear layer before the last is an imprint, and no noise hides cases."""
    tensors = _tensors(hospital, parameters)
    if hides_cases(mechanism_of(hospital.study)):
        return
    layers = {
        name: module for name, module in _hidden_linear(hospital.network).items() if f"{name}.weight" in tensors
    }
    suspect = {name: one for name, one in layers.items() if _is_suspect(tensors[f"{name}.weight"])}
    inputs = _inputs(hospital, parameters, suspect) if suspect else {}
    for name in inputs:
        weights = tensors[f"{name}.weight"]
        bias = tensors.get(f"{name}.bias", np.zeros(len(weights), np.float32))
        parallel, in_bins = sorting(weights, bias, inputs[name])
        is_parallel, is_in_bins = _beyond(parallel, in_bins, len(weights))
        if is_parallel:
            raise WireError(f"more than {MOST_PARALLEL} rows of layer {name} have one direction: an imprint.")
        if is_in_bins:
            raise WireError(
                f"{in_bins} rows of layer {name} have the direction of others, nearly: a blurred imprint."
            )


def _tensors(hospital: Hospital, parameters: Vector) -> Mapping[str, NDArray[np.float32]]:
    layout = Layout.of(hospital.network)
    if parameters.shape != (layout.length,):
        raise WireError(f"the model has {layout.length} parameters; {parameters.size} came.")
    return layout.tensors(parameters)


def _hidden_linear(network: nn.Module) -> dict[str, nn.Linear]:
    """All that are learned but the last: its rows of classes that no hospital has a case of are honestly parallel.

    A companion gives no gradient, into which cases could be copied.
    """
    learned = {name for name, _ in trainable(network)}
    linear = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    own = [name for name in linear if f"{name}.weight" in learned or f"{name}.bias" in learned]
    return {name: linear[name] for name in own[:-1]}


def _beyond(parallel: int, in_bins: int, rows: int) -> tuple[bool, bool]:
    return parallel > MOST_PARALLEL, in_bins > max(LEAST_BINS - 1, MOST_IN_BINS * rows)


def _is_suspect(weights: NDArray[np.float32]) -> bool:
    """Whether too many rows are alike. Kept, for hospitals that share a process are sent one model."""
    key = (weights.shape, Poly1305.generate_tag(_KEY, np.ascontiguousarray(weights).data.cast("B")))
    if key not in _suspects:
        if len(_suspects) >= LAYERS_REMEMBERED:
            _suspects.clear()
        _suspects[key] = any(_beyond(*_alike(weights)))
    return _suspects[key]


def _alike(weights: NDArray[np.float32]) -> tuple[int, int, int]:
    """The most rows that have the direction of one of them, how many have nearly that of others, and all.

    In float32 and in blocks: a large layer is never held a second time in another precision. Rows are first brought
    to norm 1, for products of rows of norm 1e20 or 1e-23 are not float32's.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", weights, weights, dtype=np.float64))
    has = norms > 0
    if weights.shape[1] < LEAST_COLUMNS or not has.any() or _is_plainly_apart(weights, norms):
        return 0, 0, len(weights)
    rows = weights[has]
    np.divide(rows, norms[has, None], out=rows, casting="same_kind")
    same, near, least = 0, 0, _least(weights)
    for start in range(0, len(rows), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        cosines = np.abs(rows[block] @ rows.T)
        same = max(same, int((cosines >= PARALLEL).sum(axis=1).max()))
        near += int(((cosines >= least).sum(axis=1) > MOST_PARALLEL).sum())
    return same, near, len(weights)


def _is_plainly_apart(weights: NDArray[np.float32], norms: NDArray[np.float64]) -> bool:
    """Whether none of many rows is near enough others for an imprint, from a few secret directions.

    All pairs of 2,600 rows of 2,900 inputs are 39 GFLOP; seen from SHADOWS random directions of equal signs a cosine
    c is within 6 deviations, sqrt((1 - c^2) / SHADOWS), of itself but once in 10^9, and then all are looked at. The
    directions are this process' own: nobody can lay rows out for them.
    """
    if len(weights) < MANY_ROWS or weights.shape[1] < 2 * SHADOWS:
        return False
    seen = _shadows(weights, norms)
    near = np.ones(len(seen), np.int64)  # a row to itself
    for start in range(0, len(seen), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        cosines = seen[block] @ seen[start:].T  # of each pair once
        np.abs(cosines, out=cosines)
        np.fill_diagonal(cosines, 0)
        if cosines.max() >= SHADOW_OF_NEAR:
            pairs = np.triu(cosines >= SHADOW_OF_NEAR)
            near[block] += pairs.sum(axis=1)
            near[start:] += pairs.sum(axis=0)
    return bool((near <= MOST_PARALLEL).all())


def _shadows(weights: NDArray[np.float32], norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """(rows, SHADOWS) of norm 1, each row seen from the secret directions; zeros of a row without a direction.

    Rows are only brought near norm 1 before: what is seen of them is brought there once more.
    """
    directions, seen = _directions_of_shadows(weights.shape[1]), np.empty((len(weights), SHADOWS), np.float32)
    sizes = np.where(norms > 0, np.minimum(norms, np.finfo(np.float32).max), 1).astype(np.float32)[:, None]
    for start in range(0, len(seen), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        np.matmul(weights[block] / sizes[block], directions, out=seen[block])
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), np.float32(TINY))
    return seen


@lru_cache(maxsize=8)
def _directions_of_shadows(columns: int) -> NDArray[np.float32]:
    """(columns, SHADOWS) of equal size and random signs."""
    bits = np.unpackbits(np.frombuffer(urandom(-(-columns * SHADOWS // 8)), np.uint8), count=columns * SHADOWS)
    signs = (2.0 * bits - 1.0).astype(np.float32).reshape(columns, SHADOWS)
    return signs / np.float32(math.sqrt(SHADOWS))


def sorting(weights: NDArray[np.float32], bias: NDArray[np.float32], inputs: NDArray[np.float64]) -> tuple[int, int]:
    """As `_alike`, of rows that sort what they are shown, (N, columns)."""
    rows, with_direction, norms = _directions(weights)
    cosines = _cosines(rows)
    if not cosines.size:
        return 0, 0
    sizes = np.sqrt(rows**2 @ (inputs**2).mean(0))
    one = _Rows(cosines, bias.astype(np.float64)[with_direction] / norms, rows @ inputs.T, sizes)
    found = []
    for least in (PARALLEL, _least(weights)):
        sets, of_rows = np.unique(np.abs(cosines) >= least, axis=0, return_inverse=True)
        members = [int(chosen.sum()) if _sorts(one, chosen) else 0 for chosen in sets]
        found.append(np.array(members)[of_rows.reshape(-1)])
    return max(1, int(found[0].max())), int((found[1] > 0).sum())


def _sorts(rows: _Rows, chosen: NDArray[np.bool_]) -> bool:
    """Whether enough rows are alike, differ in their thresholds, and so put what is shown into several bins."""
    if chosen.sum() <= MOST_PARALLEL or _order(rows, chosen) <= SORTS:
        return False
    reached = np.packbits(rows.shown[chosen] + rows.thresholds[chosen, None] > 0, axis=1)
    return len({row.tobytes() for row in reached}) > MOST_PARALLEL


def _order(rows: _Rows, chosen: NDArray[np.bool_]) -> float:
    """How far these rows' thresholds, and what is shown along them, differ: by how far the differences of their
    directions move what is shown, or would move as much in any direction.

    Or, more leniently, the same about the mean of what is shown: an input that is alike for all is a threshold too.
    """
    index = np.flatnonzero(chosen)
    signs = np.where(rows.cosines[index[0], index] < 0, -1.0, 1.0)
    together = rows.cosines[np.ix_(index, index)] * np.outer(signs, signs)
    length = max(float(np.sqrt(together.mean())), TINY)
    along = together.mean(1) / length
    anywhere = float(np.sqrt(np.maximum(1 - along**2, 0).mean())) * float(rows.sizes[index].max())
    projected, thresholds = rows.shown[index] * signs[:, None], rows.thresholds[index] * signs
    means = projected.mean(1)
    least = max(anywhere, ROUNDING * _size(thresholds), ROUNDING * _size(means), np.finfo(np.float64).tiny)
    plain = _apart(thresholds, projected, along, length, least)
    return max(plain, _apart(thresholds + means, projected - means[:, None], along, length, least) / LENIENT)


def _apart(
    thresholds: NDArray[np.float64],
    projected: NDArray[np.float64],
    along: NDArray[np.float64],
    length: float,
    least: float,
) -> float:
    """Deviation of thresholds, or of what is shown if less, by what differences of rows make of it, or `least`."""
    middle = projected.mean(0) / length
    here = _size(projected - along[:, None] * middle)
    return min(float(thresholds.std()), float(middle.std())) / max(here, least)


def _size(values: NDArray[np.float64]) -> float:
    return float(np.sqrt((values**2).mean()))


def _least(weights: NDArray[np.float32]) -> float:
    return NEARLY_PARALLEL if weights.shape[1] >= SHORT else NEARLY_PARALLEL_IF_SHORT


def _directions(weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Rows of norm 1, which of all they are, and their norms. Rows of zeros have no direction."""
    rows = weights.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    has = norms > 0
    return rows[has] / norms[has, None], has, norms[has]


def _cosines(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, rows); empty where none has a direction that chance would not give to others."""
    return rows @ rows.T if rows.shape[1] >= LEAST_COLUMNS else np.zeros((0, 0))


def _inputs(
    hospital: Hospital, parameters: Vector, layers: Mapping[str, nn.Linear]
) -> dict[str, NDArray[np.float64]]:
    """(N, columns) by layer, what it is shown of the hospital's cases; {} where there are none."""
    if not len(hospital.train):
        return {}
    network, before, training = hospital.network, read(hospital.network), hospital.network.training
    spread = np.linspace(0, len(hospital.train) - 1, min(len(hospital.train), MOST_CASES))
    found: dict[str, list[Tensor]] = {}
    try:
        write(network, parameters)
        network.eval()
        for piece in pieces(
            hospital.task, hospital.train, np.unique(spread.astype(np.int64)), chunk_size(hospital.train)
        ):
            _shown(hospital, piece, layers, found)
    finally:
        write(network, before)
        network.train(training)
    return {name: torch.cat(parts).double().numpy() for name, parts in found.items()}


def _shown(
    hospital: Hospital, piece: NDArray[np.int64], layers: Mapping[str, nn.Linear], found: dict[str, list[Tensor]]
) -> None:
    names = {id(layer): name for name, layer in layers.items()}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        rows = inputs[0].detach().flatten(0, -2)[:MOST_PLACES].cpu()
        found.setdefault(names[id(layer)], []).append(rows)

    handles = [layer.register_forward_hook(note) for layer in layers.values()]
    try:
        with torch.no_grad():
            batch = augmented(hospital.task, hospital.train.batch(piece), np.random.default_rng(0))
            group = groups_of(hospital.task, hospital.network)[0].name
            case_losses(hospital.task, hospital.network, batch.to(home(hospital.network)), group)
    finally:
        for handle in handles:
            handle.remove()
