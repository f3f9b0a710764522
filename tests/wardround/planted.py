"""How a planted fault is tried: a law by its name, on what it is given."""

from __future__ import annotations

import copy
from typing import Any

import pytest

ERRORS_OF_TESTS = (TypeError, NameError, AttributeError, KeyError, pytest.skip.Exception)


FROZEN = "its_options_are_a_frozen_dataclass_that_survives_a_copy"


def thawed(entry: type) -> type:
    """As if it were written without frozen=True."""
    parameters = copy.copy(entry.__dataclass_params__)  # type: ignore[attr-defined]
    parameters.frozen = False
    return type("Thawed", (entry,), {"__dataclass_params__": parameters})


def laws(tests: type) -> set[str]:
    """Names of a class's tests."""
    return {name.removeprefix("test_") for name in dir(tests) if name.startswith("test_")}


def broken(tests: type, law: str, *given: Any) -> None:
    """The law fails on what is given, and not because the test itself is wrong."""
    with pytest.raises((Exception, pytest.fail.Exception)) as raised:
        getattr(tests(), f"test_{law}")(*given)
    assert not isinstance(raised.value, ERRORS_OF_TESTS), repr(raised.value)


def pairs(faults: dict[str, tuple[Any, ...]]) -> list[Any]:
    """Each law with each of its faults."""
    return [
        pytest.param(law, fault, id=f"{getattr(fault, '__name__', number)}-{law}")
        for law, several in faults.items()
        for number, fault in enumerate(several)
    ]
