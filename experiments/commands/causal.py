"""The command that says whether an effect can be known from a causal graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.errors import GraphError
from common.files import access as files
from experiments.commands._terminal import say, spoken_errors


def causal(
    graph: Annotated[
        str | None,
        typer.Argument(
            help="Such as 'age -> drug -> dies; age -> dies; drug <-> dies', or a file of it, text or TOML."
        ),
    ] = None,
    effect: Annotated[
        tuple[str, str] | None, typer.Option(help="What is set and what is asked for; several between commas.")
    ] = None,
    given: Annotated[str, typer.Option(help="Within which groups: variables between commas.")] = "",
    page: Annotated[Path | None, typer.Option(help="Write a page with pictures here.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer here too.")] = None,
) -> None:
    """Say from a causal graph whether an effect can be known, what to adjust for, and what forbids it if it cannot.

    Arrows are causes; a <-> b is a common cause that nobody measured, and `hidden: u` names one. Without an effect,
    what the graph says that data could refute; without a graph, the ladder of causation on an example.
    """
    with spoken_errors():
        files.demand_writable(page, json_file)
        if graph is None:
            _show_ladder(effect, page, json_file)
            return
        from common.causality.graph_text import read_graph
        from experiments.causal.command import effect_as_json, effect_lines, effect_of, graph_lines

        found = read_graph(graph)
        if effect is None:
            if page is not None or json_file is not None or given:
                raise GraphError("a page, JSON or groups are of an effect: say which, such as --effect drug dies.")
            say(graph_lines(found))
            return
        answer = effect_of(found, *effect, given)
        say(effect_lines(answer))
        if json_file is not None:
            files.write_to(json_file, json.dumps(effect_as_json(answer), indent=2, ensure_ascii=False) + "\n")
        if page is not None:
            from experiments.causal.effect_page import effect_page

            say(["", str(files.write_to(page, effect_page(answer)).resolve())])


def _show_ladder(effect: tuple[str, str] | None, page: Path | None, json_file: Path | None) -> None:
    if effect is not None or json_file is not None:
        raise GraphError("an effect is of a graph: write it first, such as 'age -> drug -> dies; age -> dies'.")
    from experiments.causal.command import ladder_lines

    say(ladder_lines())
    if page is not None:
        from experiments.causal.ladder_page import ladder_page

        say(["", str(files.write_to(page, ladder_page()).resolve())])
