"""Answers to names that do not exist: what was meant, and what there is."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from common.errors import UnknownNameError
from common.study.flower_names import flowers_word


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An error such as: No strategy 'fedagv'; did you mean 'fedavg'? There are: fedavg, fedsgd."""
    names, of_flower = sorted(known), flowers_word(kind, name)
    folded = name.lower().replace("-", "").replace("_", "")
    near = next((one for one in names if one.replace("_", "") == folded), None) or nearest(name, names)
    guess = f". {of_flower}" if of_flower else f"; did you mean {near!r}?" if near else "."
    there = f" There are: {', '.join(names)}." if names else " There are none."
    return UnknownNameError(f"No {kind} {name!r}{guess}{there}")


def nearest(name: str, known: Iterable[str], alike: float = 0.5) -> str | None:
    """The known name that was probably meant. alike: at least so much, from 0 to 1."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=alike)), None)
