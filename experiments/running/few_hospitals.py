"""Fewer hospitals than a sum can hide, on one's own machine, where a study names no aggregation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import cast

from client.hospital import site_names
from common.errors import SourceError
from common.privacy.mechanism import Mechanism
from common.study.catalogue import MECHANISMS
from common.study.options import Entry
from common.study.study import Study
from common.sums.cohorts import LEAST_IN_SUM, reveals


def with_readable_updates(study: Study, said: Collection[str]) -> tuple[Study, str]:
    """The study, and why its aggregation is another: "plain" where it names none and has too few hospitals for a sum.

    said: the keys that whoever wrote the study gave. The sum of two hides neither from the other, so that masks would
    promise what they cannot keep. A study with a roster is one of real hospitals, and must write "plain" out.
    """
    if "aggregation" in said or study.federation.roster or reveals(study) == "each" or _adds_noise_in_shares(study):
        return study, ""
    try:
        hospitals = len(site_names(study))
    except SourceError:
        return study, ""
    if not 0 < hospitals < LEAST_IN_SUM:
        return study, ""
    return replace(study, aggregation=Entry("plain")), why(hospitals)


def why(hospitals: int) -> str:
    """In a sentence for the screen, `wardround check` and the report."""
    there = f"{hospitals} hospitals are" if hospitals > 1 else "1 hospital is"
    return (
        f"{there} too few for a sum that hides anybody (it takes {LEAST_IN_SUM}), and no aggregation is named: "
        'in simulation it runs with aggregation = "plain": every single update is read. Real hospitals would have '
        "to agree to that in writing."
    )


def _adds_noise_in_shares(study: Study) -> bool:
    """Such noise is whole in a sum alone."""
    return study.privacy is not None and cast(Mechanism, MECHANISMS.build(study.privacy)).place == "shares"
