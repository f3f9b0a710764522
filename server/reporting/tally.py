"""What each hospital was asked for and what came of it, counted in one pass over the rounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.data.names import SiteId
from server.reporting.records import Drop, Round


@dataclass(frozen=True)
class Tally:
    """By hospital: rounds it was `selected` for and `contributed` to, rounds in which it was asked and not used
    (`lost`), each of its replies that was not used, with its round (`drops`), and of these those for scores alone, of
    a hospital whose update was used, or not asked for (`unscored`).
    """

    selected: Mapping[SiteId, int]
    contributed: Mapping[SiteId, int]
    lost: Mapping[SiteId, Sequence[Round]]
    drops: Mapping[SiteId, Sequence[tuple[Round, Drop]]]
    unscored: Mapping[SiteId, Sequence[tuple[Round, Drop]]]

    def reasons(self, site: SiteId) -> tuple[str, ...]:
        """Why replies of a hospital were not used, each reason once."""
        return tuple(dict.fromkeys(drop.reason for _, drop in self.drops.get(site, ())))


def tally_of(rounds: Sequence[Round]) -> Tally:
    """Of all hospitals that a round names."""
    selected, contributed = Counter[SiteId](), Counter[SiteId]()
    lost: dict[SiteId, list[Round]] = defaultdict(list)
    drops: dict[SiteId, list[tuple[Round, Drop]]] = defaultdict(list)
    unscored: dict[SiteId, list[tuple[Round, Drop]]] = defaultdict(list)
    for one in rounds:
        asked, used = set(one.selected), set(one.contributed)
        selected.update(asked)
        contributed.update(used)
        for site in asked - used:
            lost[site].append(one)
        for drop in one.dropped:
            drops[drop.site].append((one, drop))
            if drop.site not in asked or (drop.leg == "evaluate" and drop.site in used):
                unscored[drop.site].append((one, drop))
    return Tally(selected, contributed, dict(lost), dict(drops), dict(unscored))
