"""Write the tables of docs/results.md that benchmarks made, each from docs/measured/NAME.json.

    wardround bench NAME --json docs/measured/NAME.json
    python docs/site_pages/measured_tables.py

A table stands between two comments that name its file; what is written around it stays. That of a file which the page
has no place for yet comes after the paragraph that first speaks of its benchmark, else at the end.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.fspath(DOCS.parent), os.fspath(DOCS / "site_pages")]

from markdown_words import cell, prose, table  # noqa: E402 - found by the line above

from experiments.benchmark import spell  # noqa: E402

MEASURED, RESULTS = DOCS / "measured", DOCS / "results.md"
TOLD = re.compile(r"^(?=.*`(?:\w+=\S+ )*(?:wardround )?bench ([\w-]+))", re.MULTILINE)
"""A line of results.md that speaks of a benchmark."""
BEGIN, END = "<!-- made from docs/measured/{}.json -->", "<!-- end of docs/measured/{}.json -->"
FIGURES = ("ours", "peer", "bound")
MET = {True: "met", False: "missed", None: "not measured"}


def told(results: str) -> Mapping[str, int]:
    """Where results.md first speaks of each benchmark."""
    return {found[1]: found.start() for found in reversed(list(TOLD.finditer(results)))}


def written(results: str, kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with the table of each benchmark, by its name, where it stands or first belongs."""
    for name, one in sorted(kept.items()):
        begin, end = BEGIN.format(name), END.format(name)
        made = f"{begin}\n\n{measured_table(one, _verdict(one))}\n{end}"
        if begin in results:
            before, _, rest = results.partition(begin)
            results = before + made + rest.partition(end)[2]
        else:
            place = _after_paragraph(results, name)
            results = results[:place] + f"\n\n{made}" + results[place:]
    return results


def measured_table(kept: Mapping[str, Any], targets: str) -> str:
    """Rows, notes, targets, and a line that says when, with what and where; kept: as `bench --json` writes it."""
    rows = [[cell(spell(one)) for one in row.values()] for row in kept["rows"]]
    head = table(list(map(cell, kept["rows"][0])), rows) if rows else ""
    notes = [f"{prose(one)}\n" for one in kept["notes"]]
    return "\n".join([*filter(None, (head, *notes, targets)), _circumstances(kept)])


def target_table(kept: Mapping[str, Any]) -> str:
    """Every target, with what was measured for it."""
    aims = [
        [cell(one["name"]), *(spell(one[figure]) for figure in FIGURES), cell(one["target"]), MET[one["met"]]]
        for one in kept["targets"]
    ]
    return table(("target", *FIGURES, "wanted", ""), aims)


def kept_tables() -> Mapping[str, Mapping[str, Any]]:
    """What docs/measured/ has, by the benchmark's name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(MEASURED.glob("*.json"))}


def _verdict(kept: Mapping[str, Any]) -> str:
    """How many targets were met, and which not, in a sentence."""
    by = {met: [one for one in kept["targets"] if one["met"] is met] for met in MET}
    parts = [f"{len(by[True])} of {len(kept['targets'])} targets met"] if kept["targets"] else []
    for met in (False, None):
        named = ", ".join(f"{prose(one['name'])} ({spell(one['ours'])}; {prose(one['target'])})" for one in by[met])
        parts += [f"{MET[met]}: {named}"] if named else []
    return "; ".join(parts) + ".\n" if parts else ""


def _circumstances(kept: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
    said = f"Measured{_if(kept, 'day', ' on {}')}{_if(kept, 'commit', ' at {}')} with {versions}"
    said += _if(kept, "machine", ": {}") + _if(kept, "load", ", load {}")
    set_ = ", ".join(f"`{name}={value}`" for name, value in kept.get("settings", {}).items())
    return f"{said}{'; ' if set_ else ''}{set_}.\n"


def _if(kept: Mapping[str, Any], name: str, words: str) -> str:
    return words.format(kept[name]) if kept.get(name) is not None else ""


def _after_paragraph(results: str, name: str) -> int:
    end = results.find("\n\n", told(results).get(name, len(results)))
    return len(results.rstrip("\n")) if end < 0 else end


if __name__ == "__main__":
    RESULTS.write_text(written(RESULTS.read_text(encoding="utf-8"), kept_tables()), encoding="utf-8")
