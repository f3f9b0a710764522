"""Which patches a transformer was shown, read from gradients of two of its layers: no label, no mask, no search.

Every patch x at place t becomes a token z = W x + c_t, of which attention is shown u = gain * (z - mean(z)) / sigma
+ shift. The gradient of the weights that make queries, keys and values is a sum over tokens of d u^T, so that its
rows span exactly what the tokens span, as long as there are fewer of them than numbers of a token. A patch at place t
is in the update if and only if gain * (z - mean(z)) + sigma shift lies in that span; x and sigma are the unknowns,
and the equations are linear in both and far more than these. (Petrov et al. 2024, DAGER, section 4.1, look for words
among a vocabulary so; here patches are solved for, and the place, which differs from token to token, says where they
lie.) Places that are sines and cosines of rows and columns are no independent vectors: then what is certain at one
layer is a patch but for a few directions, and the spans of all later layers, in which every token must lie as well,
settle these.

What MAE hides is in its gradient as well. That of the layer that paints is sum_t r_t h_t^T, with h_t what the decoder
makes of the visible patches, which are known by now, and r_t the derivative by what was painted, a multiple of its
distance from the truth: with fewer hidden patches than numbers of h_t it is solved for r_t, and so for the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from common.data.cases import Shape

RANK = 1e-5
"""Singular values below this share of the largest are rounding."""
MISSES = 1e-3
"""Relative distance of a place's patch from the span, from which on it is none of the update. Wrong places miss by
more; by chance one comes so near with a probability of about MISSES to the number of spare equations."""
FEWEST_SPARE = 4
"""Equations beyond the unknowns of a place, without which the distance says nothing."""


@dataclass(frozen=True)
class Embedding:
    """How a transformer begins. weight: (width, P) of the layer that is shown patches. at_nothing: (T, width) the
    tokens of an image of zeros. pixels: (T, P) which value of an image each value of a patch is. attends: name of the
    layer behind the first normalisation.
    """

    weight: Tensor
    at_nothing: Tensor
    pixels: Tensor
    gain: Tensor
    shift: Tensor
    attends: str


@dataclass(frozen=True)
class Patches:
    """places: (K,) of the patches that were found. values: (K, P). tokens: rank of the update, 0 where it is full.

    free: (D, P) what may be added to any of them, so far as one layer tells; (0, P) where they are certain.
    """

    places: Tensor
    values: Tensor
    tokens: int
    free: Tensor

    @classmethod
    def none(cls, embedding: Embedding, tokens: int) -> Patches:
        """No patch of an update of so many tokens."""
        empty = torch.zeros(0, embedding.weight.shape[1], dtype=torch.float64)
        return cls(torch.zeros(0, dtype=torch.int64), empty, tokens, empty)


class _Watch:
    """What layers of some kinds are shown while a network runs, in order."""

    def __init__(self, network: nn.Module) -> None:
        self.seen: list[tuple[str, nn.Module, Tensor]] = []
        kinds = (nn.Linear, nn.LayerNorm)
        self.handles = [
            module.register_forward_hook(self._note(name))
            for name, module in network.named_modules()
            if isinstance(module, kinds)
        ]

    def _note(self, name: str) -> Any:
        def note(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self.seen.append((name, module, arguments[0].detach()))

        return note

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def embedding_of(network: nn.Module, shape: Shape) -> Embedding | None:
    """Of a network in float64 that cuts images into patches and normalises tokens at first; None of any other."""
    size = prod(shape.inputs)
    numbered = torch.arange(size, dtype=torch.float64).reshape(1, *shape.inputs)
    runs = []
    for image in (torch.zeros_like(numbered), numbered):
        try:
            with torch.no_grad(), _Watch(network) as watch:
                network(image)
        except (RuntimeError, TypeError, ValueError, LookupError):
            return None
        runs.append(watch.seen)
    nothing, counted = runs
    kinds = [type(module) for _, module, _ in nothing[:3]]
    if len(counted) != len(nothing) or kinds != [nn.Linear, nn.LayerNorm, nn.Linear] or nothing[0][2].ndim != 3:
        return None
    (_, embed, patches), (_, norm, tokens), (attends, _, _) = counted[0], nothing[1], nothing[2]
    if patches[0].numel() != size or tokens.shape[1] < patches.shape[1]:
        return None
    at_nothing = tokens[0, tokens.shape[1] - patches.shape[1] :]
    weight = cast(Tensor, embed.weight).detach().double()
    if not torch.allclose(counted[1][2][0, -len(at_nothing) :], at_nothing + patches[0] @ weight.T, rtol=1e-6):
        return None
    gain, shift = (cast(Tensor, getattr(norm, part)).detach().double() for part in ("weight", "bias"))
    return Embedding(weight, at_nothing, patches[0].round().long(), gain, shift, attends)


def patches_in(gradient: Tensor, embedding: Embedding, places: Tensor | None = None) -> Patches:
    """The patches behind the gradient (rows, width) of the layer that attends.

    places: (K,) where they lie, where that is known: then they are told but for what is `free`. Where it is not, only
    places are told of which nothing is.
    """
    width, per_patch = embedding.weight.shape
    _, sizes, rows = torch.linalg.svd(gradient.double(), full_matrices=False)
    tokens = int((sizes > RANK * sizes[0]).sum())
    if width - tokens < per_patch + 1 + FEWEST_SPARE:
        return Patches.none(embedding, 0)
    outside = torch.eye(width, dtype=torch.float64) - rows[:tokens].T @ rows[:tokens]
    unknowns = outside @ _scaled(embedding, embedding.weight.T).T
    if embedding.shift.abs().max() > 0:
        unknowns = torch.cat([unknowns, (outside @ embedding.shift)[:, None]], dim=1)
    wanted = -(outside @ _scaled(embedding, embedding.at_nothing).T)
    left, strengths, right = torch.linalg.svd(unknowns, full_matrices=False)
    firm = strengths > RANK * strengths[0]
    if places is None and not firm.all():
        return Patches.none(embedding, tokens)
    solved = right[firm].T @ ((left[:, firm].T @ wanted) / strengths[firm, None])
    off = (unknowns @ solved - wanted).norm(dim=0) / wanted.norm(dim=0).clamp(min=1e-30)
    fit = torch.nonzero(off < MISSES)[:, 0]
    if places is None and len(fit) > tokens:  # what is even all over may lie anywhere
        fit = fit[:0]
    if places is not None:
        fit = places if bool(torch.isin(places, fit).all()) else fit[:0]
    return Patches(fit, solved[:per_patch, fit].T, tokens, right[~firm][:, :per_patch])


def outside_span(gradient: Tensor) -> Tensor | None:
    """(width, width) projects out of the span of what a layer was shown; None where that may be anything."""
    _, sizes, rows = torch.linalg.svd(gradient.double(), full_matrices=False)
    rank = int((sizes > RANK * sizes[0]).sum())
    if rank >= gradient.shape[1] or rank >= gradient.shape[0]:
        return None
    outside: Tensor = torch.eye(gradient.shape[1], dtype=torch.float64) - rows[:rank].T @ rows[:rank]
    return outside


def hidden_in(gradient: Tensor, shown: Tensor, painted_slope: Tensor, steps: Tensor) -> Tensor | None:
    """(M, P) the hidden patches, or None where there are more of them than numbers that the last layer is shown.

    gradient: (P, width) of the layer that paints. shown: (M, width) what it is shown. painted_slope: (M, P) the loss'
    derivative by what is painted, were the truth zero; steps: (M, P) by how much it falls where the truth is one.
    """
    if len(shown) > shown.shape[1] or float(steps.abs().min()) <= 0:
        return None
    slopes = torch.linalg.lstsq(shown.T.double(), gradient.T.double()).solution
    hidden: Tensor = (painted_slope.double() - slopes) / steps.double()
    return hidden


def _scaled(embedding: Embedding, tokens: Tensor) -> Tensor:
    """(K, width) gain * (token - its mean)."""
    return (tokens - tokens.mean(1, keepdim=True)) * embedding.gain
