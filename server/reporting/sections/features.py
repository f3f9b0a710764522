"""What an encoder that learned without labels makes of cases: a map, and the most alike of a hospital."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.reporting.by_hospital import MANY
from server.reporting.charts.bars import legend
from server.reporting.charts.plane import Plane, Spot, plane
from server.reporting.embedding import Alike, Card, Embedding, Point
from server.reporting.markup import Child, Markup, tag
from server.reporting.records import Run
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import count, percent

COLOURS = 8
MARGIN = 0.06
RADIUS = 2.6
SHOWN_AT_ONCE = 4


def features(run: Run) -> Markup | None:
    """None of a run that wrote no map: of a task with labels, or of real hospitals."""
    found = run.embedding
    if found is None:
        return None
    lede = (
        f"Each case is {found.width} numbers to the encoder. The map shows the two directions in which {found.cases} "
        f"cases differ most, {_explained(found)} of all their variance; they come of sums of all hospitals. Points "
        f"are single cases, which only a simulation can show.{_left_out(found.left_out)}"
    )
    return section("features", "What the encoder tells apart", lede, *_maps(found), *_alike(found))


def _left_out(cases: int) -> str:
    if not cases:
        return ""
    return f" Of {count(cases, 'more case')} the encoder makes no finite numbers: how bright are they?"


def _explained(found: Embedding) -> str:
    return percent(sum(found.shares))


def _maps(found: Embedding) -> list[Child]:
    if not found.points:
        return []
    maps = [_map(found, "By hospital", lambda point: point.site, "Hospitals far apart: the encoder tells scanners.")]
    if any(point.label for point in found.points):
        words = "Labels were not used in training; where they part, few labels suffice."
        maps.append(_map(found, "By label", lambda point: point.label or "none known", words))
    return [beside(*maps)]


def _map(found: Embedding, title: str, of: Callable[[Point], str], note: str) -> Markup:
    looks = _looks([of(point) for point in found.points])
    spots = [
        Spot(one.x, one.y, looks.get(of(one), "quiet-line"), f"{one.site} {one.label}".strip(), radius=RADIUS)
        for one in found.points
    ]
    x, y = (_limits([getattr(point, axis) for point in found.points]) for axis in ("x", "y"))
    words = [f"direction {k}: {percent(share)}" for k, share in enumerate((*found.shares, 0.0, 0.0)[:2], 1)]
    chart = plane(Plane(x, y, words[0], words[1]), describe=f"map of features, {title.lower()}", spots=spots)
    return figure(title, legend(_keys(looks).items()), chart, note=note)


def _keys(looks: dict[str, str]) -> dict[str, str]:
    """Of many names those with a colour of their own, and how many share the last."""
    if len(looks) <= MANY:
        return looks
    own = list(looks.items())[: COLOURS - 1]
    return {**dict(own), f"{len(looks) - len(own):,} others": f"c{COLOURS}"}


def _looks(words: Sequence[str]) -> dict[str, str]:
    """A colour for each, in the order in which they come; the last colour for all that are left."""
    names = list(dict.fromkeys(words))
    return {name: f"c{min(k, COLOURS)}" for k, name in enumerate(names, 1)}


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = MARGIN * (high - low) or 1.0
    return low - room, high + room


def _alike(found: Embedding) -> list[Child]:
    if not found.alike:
        return []
    rows = [_row(one) for one in found.alike]
    first, more = rows[:SHOWN_AT_ONCE], rows[SHOWN_AT_ONCE:]
    words = (
        "Framed: a case. Beside it the cases of other persons there that the encoder finds most alike, with the "
        "cosine of how their features differ from the hospital's mean."
    )
    rest = numbers(f"{len(more)} more", *more) if more else None
    return [figure("Nearest neighbours within a hospital", *first, rest, note=words)]


def _row(one: Alike) -> Markup:
    cards = [_card(card, f"{one.site}, {word}") for card, word in zip(
        (one.asked, *one.found), ("the case", *(f"neighbour {k}" for k in range(1, len(one.found) + 1))), strict=True
    )]  # fmt: skip
    return tag("div", tag("b", one.site), tag("div", *cards, class_="alike"))


def _card(card: Card, alt: str) -> Markup:
    similarity = "" if card.similarity is None else f"{card.similarity:.2f}"
    return tag(
        "figure", tag("img", src=card.picture, alt=alt), tag("figcaption", " ".join((similarity, card.label)).strip())
    )
