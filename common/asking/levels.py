"""The words that columns of a study's records may hold: by the study and its source's options, never by data."""

from __future__ import annotations

from collections.abc import Mapping

from common.study.catalogue import SOURCES
from common.study.study import Study

CLASS, TARGET = "class", "target"
"""Columns of what is to be predicted, of a source that does not say what its own are called."""


def levels_of(study: Study) -> Mapping[str, tuple[str, ...]]:
    """Words by column, in order; a column without any holds numbers, or words that nobody named.

    Reads no data: what a coordinator knows is what every hospital approved.
    """
    source = SOURCES.build(study.source)
    classes = getattr(source, "classes", ())
    named = getattr(source, "levels", {})
    own = {} if hasattr(source, "records") or not classes else {CLASS: tuple(classes)}
    return {**own, **named}
