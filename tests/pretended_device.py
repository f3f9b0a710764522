"""A GPU that is not there: tensors that say they are on `cuda:0`, hold their numbers in the CPU's memory, and refuse,
as a GPU would, to meet tensors of the CPU or to become NumPy arrays.

Everything computed is really computed, so a whole training step gives the CPU's own bits, and whatever is made on the
wrong device on the way fails at its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("meta")
MAY_MIX = ("aten::copy_", "aten::_to_copy", "aten::index.", "aten::index_put")
"""Copies; and indices of another device, which torch takes."""
RESHAPING = ("aten::squeeze_", "aten::unsqueeze_", "aten::t_", "aten::transpose_")
"""They change the shape of what they are given, which then has to be changed without and within."""
AT_ONCE = {
    torch.ops.aten._conj.default: torch.ops.aten.conj_physical.default,
    torch.ops.aten._neg_view.default: torch.ops.aten.neg.default,
}
"""What torch would only note down on a tensor, behind the pretence's back, and do later."""
NOT_REPEATABLE = (
    "max_pool3d_with_indices_backward", "adaptive_max_pool2d_backward", "adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "avg_pool3d_backward", "nll_loss2d_forward",
    "nll_loss2d_backward", "grid_sampler_2d_backward", "grid_sampler_3d_backward", "upsample_bilinear2d_backward",
    "upsample_trilinear3d_backward", "upsample_linear1d_backward", "upsample_bicubic2d_backward",
    "reflection_pad1d_backward", "reflection_pad3d_backward", "replication_pad1d_backward",
    "replication_pad3d_backward", "_embedding_bag_dense_backward", "median", "kthvalue", "histc", "bincount",
    "put_", "max_unpool2d", "max_unpool3d", "fractional_max_pool2d_backward", "cumsum",
)  # fmt: skip
"""Operations of which torch's manual (torch.use_deterministic_algorithms) says that a GPU has no repeatable form."""


class DevicesMetError(RuntimeError):
    """Tensors of two devices met."""


class OnGpu(Tensor):
    """A tensor that says it is on the GPU. held: its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=GPU,
            requires_grad=False,
        )
        made.held = held.detach()
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, set())

    def numpy(self, *, force: bool = False) -> Any:
        """As of a GPU's tensor."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        """As of any tensor."""
        return self.cpu().tolist()


class _Operations(TorchDispatchMode):
    def __init__(self, seen: set[str]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self.seen)


class _Functions(TorchFunctionMode):
    """`Tensor.to` and the like would start CUDA before they ask any operation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.cpu:
            return args[0].to("cpu")
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            return func(args[0], tree_map(_index, args[1], is_leaf=lambda one: isinstance(one, list)), *args[2:])
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
            return func(*args, **kwargs).to(device)
        if func is Tensor.new_tensor:
            like, data = args
            made = torch.tensor(data, dtype=kwargs.get("dtype") or like.dtype)
            return made.to(kwargs.get("device") or like.device)
        if func is not Tensor.to:
            return func(*args, **kwargs)
        tensor, *rest = args
        copy = kwargs.pop("copy", False)
        if rest and isinstance(rest[0], Tensor):
            rest = [rest[0].device, rest[0].dtype]
        device, dtype, _, layout = torch._C._nn._parse_to(*rest, **kwargs)
        device = tensor.device if device is None else GPU if device.type == GPU.type else device
        dtype = tensor.dtype if dtype is None else dtype
        if device == tensor.device and dtype == tensor.dtype and not copy and layout is None:
            return tensor
        return torch.ops.aten._to_copy.default(
            tensor, dtype=dtype, device=device, memory_format=layout or torch.preserve_format
        )


def _index(one: Any) -> Any:
    """A list as a tensor of the CPU: of a device called meta, torch would not care to write its numbers down."""
    return torch.tensor(one) if isinstance(one, list) else one


def _run(func: Any, args: Any, kwargs: dict[str, Any], seen: set[str]) -> Any:
    flat, _ = tree_flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, Tensor)]
    on_gpu = [one for one in tensors if isinstance(one, OnGpu)]
    if any(one.is_meta and not isinstance(one, OnGpu) for one in tensors):
        raise DevicesMetError(f"{func.name()}: a tensor without numbers, which torch made past the pretence")
    asked = kwargs.get("device")
    to_gpu = asked is not None and torch.device(asked).type == GPU.type
    if not on_gpu and not to_gpu:
        return func(*args, **kwargs)
    name = func.name()
    if on_gpu and not name.startswith(MAY_MIX):
        others = [one for one in tensors if not isinstance(one, OnGpu) and one.ndim]
        if others:
            raise DevicesMetError(f"{name}: tensors on cuda:0 and cpu; {[tuple(one.shape) for one in others]}")
    func = AT_ONCE.get(func, func)
    seen.add(name.removeprefix("aten::").partition(".")[0])
    by_held = {id(one.held): one for one in on_gpu}
    plain_args, plain = tree_map(lambda one: one.held if isinstance(one, OnGpu) else one, (args, kwargs))
    if to_gpu:
        plain["device"] = torch.device("cpu")
    given = func(*plain_args, **plain)
    if name.startswith(RESHAPING):
        with torch._C._DisableTorchDispatch():
            return func(*args, **kwargs)
    if (asked is not None and not to_gpu) or (name == "aten::copy_" and not isinstance(args[0], OnGpu)):
        return args[0] if name == "aten::copy_" else given

    def back(one: Any) -> Any:
        return by_held[id(one)] if id(one) in by_held else OnGpu(one) if isinstance(one, Tensor) else one

    return tree_map(back, given)


@contextmanager
def pretended_gpu() -> Iterator[set[str]]:
    """While the block lasts, `network.to(GPU)` works, with torch's deterministic algorithms, as on a real one.

    Gives the names of the operations that the GPU was asked for."""
    seen: set[str] = set()
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Functions(), _Operations(seen):
            yield seen
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
