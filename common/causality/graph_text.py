"""Causal graphs as people write them: `age -> drug -> recovery; drug <-> recovery`, or a small TOML file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from common.causality.graph import Arrow, Graph, make_graph, project
from common.errors import GraphError
from common.files.access import read_all_text
from common.study.spelling import unknown

LARGEST_BYTES = 1 << 20
LONGEST_NAME = 60
MOST_EDGES = 100_000
_EDGE = re.compile(r"\s*(<->|->|<-|↔|→|←)\s*")
_NAME = re.compile(r"[^\W\d][\w.]*(?:[ -][\w.]+)*")
_KEYS = ("arrows", "common_causes", "hidden", "variables", "effect", "given")
_HIDDEN = re.compile(r"\s*hidden\s*:(.*)", re.IGNORECASE)


def read_graph(text_or_path: str) -> Graph:
    """A graph that is written out, or a file of one.

    Args:
        text_or_path: as `graph_of_text`, or the path of such a text; of TOML where its name ends so.

    Returns:
        The graph.

    Raises:
        GraphError: it is no graph.
        FileError: the file cannot be read.
    """
    if _EDGE.search(text_or_path):
        return graph_of_text(text_or_path)
    path = Path(text_or_path)
    text = read_all_text(path, LARGEST_BYTES)
    return graph_of_toml(text) if path.suffix == ".toml" else graph_of_text(text)


def graph_of_text(text: str) -> Graph:
    """Chains of `->`, `<-` and `<->`, one a line or between semicolons; `&` or a comma joins variables at one end.

    `hidden: u, v` names variables that nobody measured; `#` begins a remark.

    Args:
        text: such as `age -> drug -> death; age -> death`.

    Returns:
        The graph of what is measured.

    Raises:
        GraphError: it is no graph.
    """
    arrows, pairs, nodes, hidden = list[Arrow](), list[Arrow](), list[str](), list[str]()
    for line in text.splitlines():
        for statement in line.partition("#")[0].split(";"):
            if found := _HIDDEN.fullmatch(statement):
                hidden += _names(found[1])
            elif statement.strip():
                _read_chain(statement, arrows, pairs, nodes)
    return _measured(make_graph(arrows, pairs, nodes), hidden)


def graph_of_toml(text: str) -> Graph:
    """`arrows = ["a -> b"]`, `common_causes = [["a", "b"]]` that nobody measured, `hidden = ["u"]`, `variables`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GraphError(f"the causal graph is not TOML: {error}.") from error
    for key in table:
        if key not in _KEYS:
            raise unknown("key of a causal graph", key, _KEYS)
    arrows, pairs, nodes = list[Arrow](), list[Arrow](), _words(table, "variables")
    for chain in _words(table, "arrows"):
        _read_chain(chain, arrows, pairs, nodes)
    for pair in table.get("common_causes", []):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise GraphError(f'each of common_causes is two variables, such as ["age", "sex"]; this is {pair!r}.')
        pairs.append((_name(pair[0]), _name(pair[1])))
    return _measured(make_graph(arrows, pairs, [_name(node) for node in nodes]), _words(table, "hidden"))


def as_text(graph: Graph) -> str:
    """As `graph_of_text` reads it, an edge a line."""
    arrows = [f"{one} -> {other}" for one in graph.nodes for other in graph.sorted(graph.children[one])]
    pairs = [" <-> ".join(graph.sorted(pair)) for pair in graph.pairs]
    alone = [node for node in graph.nodes if not any(node in edge for edge in [*graph.arrows, *graph.pairs])]
    return "\n".join([*arrows, *sorted(pairs), *alone])


def _words(table: dict[str, object], key: str) -> list[str]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise GraphError(f"{key} of a causal graph is a list of words; this is {str(found)[:200]!r}.")
    return list(found)


def _read_chain(chain: str, arrows: list[Arrow], pairs: list[Arrow], nodes: list[str]) -> None:
    first, *rest = _EDGE.split(chain.strip())
    left = _names(first)
    nodes += left
    for sign, words in zip(rest[::2], rest[1::2], strict=True):
        right = _names(words)
        nodes += right
        if len(left) * len(right) + len(arrows) + len(pairs) > MOST_EDGES:
            raise GraphError(f"the causal graph has more than {MOST_EDGES} edges.")
        edges = [(one, other) for one in left for other in right]
        if sign in ("<->", "↔"):
            pairs += edges
        else:
            arrows += edges if sign in ("->", "→") else [(other, one) for one, other in edges]
        left = right


def _names(words: str) -> list[str]:
    return [_name(word) for word in re.split(r"[,&]", words)]


def _name(word: str) -> str:
    name = word.strip()
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise GraphError(
            f"{name[:200]!r} is no name of a variable, or no edge: names are letters, digits, _ and -, and edges are "
            "written a -> b, or a <-> b for a common cause that nobody measured."
        )
    return name


def _measured(graph: Graph, hidden: list[str]) -> Graph:
    return project(graph, graph.demand(*(name.strip() for name in hidden)))
