"""What is exchanged of a network as one flat float32 vector, and back: what is learned, then its companion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.abilities import companion
from common.learning.client_work import Training
from common.learning.freezing import freeze, personal_names
from common.learning.task import Task
from common.seeding import entropy
from common.sums.update import Vector

VALUES_A_BLOCK = 1 << 15
"""Of a large model, at a time."""
_COMPANION, _PERSONAL, _FIRST_PERSONAL = "_companion_names", "_personal_names", "_first_personal"


def new_network(task: Task, shape: Shape, seed: int, training: Training | None = None) -> nn.Module:
    """The task's network for `shape`, initialised from the seed alone; global generators are left as they were.

    training: what of it is frozen, and whether the task can be trained so. Raises StudyError where it cannot.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(entropy(seed, "initial parameters") % 2**63)
        network = task.build_network(shape)
    _mark_companion(network, companion(task))
    refuse_unsuitable(network)
    if training is not None:
        refuse_other_classes(training, shape)
        freeze(network, training.freeze)
        keep_apart(network, training.personal)
    return network


def refuse_other_classes(training: Training, shape: Shape) -> None:
    """Raise StudyError where what the study says of classes does not fit those of the cases."""
    named = "class_counts" if training.class_weights == "balanced" else "class_weights"
    weights = training.public_class_weights
    if weights is not None and len(weights) != shape.classes:
        raise StudyError(f"training.{named} lists {len(weights)} classes; the cases are of {shape.classes}.")
    if not shape.classes and (training.class_weights is not None or training.sampling == "by_class"):
        setting = "sampling = 'by_class'" if training.class_weights is None else "class_weights"
        raise StudyError(f"training.{setting} needs cases of classes; these have real numbers as targets.")


def refuse_unsuitable(network: nn.Module) -> None:
    """Raise StudyError for normalisation with running statistics, and for what is trained and not float32."""
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) or (isinstance(module, _InstanceNorm) and module.track_running_stats):
            raise StudyError(
                f"{name or 'the network'} is a {type(module).__name__}: its running statistics would leave the "
                "hospital and mix patients within a batch. Use torch.nn.GroupNorm instead."
            )
    for name, parameter in trainable(network):
        if parameter.dtype != torch.float32:
            raise StudyError(f"parameter {name} is {parameter.dtype}; only torch.float32 can be exchanged.")


def _mark_companion(network: nn.Module, beginnings: Sequence[str]) -> None:
    """What is called so, or lies under it, is exchanged and never learned; the network itself says so from here on.

    But not a buffer that is not persistent, which is no part of a model. Raises StudyError where nothing has such a
    name, or what has cannot be exchanged.
    """
    saved = network.state_dict(keep_vars=True)
    tensors = {name: one for name, one in saved.items() if isinstance(one, Tensor)}
    marked: dict[str, Tensor] = {}
    for beginning in beginnings:
        found = {name: one for name, one in tensors.items() if is_under(name, beginning)}
        if not found:
            top = sorted({name.partition(".")[0] for name in tensors})
            raise StudyError(f"the network has no companion {beginning!r}; it holds {', '.join(top)}.")
        marked |= found
    for name, tensor in marked.items():
        if tensor.dtype != torch.float32:
            raise StudyError(f"companion {name} is {tensor.dtype}; only torch.float32 can be exchanged.")
        tensor.requires_grad_(False)
    setattr(network, _COMPANION, tuple(sorted(marked)))


def is_under(name: str, beginning: str) -> bool:
    """Whether a parameter is called so, or belongs to a part that is."""
    return name == beginning or name.startswith(f"{beginning}.")


def companion_tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Names and tensors that are exchanged and not learned, in the order of their names; [] for most networks."""
    names = getattr(network, _COMPANION, ())
    if not names:
        return []
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return [(name, tensors[name]) for name in names]


def exchanged(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Names and tensors in the order of vectors: all that is learned together, then all of the companion."""
    return [*shared(network), *companion_tensors(network)]


