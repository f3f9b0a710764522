"""What is computed from several patients before a network sees a case, which no promise to a single patient covers.

Noise hides what one patient's own cases add to an update. Where that patient also moves everybody else's cases (a
mean that they are centred by, a split they are shuffled into), the update moves by more than the noise was made for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pooled:
    """One thing that one patient can change for others.

    what: as in "means and deviations of each hospital's patients". option: what brings it, as written in a study.
    remedy: what to write in its place.
    """

    what: str
    option: str
    remedy: str
