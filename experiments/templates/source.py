"""A source of your own: where cases come from. Here they are drawn; yours reads files of a hospital."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from client.source import Source
from common.data import Cases, Pooled, SiteId
from common.errors import SourceError
from common.seeding import generator


@dataclass(frozen=True)
class Mine:
    """hospitals: how many. patients: of each; everyone has two visits."""

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    """Whatever is computed from several patients, such as their mean: here nothing is."""
    persons: ClassVar[str] = "A person is whom the name before the visit's number names."

    hospitals: int = 3
    patients: int = 30

    def sites(self) -> tuple[SiteId, ...]:
        """Names of the hospitals, sorted."""
        return tuple(f"hospital-{number:03}" for number in range(1, self.hospitals + 1))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All cases of one hospital: inputs (N, 2) float32, targets (N,) int64, and whose each case is.

        What each patient's cases are follows from that patient alone. A case that cannot be used is left out with a
        reason: `Cases.of(..., quarantined=(Quarantined(name, reason), ...))`.
        """
        if site not in self.sites():
            raise SourceError(f"there is no hospital {site!r}; there are {', '.join(self.sites())}.")
        parts = [self._visits(f"{site}-{number:03}", seed) for number in range(self.patients)]
        inputs, targets, persons = (np.concatenate([part[index] for part in parts]) for index in range(3))
        return Cases.of(inputs, targets, persons, classes=("healthy", "ill"))

    def _visits(self, person: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = generator(seed, person, "two visits")
        target = rng.integers(2)
        inputs = rng.normal(2.0 * target, 1.0, size=(2, 2)).astype(np.float32)
        return inputs, np.full(2, target), np.full(2, person)


def one_patient_less(folder: Path) -> dict[str, int]:
    """For `wardround test`: a person goes, and nothing else may change. Yours changes files in `folder`."""
    return {"patients": 29}


changes = (one_patient_less,)
test_options = {"source": {"hospitals": 1}}
source: type[Source] = Mine
