"""anjana and pycanon on the work of `bench anonymity`, in a Python of their own.

Called as `python _anonymity_peers.py WORK.json RESULTS.json`; imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

np: Any = import_module("numpy")
pd: Any = import_module("pandas")
anjana: Any = import_module("anjana.anonymity")
pycanon: Any = import_module("pycanon.anonymity")


def ranges(values: Any, step: float) -> Any:
    """[a, b) of so wide steps from the lowest value on."""
    low = values.min()
    starts = low + (values - low) // step * step
    return np.array([f"[{a:g}, {a + step:g})" for a in starts])


def hierarchies(frame: Any, quasi: list[str]) -> dict[str, dict[int, Any]]:
    """As its documentation makes them: numbers in three widths of ranges, words as they are, and then anything."""
    found = {}
    for name in quasi:
        values, everything = frame[name].to_numpy(), np.array(["*"] * len(frame))
        if frame[name].dtype.kind == "f":
            span = values.max() - values.min()
            found[name] = {0: values, **{at: ranges(values, span / parts) for at, parts in ((1, 16), (2, 8), (3, 4))}}
            found[name][4] = everything
        else:
            found[name] = {0: values, 1: everything}
    return found


def width(said: Any, span: float) -> float:
    text = str(said)
    if text == "*":
        return 1.0
    if text.startswith("["):
        low, high = (float(end) for end in text.strip("[)").split(", "))
        return min(1.0, (high - low) / span)
    return 0.0


def anonymised(work: dict[str, Any]) -> dict[str, float]:
    """Seconds, and the mean width of a released value over columns and rows, 1 for what is left out."""
    frame, quasi = pd.DataFrame(work["columns"]), work["quasi"]
    trees = hierarchies(frame, quasi)
    begin = time.perf_counter()
    released = anjana.k_anonymity(frame, [], quasi, work["k"], work["suppress"], trees)
    seconds = time.perf_counter() - begin
    lost = 0.0
    for name in quasi:
        span = float(frame[name].max() - frame[name].min()) if frame[name].dtype.kind == "f" else 1.0
        lost += sum(width(said, span) for said in released[name]) + len(frame) - len(released)
    return {"seconds": seconds, "loss": lost / (len(frame) * len(quasi)), "rows": float(len(released))}


def checked(work: dict[str, Any]) -> dict[str, float]:
    """k, l and t of a release. A release is words, so distances are equal ones."""
    frame, quasi, sensitive = pd.DataFrame(work["columns"]), work["quasi"], [work["sensitive"]]
    return {
        "k": float(pycanon.k_anonymity(frame, quasi)),
        "l": float(pycanon.l_diversity(frame, quasi, sensitive)),
        "t": float(pycanon.t_closeness(frame, quasi, sensitive)),
    }


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    found = {
        "anonymised": {name: anonymised(one) for name, one in work["anonymise"].items()},
        "checked": {name: checked(one) for name, one in work["check"].items()},
    }
    Path(sys.argv[2]).write_text(json.dumps(found))


main()
