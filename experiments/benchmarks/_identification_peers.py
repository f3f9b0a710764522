"""Runs beside y0 in its own Python: whether it identifies each question's effect, its formula, and its time.

Called as `python _identification_peers.py QUESTIONS.json ANSWERS.json`; imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """identified, formula as nested lists, ms; or why y0 failed."""
    from y0.algorithm.identify import identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    graph = NxMixedGraph()
    for node in question["nodes"]:
        graph.add_node(Variable(node))
    for one, other in question["arrows"]:
        graph.add_directed_edge(Variable(one), Variable(other))
    for one, other in question["pairs"]:
        graph.add_undirected_edge(Variable(one), Variable(other))
    sets = [{Variable(name) for name in question[kind]} for kind in ("treatments", "outcomes", "given")]
    begin = time.process_time()
    try:
        found = identify_outcomes(graph, sets[0], sets[1], sets[2] or None)
    except Exception as error:  # noqa: BLE001 - what of y0 fails is a row of the table, and not the end of it
        return {"failed": f"{type(error).__name__}: {error}"}
    ms = (time.process_time() - begin) * 1000
    return {"identified": found is not None, "ms": ms, "formula": None if found is None else plain(found)}


def plain(expression: Any) -> list[Any]:
    """Nested lists that begin with a word."""
    from y0.dsl import Fraction, One, Probability, Product, Sum

    if isinstance(expression, Probability):
        return ["probability", [v.name for v in expression.children], [v.name for v in expression.parents]]
    if isinstance(expression, Sum):
        return ["sum", [v.name for v in expression.ranges], plain(expression.expression)]
    if isinstance(expression, Fraction):
        return ["quotient", plain(expression.numerator), plain(expression.denominator)]
    if isinstance(expression, Product):
        return ["product", [plain(one) for one in expression.expressions]]
    if isinstance(expression, One):
        return ["product", []]
    raise TypeError(f"y0 gave a {type(expression).__name__}")


if __name__ == "__main__":
    questions = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps([answer(one) for one in questions]), encoding="utf-8")
