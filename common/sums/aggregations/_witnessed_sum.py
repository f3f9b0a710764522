"""Sums of many hospitals under masks of a sparse graph, where few witness for all: a leg more, and fewer bytes.

To the legs of `_sparse_client` comes one, and another leg reads less; what follows from it is in `_witnesses`.

| leg     | the server sends                                  | a hospital replies                           |
|---------|---------------------------------------------------|----------------------------------------------|
| confirm | of its witnesses' signatures on the survivors     | its signature on having enough of them       |
|         | those that came                                   |                                              |
| unmask  | of its witnesses' signatures on having enough     | for each that chose it one of its two shares |
|         | those that came, and those on root and order      |                                              |

Whose noise counts on how many are in a sum, or where any hospitals may be opened, all signatures are read, as in
`_sparse_client`: witnesses say that more than half agree, and not how many. Of whole groups a sum has all or none.

That enough of those that a hospital chose signed the survivors is not looked at beside: who gives a share signed
them, and so is one of them, and of one set alone; a seed takes shares of `needed` of these, or of those who collude.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import compress, islice
from typing import ClassVar

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations._chosen import Announced, drawn
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES
from common.sums.aggregations._secagg_client import Answer, as_data, is_signed
from common.sums.aggregations._session_state import Notes, pieces
from common.sums.aggregations._sparse_client import SparseSum, marked, read_bits
from common.sums.aggregations._witnesses import Witnesses
from common.sums.cohort import Cohort
from common.sums.exchange import Payload, Word

CONFIRM = "confirm"


@dataclass(frozen=True)
class WitnessedSum(SparseSum):
    """One hospital's half. witnesses: how many each hospital has, and how many of these must sign."""

    LEGS: ClassVar[tuple[str, ...]] = (*SparseSum.LEGS, CONFIRM)
    witnesses: Witnesses = field(kw_only=True)

    @staticmethod
    def are_enough(cohort: Cohort) -> bool:
        """Whether witnesses say all that a hospital must know before it gives shares."""
        return bool(cohort.groups)

    def _answers(self) -> Mapping[str, Answer]:
        return {**super()._answers(), CONFIRM: self._confirm}

    def _before_unmask(self, cohort: Cohort) -> str:
        return CONFIRM if self.are_enough(cohort) else super()._before_unmask(cohort)

    def _confirm(self, request: Payload, local: Local) -> Payload:
        if not self.are_enough(local.cohort):
            raise WireError("where no groups must be whole, all that signed the survivors are told.")
        notes = Notes.follow(local, self.protocol, "survivors", CONFIRM)
        self._demand_witnesses(notes, request, notes["statement"], local)
        return as_data(local.identity.sign(confirmed(notes["statement"])))

    def _demand_signed(self, notes: Notes, request: Payload, local: Local) -> Callable[[Sequence[int]], bool]:
        if not self.are_enough(local.cohort):
            return super()._demand_signed(notes, request, local)
        self._demand_witnesses(notes, request, confirmed(notes["statement"]), local)
        return lambda places: True

    def _demand_witnesses(self, notes: Notes, request: Payload, statement: bytes, local: Local) -> None:
        """Raise WireError unless enough of this hospital's witnesses signed a statement."""
        announced, sites = Announced.from_bytes(notes["announced"]), local.cohort.sites
        witnesses = witnesses_of(announced, sites.index(local.site), sites, self.witnesses)
        there = list(compress(witnesses, read_bits(request, len(witnesses))))
        given = zip(there, pieces(request.data, len(there), SIGNATURE_BYTES), strict=True)
        signed = (site for site, one in given if is_signed(local, site, one, statement))
        found = len(list(islice(signed, self.witnesses.needed)))
        if found < self.witnesses.needed:
            raise WireError(
                f"{found} of this hospital's {self.witnesses.chosen} witnesses signed these survivors, or confirmed "
                f"them; {self.witnesses.needed} must."
            )


def witnesses_of(
    announced: Announced, place: int, sites: Sequence[SiteId], witnesses: Witnesses
) -> tuple[SiteId, ...]:
    """Of the hospital at a place of the round's, sorted; the first of them drawn are those that it chose."""
    return tuple(sites[at] for at in drawn(announced.choice, place, len(sites), witnesses.chosen))


def with_signatures(
    witnesses: Sequence[SiteId], signatures: Mapping[SiteId, bytes]
) -> tuple[Mapping[str, Word], bytes]:
    """The word that tells a hospital whose signatures come of its witnesses', and these, one after the other."""
    there = b"".join(signatures[site] for site in witnesses if site in signatures)
    return marked(witnesses, signatures.keys()), there


def confirmed(statement: bytes) -> bytes:
    """What a hospital signs once it read that enough of its witnesses signed the statement."""
    return b"wardround: confirmed\n" + sha256(statement).digest()
