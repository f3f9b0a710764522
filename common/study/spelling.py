"""Answers to names that do not exist: what was meant, and what there is."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from common.errors import UnknownNameError


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An error such as: No strategy 'fedagv'; did you mean 'fedavg'? There are: fedavg, fedsgd."""
    names = sorted(known)
    near = nearest(name, names)
    guess = f"; did you mean {near!r}?" if near else "."
    there = f" There are: {', '.join(names)}." if names else " There are none."
    return UnknownNameError(f"No {kind} {name!r}{guess}{there}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.5)), None)
