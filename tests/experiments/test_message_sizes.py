"""What `wardround check` says of large messages before any is sent."""

from __future__ import annotations

import pytest

from common.study.study import parse
from experiments.message_sizes import message_sizes

STUDY = """
title = "Sizes"
source = {{ name = "npz", folder = "/x" }}
task = "classification"
aggregation = {aggregation}
engine = "{engine}"
"""


def said(aggregation: str, parameters: int, engine: str = "processes", *more: str) -> str:
    text = STUDY.format(aggregation=aggregation, engine=engine)
    return " ".join(message_sizes(parse(text, list(more)), parameters, 5))


@pytest.mark.parametrize(
    ("aggregation", "answer_mb"),
    [('"plain"', 400), ('"secagg"', 400), ('{name = "secagg", value_bits = 16}', 300), ('"additive"', 400)],
)
def test_how_large_and_in_how_many_pieces_is_said(aggregation: str, answer_mb: int) -> None:
    found = said(aggregation, 100_000_000)
    assert "100,000,000 parameters: an order takes about 400 MB" in found
    assert f"sends back about {answer_mb} MB" in found
    assert "382 of 1 MiB" in found
    assert "77 of 5 MiB" in said(aggregation, 100_000_000, "nodes")


def test_control_variates_double_it_and_a_small_model_is_nothing_to_be_told() -> None:
    assert "an order takes about 800 MB" in said('"plain"', 100_000_000, "processes", "strategy=scaffold")
    assert said('"plain"', 8_070) == ""
    compressed = said('"plain"', 100_000_000, "processes", 'federation.compression={kind="int8"}')
    assert "an order takes about 400 MB, what a hospital sends back about 10" in compressed
    assert said('"plain"', 1_000_000) == ""


def test_what_no_node_lets_in_by_itself_is_said_beforehand() -> None:
    assert "lets in 4,294,967,296 bytes unless" in said('"plain"', 1_100_000_000)
    assert "lets in" not in said('"plain"', 1_000_000_000)
