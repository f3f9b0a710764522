"""What rooms hand on is what their files hold, and nothing is imported for it before it is asked for."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.ended import ended

ROOMS = {
    "common.causality": ("DiscreteModel", "Graph", "find_effect", "graph_of_text", "identify", "separated"),
    "common.data": ("Batch", "Cases", "Geometry", "Image", "Pooled", "Quarantined", "Shape", "SiteId", "concatenate"),
    "common.learning": ("Network", "Task", "Training", "Work"),
    "common.study": ("Entry", "Study", "parse"),
    "common.sums": (
        *("Aggregation", "Collected", "Exchange", "Expected", "Local", "AggregationAbilities"),
        *("Mean", "Payload", "Update", "Vector"),
    ),
    "client": ("Partition", "Source"),
    "server": ("Contributions", "State", "Strategy"),
    "experiments": ("Attack", "Benchmark", "Cell", "Engine", "Finding", "Measured", "Observation", "Sees", "Target"),
    "wardround.testing": ("AggregationTests", "Made", "SourceTests", "TaskTests", "contributions", "tiny_cases"),
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_hands_on_what_strangers_need_and_names_what_it_has_not(room):
    package = import_module(room)
    assert all(getattr(package, name) is not None for name in ROOMS[room])
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = package.nonsense


@pytest.mark.parametrize("room", ROOMS)
def test_type_checkers_see_the_names_that_are_handed_on(room):
    """They read the block of TYPE_CHECKING, Python the other: the two must not part."""
    tree = ast.parse(Path(import_module(room).__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    shown = {(name.name, node.module) for node in block.body for name in node.names}
    assert shown and all(getattr(import_module(file), name) for name, file in shown)
    assert {name for name, _ in shown} >= set(ROOMS[room])
    for name, file in shown:
        assert getattr(import_module(room), name) is getattr(import_module(file), name)


def test_a_study_is_handed_on_without_torch():
    code = "import sys; from common.study import Study; assert 'torch' not in sys.modules"
    ended([sys.executable, "-c", code], check=True)
