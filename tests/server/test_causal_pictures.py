from __future__ import annotations

import re
from itertools import combinations

from common.causality.graph_text import graph_of_text
from common.seeding import generator
from experiments.benchmarks._identification import random_graph
from server.reporting.charts.causal_graph import causal_graph, said_of
from server.reporting.charts.layered import layers_of


def test_causes_stand_left_of_effects_and_every_node_once() -> None:
    rng = generator(1, "pictures")
    for _ in range(40):
        graph = random_graph(rng, 6, 0.4, 0.3)
        columns = layers_of(graph).columns
        place = {item: index for index, column in enumerate(columns) for item in column if isinstance(item, str)}
        assert sorted(place) == sorted(graph.nodes) and all(columns)
        assert all(place[cause] < place[effect] for cause, effect in graph.arrows)


def test_an_arrow_over_several_columns_passes_beside_the_nodes_between() -> None:
    layers = layers_of(graph_of_text("a -> b -> c; a -> c"))
    assert [len(column) for column in layers.columns] == [1, 2, 1]
    assert layers.bends(("a", "c")) == [(("a", "c"), 1)] and layers.bends(("a", "b")) == []


def test_a_cause_without_causes_stands_right_before_its_effect() -> None:
    assert layers_of(graph_of_text("a -> b -> c -> d; z -> d")).columns[2] in {("c", "z"), ("z", "c")}


def test_nodes_do_not_overlap_and_every_edge_is_drawn() -> None:
    graph = graph_of_text("age -> drug -> pressure -> dies; age -> dies; drug -> dies; drug <-> dies; sex -> dies")
    drawn = causal_graph(graph, {"drug": "treatment"}, said_of(graph), cut=[("age", "drug")])
    boxes = [
        tuple(map(float, found))
        for found in re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="34"', drawn)
    ]
    assert len(boxes) == 5
    for (x0, y0, w0), (x1, y1, w1) in combinations(boxes, 2):
        assert x0 + w0 <= x1 or x1 + w1 <= x0 or abs(y0 - y1) >= 34
    assert drawn.count("<title>") == 7 and "age → drug, cut" in drawn
    assert "drug ↔ dies: a common cause that nobody measured" in drawn and "age causes dies" in drawn


def test_a_graph_of_nothing_and_one_of_a_single_variable_are_drawn() -> None:
    assert "<svg" in causal_graph(graph_of_text(""), {}, "nothing")
    assert "alone" in causal_graph(graph_of_text("alone"), {}, "one")
