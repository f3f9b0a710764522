"""The page of benchmarks: each with its command, and the table of its last `--json` where docs/measured/ has one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_words import cell, prose, table

from experiments.benchmark import spell
from experiments.catalogue import BENCHMARKS

DOCS = Path(__file__).parents[1]
MEASURED, RESULTS = DOCS / "measured", DOCS / "results.md"
TOLD = re.compile(r"^(?=.*`(?:\w+=\S+ )*wardround bench ([\w-]+))", re.MULTILINE)
"""A line of results.md that speaks of a benchmark."""
HEAD = """# Benchmarks

Each measures one thing beside a named peer or bound, in one run on the same work. It succeeds when it could measure,
whatever came out, and prints its targets met or missed. `wardround bench NAME --json docs/measured/NAME.json` keeps a
table that this page shows; tables that took hours, with what was learned from them, are in [all results](results.md).

"""
FIGURES = ("ours", "peer", "bound")
MET = {True: "met", False: "missed", None: "not measured"}


def benchmarks_page() -> str:
    """One section a benchmark."""
    return HEAD + "\n".join(_section(name) for name in BENCHMARKS.names())


def told(results: str) -> Mapping[str, int]:
    """Where results.md first speaks of each benchmark."""
    return {found[1]: found.start() for found in reversed(list(TOLD.finditer(results)))}


def marked_results(results: str) -> str:
    """The same with a place to go to before each, at the beginning of its paragraph."""
    for name, place in sorted(told(results).items(), key=lambda one: one[1], reverse=True):
        begin = results.rfind("\n\n", 0, place) + 2
        results = f'{results[:begin]}<a id="bench-{name}"></a>\n\n{results[begin:]}'
    return results


def _section(name: str) -> str:
    spelled = name.replace("_", "-")
    made = [f"## {spelled}\n", f"`wardround bench {spelled}`: {prose(BENCHMARKS.summary(name))}\n"]
    if spelled in told(RESULTS.read_text(encoding="utf-8")):
        made.append(f"[What was measured](results.md#bench-{spelled})\n")
    kept = MEASURED / f"{spelled}.json"
    return "\n".join(made + ([_measured(json.loads(kept.read_text(encoding="utf-8")))] if kept.exists() else []))


def _measured(kept: Mapping[str, Any]) -> str:
    rows, targets = kept["rows"], kept["targets"]
    made = [table(list(rows[0]), [[cell(spell(one)) for one in row.values()] for row in rows])] if rows else []
    made += [prose(note) + "\n" for note in kept["notes"]]
    aims = [
        [cell(one["name"]), *(spell(one[figure]) for figure in FIGURES), cell(one["target"]), MET[one["met"]]]
        for one in targets
    ]
    made.append(table(("target", *FIGURES, "wanted", ""), aims))
    versions = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
    when = f" on {kept['day']}" if "day" in kept else ""
    where = f": {kept['machine']}" if "machine" in kept else ""
    return "\n".join([*made, f"Measured{when} with {versions}{where}.\n"])
