"""Perceptual: images are alike whose features are, by an encoder of the federation's own (Johnson et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.own_loss import Loss
from common.reconstruction.losses._pixels import PIXELS, Pixels, WithVariation, each, pixel_loss
from common.selfsupervision.encoder import PART, encoder_of
from common.study.catalogue import NETWORKS
from common.study.checks import one_of, positive
from common.study.options import Entry


@dataclass(frozen=True)
class Perceptual(WithVariation):
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels.

    network: of the encoder. Its features are compared at each of its resolutions, the last map of every one: mean
    squared differences (equation 2), summed. Of complex images it sees the magnitude. pixels: the loss of pixels
    beside it, "l1", "l2" or "huber"; weight: of the features' loss beside that.

    The encoder is a part of the model that nobody trains. With

        [start]
        model = "runs/pretrain_lgg"
        only = ["encoder.*"]

    it is one that a run of pretraining made, checked by its digest in every hospital. Without [start] it is drawn
    from the seed: a fixed random encoder, which compares edges and textures and knows nothing of anatomy. Images must
    be scaled as those that it was pretrained on.
    """

    network: Entry = field(default_factory=lambda: Entry("groupnorm_cnn"))
    pixels: Pixels = "l1"
    weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)
        one_of("loss 'perceptual'", PIXELS, pixels=self.pixels)
        positive("loss 'perceptual'", weight=self.weight)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Raises StudyError: it needs an encoder."""
        raise StudyError(
            "loss 'perceptual' needs images and an encoder of them: it is of tasks that reconstruct images."
        )

    def parts(self, shape: tuple[int, ...]) -> Mapping[str, nn.Module]:
        """The encoder, which is not trained."""
        encoder = encoder_of(self.network, Shape(shape, 1)).network
        levels_of(encoder, shape)
        return {PART: encoder.requires_grad_(False)}

    def of_parts(self, made: Tensor, truth: Tensor, shown: tuple[Tensor, Tensor], parts: nn.Module) -> Tensor:
        """(N,)."""
        encoder = parts.get_submodule(PART)
        levels = levels_of(encoder, tuple(shown[0].shape[1:]))
        with torch.no_grad():
            wanted = features_at(encoder, shown[1], levels)
        found = features_at(encoder, shown[0], levels)
        losses = pixel_loss(made, truth, self.pixels) + self.beside(made)
        for one, other in zip(found, wanted, strict=True):
            losses = losses + self.weight * each((one - other).square())
        return losses


def levels_of(encoder: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Parts of an encoder whose answers are the last maps of each resolution on the way down.

    Raises StudyError where it keeps no map.
    """
    known: dict[tuple[int, ...], tuple[str, ...]] = encoder.__dict__.setdefault("_levels", {})
    if shape not in known:
        known[shape] = _found_levels(encoder, shape)
    return known[shape]


def features_at(encoder: nn.Module, images: Tensor, levels: tuple[str, ...]) -> list[Tensor]:
    """The maps (N, W, *s) of these parts."""
    found: dict[str, Tensor] = {}

    def kept(path: str, answer: Tensor) -> None:
        found[path] = answer

    handles = [
        encoder.get_submodule(path).register_forward_hook(lambda _part, _given, answer, path=path: kept(path, answer))
        for path in levels
    ]
    try:
        encoder(images)
    finally:
        for handle in handles:
            handle.remove()
    return [found[path] for path in levels]


def _found_levels(encoder: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    axes, last = len(shape) - 1, dict[tuple[int, ...], str]()

    def looked_at(path: str, answer: object) -> None:
        if isinstance(answer, Tensor) and answer.ndim == axes + 2 and max(answer.shape[2:]) > 1:
            last[tuple(answer.shape[2:])] = path

    leaves = [(path, part) for path, part in encoder.named_modules() if path and not list(part.children())]
    handles = [
        part.register_forward_hook(lambda _part, _given, answer, path=path: looked_at(path, answer))
        for path, part in leaves
    ]
    like = next(encoder.parameters())
    with torch.no_grad():
        encoder(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    for handle in handles:
        handle.remove()
    if not last:
        raise StudyError(
            "loss 'perceptual'.network keeps no map of an image whose places could be compared: choose "
            "'groupnorm_cnn' or 'unet'."
        )
    return tuple(last.values())


loss: type[Loss] = Perceptual