def kept(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Names and tensors of a run's model: all that is exchanged, and what is frozen."""
    return sorted({**dict(network.named_parameters()), **dict(companion_tensors(network))}.items())


def trainable(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that are learned, in the order of their names."""
    return sorted((name, p) for name, p in network.named_parameters() if p.requires_grad)


def shared(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that are learned together, in the order of their names."""
    own = getattr(network, _PERSONAL, ())
    return [(name, parameter) for name, parameter in trainable(network) if name not in own]


def personal(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that are learned in one hospital and stay there; [] for most networks."""
    own = getattr(network, _PERSONAL, ())
    return [(name, parameter) for name, parameter in trainable(network) if name in own]


def read_personal(network: nn.Module) -> Vector:
    """(Q,) float32: all that stays in the hospital."""
    return _flat([parameter for _, parameter in personal(network)])


def keep_apart(network: nn.Module, patterns: tuple[str, ...]) -> None:
    """Let parameters whose names fit stay in the hospital; at first they are what they are now."""
    if patterns:
        setattr(network, _PERSONAL, personal_names(network, patterns))
        remember_first_personal(network)


def remember_first_personal(network: nn.Module) -> None:
    """What stays in a hospital is at first what it is now."""
    setattr(network, _FIRST_PERSONAL, read_personal(network))


def first_personal(network: nn.Module) -> Vector:
    """(Q,) float32: what stays in a hospital before it trained."""
    first: Vector = getattr(network, _FIRST_PERSONAL, np.zeros(0, np.float32))
    return first


def write_personal(network: nn.Module, vector: Vector) -> None:
    """Set all that stays in the hospital from a (Q,) float32 vector. Raises ValueError where Q does not fit."""
    _fill([parameter for _, parameter in personal(network)], vector)


def read(network: nn.Module) -> Vector:
    """(P,) float32: all that is exchanged."""
    return _flat([tensor for _, tensor in exchanged(network)])


def write(network: nn.Module, vector: Vector) -> None:
    """Set all that is exchanged from a (P,) float32 vector. Raises ValueError where P does not fit."""
    _fill([tensor for _, tensor in exchanged(network)], vector)


def farthest(network: nn.Module, vector: Vector) -> float:
    """The largest difference between what is exchanged of a network and (P,) float32 values; NaN if there is one."""
    largest = [np.float32(0)]
    for own, other in _blocks([tensor for _, tensor in exchanged(network)], vector):
        largest.append(np.abs(own.cpu().numpy() - other).max())
    return float(np.max(largest))


def scaled_change(network: nn.Module, before: Vector, count: int) -> Vector:
    """(P,) float32: count times the change of a network since `before`, computed in float64 and rounded once.

    A large model is never held in float64, nor read a second time.
    """
    change, at, exact = np.empty_like(before), 0, np.empty((2, VALUES_A_BLOCK))
    for own, start in _blocks([tensor for _, tensor in exchanged(network)], before):
        block, other = exact[:, : len(start)]
        block[:], other[:] = own.cpu().numpy(), start  # turned first: numpy subtracts mixed numbers far slower
        np.subtract(block, other, out=block)
        np.multiply(block, count, out=block)
        change[at : at + len(start)] = block
        at += len(start)
    return change


def _blocks(tensors: Sequence[Tensor], vector: Vector) -> Iterator[tuple[Tensor, Vector]]:
    """Tensors' numbers, flat, a few at a time, beside those of a vector of as many."""
    at = 0
    for tensor in tensors:
        flat = tensor.detach().reshape(-1)
        for start in range(0, len(flat), VALUES_A_BLOCK):
            block = flat[start : start + VALUES_A_BLOCK]
            yield block, vector[at : at + len(block)]
            at += len(block)


def _flat(tensors: Sequence[Tensor]) -> Vector:
    parts = [tensor.detach().reshape(-1) for tensor in tensors]
    return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float32) if parts else np.zeros(0, np.float32)


def _fill(parameters: Sequence[Tensor], vector: Vector) -> None:
    wanted = sum(parameter.numel() for parameter in parameters)
    if vector.shape != (wanted,):
        raise ValueError(f"the network has {wanted} parameters; a vector of shape {vector.shape} came.")
    start = 0
    with torch.no_grad():
        for parameter in parameters:
            _fill_one(parameter, vector[start : start + parameter.numel()])
            start += parameter.numel()


def _fill_one(parameter: Tensor, values: Vector) -> None:
    """On the CPU at once; else a few at a time: torch takes no array that cannot be written to, as one that came."""
    if parameter.is_cpu and parameter.dtype == torch.float32:
        np.copyto(parameter.detach().numpy(), np.asarray(values, dtype=np.float32).reshape(parameter.shape))
        return
    if not parameter.is_contiguous():
        parameter.copy_(torch.from_numpy(np.array(values, dtype=np.float32)).reshape(parameter.shape))
        return
    flat = parameter.view(-1)
    for start in range(0, len(values), VALUES_A_BLOCK):
        block = np.array(values[start : start + VALUES_A_BLOCK], dtype=np.float32)
        flat[start : start + len(block)].copy_(torch.from_numpy(block))


def read_gradient(network: nn.Module) -> Vector:
    """(P,) float32: all gradients of what is learned; zeros where a parameter has none."""
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).detach().reshape(-1) for _, p in trainable(network)]
    return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float32)


@dataclass(frozen=True)
class Layout:
    """Where each named tensor stands in the vector.

    frozen: parameters that are not in it, by name: as they stay, or, of what hospitals keep to themselves, as they
    were at first.
    """

    shapes: Mapping[str, tuple[int, ...]]
    frozen: Mapping[str, Vector] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, network: nn.Module) -> Layout:
        """The layout of all that is exchanged of a network."""
        shapes = {name: tuple(tensor.shape) for name, tensor in exchanged(network)}
        others = sorted((name, one) for name, one in network.named_parameters() if name not in shapes)
        return cls(shapes, {name: np.array(one.detach().cpu().numpy(), np.float32) for name, one in others})

    @property
    def length(self) -> int:
        """P, how many numbers are exchanged."""
        return sum(prod(shape) for shape in self.shapes.values())

    def tensors(self, vector: Vector) -> dict[str, Vector]:
        """The vector's parts by name, each in its shape."""
        if not self.shapes:
            return {}
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])
        parts = np.split(vector, ends[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}


def digest(vector: Vector) -> str:
    """SHA-256 of the parameters, little-endian float32: equal digests mean bit-identical models."""
    return sha256(np.ascontiguousarray(vector, dtype="<f4").data).hexdigest()
