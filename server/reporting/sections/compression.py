"""What compression saved of the bytes of updates, and by how much what left differed, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

from common.compression.cost import FULL_BYTES
from common.compression.told import LOST
from server.reporting.charts.lines import Line, line_chart
from server.reporting.curves import training_mean
from server.reporting.markup import Markup, tag
from server.reporting.records import Run
from server.reporting.sections.layout import figure
from server.reporting.wording import percent, size

NOT_TOLD = "How much of an update it took is not told, since that has no noise."
WHAT_IT_IS = (
    "Rounding and what stays in the hospital for later rounds alike, as a share of the length of what was to be "
    "sent: the mean of hospitals. 0 would be every update in full."
)


@dataclass(frozen=True)
class Saved:
    """bytes: of the answers with updates, with all that is in them. in_full: of their values alone, uncompressed.

    lost: by round, the difference between what left and what was to be sent, as a share of the latter's length.
    """

    bytes: int
    in_full: int
    lost: tuple[tuple[float, float], ...]

    @property
    def table(self) -> dict[str, Any]:
        """For `summary.json`."""
        by_round = {str(int(number)): share for number, share in self.lost}
        return {"update_bytes": self.bytes, "update_bytes_in_full": self.in_full, "lost_by_round": by_round}


def saved(run: Run) -> Saved | None:
    """None where the study compressed nothing."""
    in_full = FULL_BYTES * sum(one.values_in_full for one in run.rounds)
    if not in_full:
        return None
    told = [(float(one.number), training_mean(one, LOST)) for one in run.rounds]
    came = sum(kind.bytes for kind in run.traffic.kinds if kind.content == "update" and kind.leaves_hospital)
    return Saved(came, in_full, tuple((number, share) for number, share in told if share is not None))


def compression(run: Run) -> Markup | None:
    """A figure; None where the study compressed nothing."""
    found = saved(run)
    if found is None:
        return None
    words = (
        f"Answers with updates took {size(found.bytes)}; their values alone would have taken {size(found.in_full)} "
        f"in full, at {FULL_BYTES} bytes each."
    )
    if not found.lost:
        return figure("Updates in fewer bytes", tag("p", words), note=NOT_TOLD)
    shares = [share for _, share in found.lost]
    words += (
        f" What left in a round differed from what was to be sent by {percent(fmean(shares))} of its length on "
        f"average, and by {percent(max(shares))} at most."
    )
    chart = line_chart(
        [Line("difference", found.lost, "c1")],
        describe="difference between what left and what was to be sent, over rounds",
        x_word="round",
        words=percent,
    )
    return figure("Updates in fewer bytes", tag("p", words), chart, note=WHAT_IT_IS)
