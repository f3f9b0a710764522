"""What a stranger's code may leave behind: values of the kinds that a page can show, and everything else as it was.

Code that was named for an audit runs in this process and is trusted with it. These checks are against mistakes, so
that whatever it does, what others found is still told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from math import isnan
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.data.cases import SiteId
from common.errors import StudyError
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding
from experiments.audit.records import Trial
from experiments.observation import Observation
from experiments.question import Plant
from server.reporting.markup import visible

LONGEST, DEEPEST, MOST_REPEATS = 1000, 6, 100
"""Of words, of tables in settings, and of how often one fault is planted."""


@contextmanager
def as_before() -> Iterator[None]:
    """Settings of libraries and the process that others' results hang on are put back when the block ends."""
    kind, threads, gradients = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    repeatable, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    errors, place = np.geterr(), Path.cwd()
    try:
        yield
    finally:
        torch.set_default_dtype(kind)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        if torch.are_deterministic_algorithms_enabled() != repeatable or (
            torch.is_deterministic_algorithms_warn_only_enabled() != warns
        ):  # setting them imports torch's compiler, for seconds
            torch.use_deterministic_algorithms(repeatable, warn_only=warns)
        np.seterr(**errors)
        os.chdir(place)


def own_copy(observed: Observation) -> Observation:
    """The same with tables of its own: what an attack takes out of them, others still see."""
    own: Observation = _with_own_tables(observed)
    return replace(own, access=_with_own_tables(observed.access))


def _with_own_tables(value: Any) -> Any:
    """Observation or Access; arrays are read only and need no copy."""
    tables = {one.name: getattr(value, one.name) for one in fields(value)}
    return replace(value, **{name: dict(found) for name, found in tables.items() if isinstance(found, Mapping)})


def checked_finding(found: object) -> Finding:
    """The finding in plain values. Raises TypeError or StudyError for what is none, or says what no page can show."""
    if not isinstance(found, Finding):
        raise TypeError(f"an attack gives a Finding, and it gave {type(found).__name__}")
    if not isinstance(found.possible, bool):
        raise TypeError(f"a finding is possible or not, and it says {type(found.possible).__name__}")
    return replace(
        found,
        attack=_words(found.attack),
        observer=_words(found.observer),
        reason=_words(found.reason),
        figures=_figures(found.figures),
        settings=plain(found.settings),
    )


def checked_trial(trial: object, site: SiteId, sites: Sequence[SiteId]) -> Trial:
    """The trial in plain values. site: of the hospital that was attacked, "" for all that take part, which are sites.

    Raises TypeError for what is no trial, StudyError for one with a figure that is no number, or of a hospital that
    was not attacked.
    """
    if not isinstance(trial, Trial):
        raise TypeError(f"a question gives trials, and it gave {type(trial).__name__}")
    told = {f"similarity {number}": one.ssim for number, one in enumerate(trial.rebuilt)}
    _figures({**told, **{name: one.value for name, one in trial.intervals.items()}})
    if trial.site not in ((site, "") if site else ("", *sites)):
        raise StudyError(f"it is about {trial.site[:80]!r}, which was not attacked")
    return replace(
        trial, reason=_words(trial.reason), figures=_figures(trial.figures), settings=plain(trial.settings)
    )


def checked_views(found: Sequence[object]) -> tuple[View, ...]:
    """Raises TypeError for what is no view."""
    if not all(isinstance(one, View) and isinstance(one.observed, Observation) for one in found):
        raise TypeError("its views are no View of an Observation")
    views = tuple(one for one in found if isinstance(one, View))
    if not all(isinstance(one.observed.access, Access) for one in views):
        raise TypeError("what its views may ask is no Access")
    return tuple(replace(one, reason=_words(one.reason), settings=plain(one.settings)) for one in views)


def checked_plants(found: Sequence[object]) -> list[Plant]:
    """Raises TypeError for what is no planted fault, StudyError for one that is planted too often."""
    if not all(isinstance(one, Plant) for one in found):
        raise TypeError("what it plants is no Plant")
    plants = [one for one in found if isinstance(one, Plant)]
    if not all(1 <= one.repeats <= MOST_REPEATS for one in plants):
        raise StudyError(f"a fault is planted from once to {MOST_REPEATS} times")
    return plants


def plain(table: Mapping[Any, Any]) -> dict[str, Any]:
    """With words for names, and for whatever JSON does not know."""
    return {_words(str(name)): _plain(value, DEEPEST) for name, value in table.items()}


def _plain(value: Any, deepest: int) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), deepest)
    if isinstance(value, Mapping) and deepest:
        return {_words(str(name)): _plain(inner, deepest - 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and deepest:
        return [_plain(inner, deepest - 1) for inner in value]
    return _words(str(value))


def _figures(figures: Mapping[Any, Any]) -> dict[str, float]:
    strange = [name for name, value in figures.items() if not isinstance(name, str) or not isinstance(value, Real)]
    if strange:
        raise TypeError(f"{strange[0]!r:.80} is no figure: a name in words, and a number")
    found = {name: float(value) for name, value in figures.items()}
    if unknown := [name for name, value in found.items() if isnan(value)]:
        raise StudyError(f"{unknown[0][:80]} is not a number.")
    return found


def _words(words: object) -> str:
    if not isinstance(words, str):
        raise TypeError(f"words are wanted, and it says {type(words).__name__}")
    return visible(words[:LONGEST])
