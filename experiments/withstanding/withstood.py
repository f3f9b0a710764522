"""What was measured of one run: the parts of a page, before anything is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.explanations.section import Section


@dataclass(frozen=True)
class Withstood:
    """sections: by the name of their file, in order. failed: why one has nothing to show, by the same names.

    cases: that were changed, by hospital.
    """

    title: str
    run: str
    sections: Mapping[str, Section]
    failed: Mapping[str, str]
    cases: Mapping[str, int]

    @property
    def findings(self) -> list[str]:
        """Sentences for the head of the page."""
        return [finding for one in self.sections.values() if (finding := one.finding())]
