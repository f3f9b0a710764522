"""What everybody knows before the first question: the same on both sides, by the study that all approved."""

from __future__ import annotations

from collections.abc import Iterable

from common.asking.analysis import Public
from common.asking.levels import levels_of
from common.data.names import SiteId
from common.study.study import Study


def public_of(study: Study, roster: Iterable[SiteId]) -> Public:
    """Names of all of a study's hospitals, and the words that columns may hold."""
    return Public(tuple(sorted(roster)), levels_of(study))
