"""A network that was not written as an entry: an nn.Module's class, or a function that makes a module.

    class Net(nn.Module):
        def __init__(self, channels, classes, width=32): ...

`channels` and `classes` follow from the cases, `width` is an option. `GIVEN` has all words that follow from the
cases, which an option of the study may still say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from inspect import Parameter
from math import prod
from types import FunctionType
from typing import Any

import torch
from torch import nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.plain_options import called, entry_class, parameters_of

GIVEN: Mapping[str, tuple[tuple[str, ...], Callable[[Shape], Any]]] = {
    "the channels of an image": (
        ("in_channels", "channels_in", "input_channels", "n_channels", "num_channels", "in_chans", "channels"),
        lambda shape: shape.inputs[0],
    ),
    "the numbers of an input": (
        ("in_features", "features_in", "n_features", "num_features", "input_size", "input_dim", "in_dim", "features"),
        lambda shape: prod(shape.inputs),
    ),
    "the classes, or numbers, to answer": (
        (
            *("classes", "num_classes", "n_classes", "out_channels", "channels_out", "output_channels"),
            *("out_features", "features_out", "num_outputs", "n_outputs", "outputs"),
            *("output_size", "output_dim", "out_dim"),
        ),
        lambda shape: shape.classes,
    ),
    "the axes of an image": (
        ("spatial_dims", "dimensions", "ndim", "n_dims"),
        lambda shape: len(shape.inputs) - 1,
    ),
    "the sides of an image": (("image_size", "img_size"), lambda shape: shape.inputs[1:]),
    "the shape of an input": (("input_shape", "in_shape"), lambda shape: shape.inputs),
    "both shape and classes": (("shape",), lambda shape: shape),
}
COUNTS = ("int", "None", "Optional[int]", "int | None")
_alike: set[tuple[Any, str]] = set()
"""What was built twice from one state of torch's generator, with equal results."""


@cache
def plain_network(made: Any, name: str) -> type[Any] | None:
    """The entry's class of an nn.Module's class or of a function; None where it is neither. Raises StudyError for a
    module that is already built."""
    what, again = f"network {name!r}", partial(plain_network, made, name)
    if isinstance(made, nn.Module):
        raise StudyError(
            f"network {name!r} is a module that is built already: name its class, or a function that builds it, so "
            "that its first parameters follow from the study's seed."
        )
    if not isinstance(made, FunctionType) and not (isinstance(made, type) and issubclass(made, nn.Module)):
        return None
    parameters = parameters_of(made, what)
    given = _given_by_cases(parameters)

    def build(self: Any, shape: Shape) -> nn.Module:
        """A fresh network; see Network.build."""
        values = {one.name: getattr(self, one.name) for one in parameters}
        values |= {one: given[one](shape) for one in given if values[one] is None}
        return _built(made, parameters, values, what)

    known = ", ".join(words[0] for words, _ in GIVEN.values())
    example = f"{{name}} = 64, an option of the network (of the cases' own it may ask for {known})"
    return entry_class(made, parameters, given, {"build": build}, example, again)


def _given_by_cases(parameters: Sequence[Parameter]) -> dict[str, Callable[[Shape], Any]]:
    """What of the parameters follows from the cases: of each kind the first word of its list that is asked for."""
    asked = {one.name: one for one in parameters}
    given = {}
    for words, of_shape in GIVEN.values():
        name = next((word for word in words if word in asked), None)
        if name is not None and (len(words) < 3 or _is_a_number(asked[name])):
            given[name] = of_shape
    return given


def _is_a_number(parameter: Parameter) -> bool:
    """Whether it may be one number: `channels=(16, 32)` are widths, and an option."""
    default, hint = parameter.default, parameter.annotation
    said = hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint)).removeprefix("typing.")
    fits = hint is Parameter.empty or said.removeprefix("typing.") in COUNTS
    return fits and (default is Parameter.empty or default is None or isinstance(default, int))


def _built(
    made: Callable[..., Any], parameters: Sequence[Parameter], values: Mapping[str, Any], what: str
) -> nn.Module:
    """Raises StudyError where it cannot be built, is no module, or does not follow from torch's generator alone."""
    key = (made, repr(sorted(values.items())))
    before = torch.get_rng_state()
    network = _made(made, parameters, values, what)
    if key in _alike or any(one.is_meta for one in network.parameters()):
        return network
    torch.set_rng_state(before)
    again = _made(made, parameters, values, what)
    if not _equal(network, again):
        raise StudyError(
            f"{what} begins with other parameters each time it is built: draw them with torch, which the study's "
            "seed sets, and not with numpy or random."
        )
    _alike.add(key)
    return again


def _made(
    made: Callable[..., Any], parameters: Sequence[Parameter], values: Mapping[str, Any], what: str
) -> nn.Module:
    shown = ", ".join(f"{name}={value!r}"[:80] for name, value in values.items())
    try:
        network = called(made, parameters, values)
    except StudyError:
        raise
    except Exception as error:
        line = first_line(error)
        raise StudyError(f"{what} cannot be built with ({shown}): {type(error).__name__}: {line}") from error
    if not isinstance(network, nn.Module):
        raise StudyError(f"{what} is a function, and gives {type(network).__name__}: it must give an nn.Module.")
    _refuse_lazy(network, what)
    return network


def _refuse_lazy(network: nn.Module, what: str) -> None:
    held = (*network.named_parameters(), *network.named_buffers())
    unknown = [name for name, one in held if nn.parameter.is_lazy(one)]
    if unknown:
        raise StudyError(
            f"{what} has parameters whose shapes only a first batch tells ({unknown[0]}): write the sizes out, by "
            "what __init__ may ask for, such as features or input_shape, and use no nn.LazyLinear or its like."
        )


def _equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(
        not isinstance(value, torch.Tensor) or torch.equal(value, second[name]) for name, value in first.items()
    )
