"""The page of benchmarks: each with its command, and the table of its last `--json` where docs/measured/ has one."""

from __future__ import annotations

from markdown_words import prose
from measured_tables import RESULTS, kept_tables, measured_table, target_table, told

from experiments.catalogue import BENCHMARKS
from experiments.commands.measures import SHORT

HEAD = """# Benchmarks

Each measures one thing beside a named peer or bound, in one run on the same work. It succeeds when it could measure,
whatever came out, and prints its targets met or missed. Tables here are of `wardround bench NAME --json
docs/measured/NAME.json`, as it wrote them; all that was measured, with what was learned from it, is in
[all results](results.md).

"""


def benchmarks_page() -> str:
    """One section a benchmark."""
    return HEAD + "\n".join(_section(name) for name in BENCHMARKS.names())


def marked_results(results: str) -> str:
    """The same with a place to go to before each, at the beginning of its paragraph."""
    for name, place in sorted(told(results).items(), key=lambda one: one[1], reverse=True):
        begin = results.rfind("\n\n", 0, place) + 2
        results = f'{results[:begin]}<a id="bench-{name}"></a>\n\n{results[begin:]}'
    return results


def _section(name: str) -> str:
    spelled = {long: short for short, long in SHORT.items()}.get(name.replace("_", "-"), name.replace("_", "-"))
    made = [f"## {spelled}\n", f"`wardround bench {spelled}`: {prose(BENCHMARKS.summary(name))}\n"]
    if spelled in told(RESULTS.read_text(encoding="utf-8")):
        made.append(f"[What was measured](results.md#bench-{spelled})\n")
    kept = kept_tables().get(spelled)
    return "\n".join(made + ([measured_table(kept, target_table(kept))] if kept else []))
