"""`federation.expected_patients`: public numbers that stand for those of patients wherever a promise is worked out.

With them, adding or removing a patient changes nothing that leaves a hospital but its noisy sums: sampling rates,
steps, noise, weights, denominators and scales all follow from the study, and no hospital tells what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from common.data.names import SiteId
from common.errors import StudyError

ExpectedPatients = int | Mapping[str, int]
"""One number for every hospital, or a table of them by name."""

LARGEST = 10_000_000


class Federated(Protocol):
    """The part of a study that says what is expected."""

    @property
    def expected_patients(self) -> ExpectedPatients | None:
        """Training patients, as agreed before anybody counted; None: hospitals tell their own numbers."""
        ...


def check_expected_patients(expected: ExpectedPatients | None) -> None:
    """Raise StudyError unless every number is whole and from 1 to 10,000,000."""
    if expected is None:
        return
    table = expected if isinstance(expected, Mapping) else {"": expected}
    if not table:
        raise StudyError(
            "federation.expected_patients is an empty table: give every hospital's number, or one for all."
        )
    for site, number in table.items():
        if type(number) is not int or not 1 <= number <= LARGEST:
            place = f"federation.expected_patients.{site}".rstrip(".")
            raise StudyError(f"{place} must be a whole number from 1 to {LARGEST}; it is {number!r}.")


def expected_patients(federation: Federated, site: SiteId) -> int | None:
    """The number for `site`; None where the study names none. Raises StudyError where a table leaves the site out."""
    expected = federation.expected_patients
    if expected is None or isinstance(expected, int):
        return expected
    if site not in expected:
        raise StudyError(f"federation.expected_patients names no number for {site!r}; add one, or give one for all.")
    return expected[site]
