"""A network as ONNX and as TorchScript, each with the facts of it inside, each looked at before it is handed on."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import StudyError, first_line
from experiments.exporting.facts import INPUT, OUTPUT
from experiments.prediction.trained import Trained

METADATA = "wardround.json"
"""The extra file of a TorchScript archive, and, without its ending, the key in ONNX' metadata."""
SAME = 1e-3
"""Of the largest answer, by which a traced network may differ from ours: more is another network."""
LEAST_ANSWER = 1e-3
"""Answers are no smaller than this where they are compared: a network that has hardly begun to learn rounds too."""
CASES = 2
"""In what a network is traced with: of one, an axis of 1 would be taken for fixed."""
LARGEST_ONNX_BYTES = (1 << 31) - (1 << 20)
"""What protobuf holds in one file."""
ANY = torch.export.Dim.AUTO
INSTALL = "pip install 'wardround[onnx]'"


def onnx_of(trained: Trained, facts: Mapping[str, Any]) -> bytes:
    """An ONNX model of the network, its facts in `metadata_props`, run in onnxruntime to see that it is the same.

    The first axis, of cases, has any length; so have those of space where it answers alike at others. Raises
    StudyError where the packages are not installed, or the network holds something that ONNX has no word for.
    """
    try:
        for name in ("onnx", "onnxruntime", "onnxscript"):  # the last is what torch's exporter writes with
            import_module(name)
    except ImportError as error:
        raise StudyError(f"{error.name or 'onnx'} is not installed here: {INSTALL}") from error
    example = example_of(trained)
    *ways, alone = _ways(trained.network, example)
    for free in ways:
        with suppress(StudyError):  # too hard to follow, or lengths are written into it: then of this size alone
            return _written(trained, facts, example, free)
    return _written(trained, facts, example, alone)


def _ways(network: nn.Module, example: Tensor) -> list[tuple[int, ...]]:
    """Axes that may have another length: of cases and space, if a network takes that, and of cases."""
    longer = free_axes(network, example[:1])
    return [(0, *longer), (0,)] if longer else [(0,)]


def _written(trained: Trained, facts: Mapping[str, Any], example: Tensor, free: tuple[int, ...]) -> bytes:
    """Raises StudyError where it cannot be written, or answers otherwise, at twice a free length too."""
    onnx, onnxruntime = import_module("onnx"), import_module("onnxruntime")
    with _quiet():
        try:
            written = torch.onnx.export(
                _exported(trained.network, example, free),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(dict.fromkeys(free, ANY),),
                verbose=False,
            )
            assert written is not None
            model: Any = written.model_proto
        except Exception as error:
            raise _not_exported(trained, "ONNX", error) from error
    onnx.helper.set_model_props(model, {METADATA.removesuffix(".json"): json.dumps(facts, allow_nan=False)})
    model.producer_name = "wardround"
    packed: bytes = model.SerializeToString()
    if len(packed) > LARGEST_ONNX_BYTES:
        raise StudyError("the network is too large for one ONNX file (2 GiB): export it with --torchscript.")
    session = onnxruntime.InferenceSession(packed, providers=["CPUExecutionProvider"])
    for one in (example[:1], *(_longer(example[:1], axis) for axis in free if axis)):
        demand_same(trained, one, session.run(None, {INPUT: one.numpy()})[0], "ONNX")
    return packed


def _exported(network: nn.Module, example: Tensor, free: tuple[int, ...]) -> torch.export.ExportedProgram:
    return torch.export.export(network, (example,), dynamic_shapes=(dict.fromkeys(free, ANY),), strict=False)


def free_axes(network: nn.Module, example: Tensor) -> tuple[int, ...]:
    """Axes of space along which a network takes other lengths than those it was built for, as convolutions do."""
    found = []
    for axis in range(2, example.ndim):
        try:
            with torch.no_grad():
                network(_longer(example, axis))
        except (RuntimeError, LookupError):
            continue
        found.append(axis)
    return tuple(found)


def _longer(example: Tensor, axis: int) -> Tensor:
    """Twice as long, so that whatever a network divides by divides it still."""
    return torch.cat([example, example.flip(axis)], axis)


def axes_of(packed: bytes) -> tuple[int | str, ...]:
    """Of an ONNX model's input: its length, or a name where it may be any."""
    onnx: Any = import_module("onnx")
    dims = onnx.load_from_string(packed).graph.input[0].type.tensor_type.shape.dim
    return tuple(dim.dim_param or dim.dim_value for dim in dims)


def torchscript_of(trained: Trained, facts: Mapping[str, Any]) -> bytes:
    """A TorchScript archive of the traced network, its facts in the extra file `wardround.json`.

    Raises StudyError where the network cannot be traced, or answers otherwise afterwards.
    """
    example = example_of(trained)
    packed = io.BytesIO()
    with _quiet(), torch.no_grad():
        try:
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                trained.network, example, check_trace=False
            )
            extra = {METADATA: json.dumps(facts, allow_nan=False).encode()}
            torch.jit.save(traced, packed, _extra_files=extra)
        except Exception as error:
            raise _not_exported(trained, "TorchScript", error) from error
        one = torch.randn(1, *example.shape[1:], generator=torch.Generator().manual_seed(1))
        demand_same(trained, one, traced(one).numpy(), "TorchScript")
    return packed.getvalue()


def demand_same(trained: Trained, inputs: Tensor, answers: np.ndarray[Any, Any], form: str) -> None:
    """Raise StudyError unless these are the network's answers: one that branches on its input is traced wrongly."""
    with torch.no_grad():
        ours = trained.network(inputs).numpy()
    largest = max(LEAST_ANSWER, float(np.abs(ours).max()))
    if answers.shape != ours.shape or not np.abs(answers - ours).max() <= SAME * largest:
        raise StudyError(
            f"the network as {form} answers otherwise than itself: what it does depends on its input, and only one "
            "way through it can be written down."
        )


def example_of(trained: Trained) -> Tensor:
    """Inputs with which a network is traced."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(CASES, *trained.learned.shape.inputs, generator=generator)


def _not_exported(trained: Trained, form: str, error: Exception) -> StudyError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    line = first_line(cause)
    network = trained.entries["task"].options.get("network", trained.entries["task"].name)
    name = network.get("name", "") if isinstance(network, Mapping) else network
    return StudyError(f"network {name!r} cannot be written as {form}: {type(cause).__name__}: {line}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell of packages that nobody needs here, and of their own deprecations."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def parameters_of(network: nn.Module) -> bytes:
    """The state dictionary as `torch.load(..., weights_only=True)` reads it."""
    packed = io.BytesIO()
    torch.save(network.state_dict(), packed)
    return packed.getvalue()
