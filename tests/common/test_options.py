from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from common.errors import StudyError, UnknownNameError
from common.study.options import Entry, build


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Options:
    name: str
    rate: float = 0.1
    steps: int | None = None
    batch: int | Literal["full"] = "full"
    kind: Literal["sgd", "adam"] = "sgd"
    hidden: tuple[int, ...] = ()
    inner: Inner = Inner()
    network: Entry = field(default_factory=lambda: Entry("mlp"))
    deep: bool = False


def test_every_kind_of_option_is_read() -> None:
    given = {
        "name": "x",
        "rate": 1,
        "steps": 3,
        "batch": 8,
        "kind": "adam",
        "hidden": [4, 5],
        "inner": {"size": 2},
        "network": {"name": "unet", "channels": 8},
        "deep": True,
    }
    expected = Options("x", 1.0, 3, 8, "adam", (4, 5), Inner(2), Entry("unet", {"channels": 8}), True)
    assert build(Options, given, "here") == expected
    assert build(Options, {"name": "x", "network": "unet"}, "here").network == Entry("unet")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "x", "rat": 1}, "No option of here 'rat'; did you mean 'rate'?"),
        ({}, 'here.name is missing: a word is needed, such as name = "word"'),
        ({"name": 3}, "here.name must be a word; it is 3."),
        ({"name": "x", "rate": "fast"}, "here.rate must be a number; it is 'fast'."),
        ({"name": "x", "rate": True}, "here.rate must be a number; it is True."),
        ({"name": "x", "steps": 1.5}, "here.steps must be a whole number; it is 1.5."),
        ({"name": "x", "batch": "ful"}, "here.batch must be a whole number or 'full'; it is 'ful'."),
        ({"name": "x", "kind": "adm"}, "No here.kind 'adm'; did you mean 'adam'?"),
        ({"name": "x", "hidden": 4}, "here.hidden must be a list; it is 4."),
        ({"name": "x", "hidden": [4, "a"]}, "here.hidden[1] must be a whole number; it is 'a'."),
        ({"name": "x", "inner": 5}, "here.inner must be a table of options; it is 5."),
        ({"name": "x", "inner": {"sise": 5}}, "No option of here.inner 'sise'; did you mean 'size'?"),
        ({"name": "x", "network": {"channels": 5}}, "here.network.name is missing"),
        ({"name": "x", "deep": 1}, "here.deep must be true or false; it is 1."),
    ],
)
def test_a_wrong_option_is_answered_with_the_place_and_the_remedy(given: dict[str, object], said: str) -> None:
    with pytest.raises(StudyError) as caught:
        build(Options, given, "here")
    assert said in str(caught.value)


def test_names_are_their_own_kind_of_error() -> None:
    with pytest.raises(UnknownNameError):
        build(Options, {"nam": "x"}, "here")
