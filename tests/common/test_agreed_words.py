"""What one side says the other knows: words of refusals, and the legs of a conversation."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from common.wire.refusals import ASKED_AGAIN, FREE_OF_CHARGE, SENTENCES
from common.wire.train_requests import LEGS, PROTOCOL_LEG

ROOT = Path(__file__).parents[2]
REFUSALS = ROOT / "common" / "wire" / "refusals.py"


@cache
def nodes() -> list[ast.AST]:
    """Of the syntax of all that runs in a hospital, but the list of words itself."""
    paths = [path for room in ("client", "common") for path in sorted((ROOT / room).rglob("*.py"))]
    return [node for path in paths if path != REFUSALS for node in ast.walk(ast.parse(path.read_text()))]


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_looked_for_among_nodes() -> Iterator[None]:
    """Of a million none is garbage; the collector would go through all of them again and again."""
    gc.disable()
    yield
    nodes.cache_clear()
    gc.enable()


def refused_with() -> Iterator[str]:
    """The first argument of every RefusedError(...), where it stands there in letters."""
    for node in nodes():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RefusedError" and node.args:
            word = node.args[0]
            if isinstance(word, ast.Constant):
                yield str(word.value)


def test_every_word_that_a_hospital_refuses_with_is_one_that_the_coordinator_can_say() -> None:
    found = {*refused_with()}
    assert len(found) > 5 and found <= {*SENTENCES}


def test_every_word_that_the_coordinator_can_say_is_one_that_a_hospital_may_refuse_with() -> None:
    letters = {node.value for node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    by_another_name, of_a_later_version = {"members"}, {"analyses"}
    assert {*SENTENCES} - by_another_name - of_a_later_version <= letters


def test_a_hospital_that_is_asked_again_was_charged_nothing() -> None:
    assert {*ASKED_AGAIN} <= {*FREE_OF_CHARGE} <= {*SENTENCES}


def test_every_leg_is_one_that_the_hospitals_program_answers() -> None:
    tree = ast.parse((ROOT / "client" / "app.py").read_text())
    answered = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                    (action,) = (one.value for one in decorator.args if isinstance(one, ast.Constant))
                    answered.add(f"{decorator.func.attr}.{action}")
    assert answered == {*LEGS.values(), PROTOCOL_LEG}
