"""Where a party computes: each party's own matter, chosen in this one place.

Nothing else asks which device there is: a network is placed once, batches follow it (`Batch.to`), and what is drawn
is drawn on the CPU and then moved, so that the same draws happen on every device.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import nn

from common.data.cases import WITHOUT_FLOAT64
from common.errors import DeviceError
from common.study.spelling import nearest

VARIABLE = "WARDROUND_DEVICE"
"""In the environment: the device of this machine's parties, where their own configuration names none."""
WORDS = ("auto", "cpu", "cuda", "mps")
_FORM = re.compile(r"auto|cpu|mps|cuda(:\d{1,4})?")
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
_WITHOUT_START = ("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
"""Asked whether there is a GPU, torch starts CUDA, after which no process can be forked; with this it asks NVML."""
KERNEL_MODULE = Path("/proc/driver/nvidia")
"""Where NVIDIA's tells of itself: asking it starts no GPU."""
_GPUS, _DRIVER = "gpus/*/information", "version"

Module = TypeVar("Module", bound=nn.Module)


def checked(word: str, asked_by: str = "device") -> str:
    """The word in its one form. Raises DeviceError, which says what may be asked for, where it is none."""
    plain = word.strip().lower()
    if _FORM.fullmatch(plain):
        return plain
    near = nearest("cuda" if plain.startswith(("gpu", "nvidia")) else plain, WORDS)
    guess = f"; did you mean {near!r}?" if near else "."
    raise DeviceError(f"No {asked_by} {word[:40]!r}{guess} There are: auto, cpu, cuda, cuda:0, cuda:1, ..., mps.")


def asked() -> str:
    """What the environment asks for; "auto" where it says nothing."""
    return checked(os.environ.get(VARIABLE) or "auto", VARIABLE)


def ask(word: str) -> None:
    """Let all parties that this process starts compute on that device. Raises DeviceError where it is not here."""
    chosen(word)
    os.environ[VARIABLE] = checked(word)


def chosen(word: str | None = None, share: int = 0) -> torch.device:
    """The device that `word` means here. Starts no GPU.

    word: "auto" (a GPU of CUDA where torch finds one, else the CPU), "cpu", "cuda", "cuda:1" or "mps"; None: as the
    environment says. share: number of this party among those that share the machine; "auto" and "cuda" deal out its
    GPUs in turn. `mps` is taken only where it is asked for: torch lacks float64 there, and operations on volumes.
    Raises DeviceError, which names what there is, where the device is absent.
    """
    plain = asked() if word is None else checked(word)
    if plain == "cpu":
        return torch.device("cpu")
    if plain == "mps":
        if not torch.backends.mps.is_available():
            raise _absent(plain)
        return torch.device(plain)
    count = gpus()
    if plain == "auto" and not count:
        return torch.device("cpu")
    index = share % max(1, count) if plain in ("auto", "cuda") else int(plain.partition(":")[2])
    if index >= count:
        raise _absent(plain)
    os.environ.setdefault(*_WORKSPACE)
    return torch.device("cuda", index)


def gpus() -> int:
    """How many GPUs of CUDA torch finds. Starts none of them."""
    os.environ.setdefault(*_WITHOUT_START)
    return torch.cuda.device_count()


def _absent(word: str) -> DeviceError:
    there = ["cpu", *(f"cuda:{index}" for index in range(gpus()))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    built = "" if torch.version.cuda or torch.version.hip else ", which was built without CUDA"
    return DeviceError(
        f"No device {word!r} on this machine. There are: {', '.join(there)} (torch {torch.__version__}{built})."
    )


def home(network: nn.Module) -> torch.device:
    """Where a network's parameters are; the CPU where it has none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def placed(network: Module, device: torch.device | None = None) -> Module:
    """The network, moved to the device; None: to the one that the environment asks for."""
    moved: Module = network.to(chosen() if device is None else device)
    return moved


def has_float64(device: torch.device) -> bool:
    """Whether it computes in float64."""
    return device.type not in WITHOUT_FLOAT64


@dataclass
class _Held:
    """A network that nobody changes for a while, and its copy in float64 once one was asked for."""

    network: nn.Module
    copied: nn.Module | None = None


_held: ContextVar[_Held | None] = ContextVar("held network", default=None)


def exact_copy(network: Module) -> Module:
    """A copy in float64, where the network is; on the CPU where its device has no float64. Only to be asked."""
    held = _held.get()
    if held is None or held.network is not network:
        return _copied(network)
    if held.copied is None:
        held.copied = _copied(network)
    return cast(Module, held.copied)


@contextmanager
def one_exact_copy(network: nn.Module) -> Iterator[None]:
    """While the block lasts `exact_copy` of this network, which nobody changes, is one and the same.

    Scores of single patients are many calls, and much of their time was the copying.
    """
    held = _held.get()
    token = _held.set(held if held is not None and held.network is network else _Held(network))
    try:
        yield
    finally:
        _held.reset(token)


def _copied(network: Module) -> Module:
    if not has_float64(home(network)):
        return deepcopy(network).to("cpu").double()
    own = (*network.named_parameters(), *network.named_buffers())
    doubles = {id(one): _double(one) for _, one in own if one.is_leaf}  # a large one never lies beside its copy twice
    return deepcopy(network, doubles).double()


def _double(tensor: torch.Tensor) -> torch.Tensor:
    exact = tensor.detach().double() if tensor.is_floating_point() else tensor.detach().clone()
    return nn.Parameter(exact, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else exact


_AS_IT_IS = nullcontext()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which a network on `device` computes in `precision`.

    Raises DeviceError where the device has no lower precision.
    """
    kind, lower = device.type, precision == "bfloat16"
    if torch.amp.is_autocast_available(kind):
        changes = lower or torch.is_autocast_enabled(kind)
        return torch.autocast(kind, torch.bfloat16, enabled=lower) if changes else _AS_IT_IS
    if lower:
        raise DeviceError(f"training.precision 'bfloat16' is not possible on {kind!r}: torch has no autocast for it.")
    return _AS_IT_IS


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """The context in which `autocast` changes nothing: of what loses its meaning in lower precision."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """While the block lasts, a GPU gives the same bits every time, on one kind of GPU; on the CPU nothing changes.

    Deterministic algorithms, without TF32 and without cuDNN's choice by the clock. Torch warns, by its name, of an
    operation that has no deterministic form on a GPU, and runs it.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.benchmark,
        cudnn.deterministic,
        cudnn.allow_tf32,
        matmul.allow_tf32,
    )
    try:
        _set((True, True, False, True, False, False))
        yield
    finally:
        _set(before)


def _set(state: tuple[bool, bool, bool, bool, bool, bool]) -> None:
    deterministic, warn_only, benchmark, cudnn_deterministic, cudnn_tf32, matmul_tf32 = state
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, cudnn_deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn_tf32, matmul_tf32


@contextmanager
def before_forks() -> Iterator[None]:
    """While the block lasts, torch does not look for GPUs, so that processes forked later can start them."""
    os.environ.setdefault(*_WITHOUT_START)
    before = torch.cuda.is_available
    torch.cuda.is_available = lambda: False
    try:
        yield
    finally:
        torch.cuda.is_available = before


def described() -> str:
    """What a record says of the devices of this machine's parties: name, driver, CUDA. Starts no GPU."""
    device = chosen()
    if device.type != "cuda":
        return f"{device.type} ({platform.machine()})"
    names = ", ".join(sorted(set(_found_in(_GPUS, r"^Model:\s*(.+?)\s*$")))) or "a GPU"
    driver = next(iter(_found_in(_DRIVER, r"\b(\d{3}\.\d+(?:\.\d+)?)\b")), "unknown")
    count = gpus() if asked() in ("auto", "cuda") else 1
    return f"{count} x {names}, driver {driver}, CUDA {torch.version.cuda}"


def _found_in(pattern: str, expression: str) -> list[str]:
    """First groups of what the kernel module tells, one a file."""
    found = []
    for path in sorted(KERNEL_MODULE.glob(pattern)):
        with suppress(OSError):
            match = re.search(expression, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            found += [match.group(1)] if match else []
    return found
