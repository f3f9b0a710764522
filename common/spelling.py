"""Answers to names that do not exist: what was meant, and what there is."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from common.errors import UnknownNameError


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An error such as: No strategy 'fedagv'; did you mean 'fedavg'? There are: fedavg, fedsgd."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    there = f" There are: {', '.join(names)}." if names else " There are none."
    return UnknownNameError(f"No {kind} {name!r}{guess}{there}")
