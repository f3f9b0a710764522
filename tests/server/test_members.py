from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import RoundError, WireError
from common.sums.exchange import Payload
from common.wire.pieces import LARGEST_MESSAGE_BYTES
from common.wire.train_requests import ROOM
from server.members import Member, demand_room, disagreeing, member

GOOD = Payload(
    None,
    {f"{kind}/{split}": 4 for kind in ("cases", "patients") for split in ("train", "validation", "test")}
    | {"quarantined": 0, "shape": [1, 8, 8], "labels": [30, 2]},
    {"site": "north", "classes": ["healthy", "ill"]},
)


def test_a_description_is_read() -> None:
    known = member(GOOD)
    assert (known.site, known.cases["train"], known.labels, known.shape.inputs) == ("north", 4, (30, 2), (1, 8, 8))


@pytest.mark.parametrize("site", ["Köln", "Αθήνα", "東京 第一", "St. Mary's (Ward 3)"])
def test_a_name_in_any_alphabet_is_a_hospitals(site: str) -> None:
    assert member(replace(GOOD, words={**GOOD.words, "site": site})).site == site


@pytest.mark.parametrize(
    ("numbers", "words", "said"),
    [
        ({}, {"site": "../../etc"}, "name must be"),
        ({}, {"site": "<b>"}, "name must be"),
        ({}, {"site": "x" * 65}, "name must be"),
        ({}, {"site": "Ko\u0308ln"}, "is not in one form"),
        ({}, {"site": "a/b"}, "names of files may not"),
        ({}, {"classes": ["one"]}, "between 2 and 1024"),
        ({"cases/train": -1}, {}, "cases/train must be"),
        ({"cases/train": 10**9}, {}, "cases/train must be"),
        ({"cases/train": 2.5}, {}, "cases/train must be"),
        ({"shape": [1, 0]}, {}, "out of range"),
        ({"shape": [1 << 20, 1 << 20]}, {}, "out of range"),
        ({"labels": [1]}, {}, "out of range"),
        ({"labels": [1.5, 2.5]}, {}, "whole numbers"),
    ],
)
def test_a_hostile_description_is_refused(numbers: dict, words: dict, said: str) -> None:
    bad = replace(GOOD, numbers={**GOOD.numbers, **numbers}, words={**GOOD.words, **words})
    with pytest.raises(WireError, match=said):
        member(bad)


def held(site: str, shape: list[int]) -> Member:
    return member(replace(GOOD, numbers={**GOOD.numbers, "shape": shape}, words={**GOOD.words, "site": site}))


def test_of_two_hospitals_of_different_shapes_neither_is_believed_and_both_are_named() -> None:
    with pytest.raises(RoundError, match=r"north holds .* south holds inputs of shape \(1, 9, 9\)"):
        disagreeing({"north": held("north", [1, 8, 8]), "south": held("south", [1, 9, 9])})


def test_one_hospital_of_another_shape_than_most_does_not_end_the_others_run() -> None:
    members = {site: held(site, [1, 8, 8]) for site in ("east", "north")} | {"south": held("south", [1, 9, 9])}
    unlike = disagreeing(members)
    assert list(unlike) == ["south"]
    assert "(1, 9, 9)" in unlike["south"] and "most hospitals, as east, inputs of shape (1, 8, 8)" in unlike["south"]
    assert disagreeing({"east": members["east"], "north": members["north"]}) == {}


def test_as_many_columns_under_other_names_are_not_the_same_inputs() -> None:
    def of(site: str, digit: str) -> Member:
        return member(replace(GOOD, words={**GOOD.words, "site": site, "columns": digit * 64}))

    unlike = disagreeing({"east": of("east", "a"), "north": of("north", "a"), "south": of("south", "b")})
    assert list(unlike) == ["south"] and "digest bbbbbbbb (source.features names them)" in unlike["south"]
    assert disagreeing({"east": of("east", "a"), "north": of("north", "a")}) == {}
    with pytest.raises(WireError, match="64 hexadecimal"):
        of("east", "<b>")


def test_a_study_whose_orders_a_hospital_does_not_let_in_is_refused_before_any_model_is_sent() -> None:
    members = {
        "north": member(replace(GOOD, numbers={**GOOD.numbers, ROOM: 999})),
        "south": member(replace(GOOD, numbers={**GOOD.numbers, ROOM: 1000})),
        "west": member(GOOD),
    }
    demand_room(members, 999)
    with pytest.raises(RoundError, match=r"takes up to 1,000 bytes.*let in: north 999\. They change it in"):
        demand_room(members, 1000)
    assert member(replace(GOOD, numbers={**GOOD.numbers, ROOM: -1})).room_bytes == LARGEST_MESSAGE_BYTES
