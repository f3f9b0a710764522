"""`embedding.json` from untrusted JSON: where cases lie among each other, and which are most alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.reporting.png import is_png
from server.reporting.values import count, items, number, table, text

MOST_POINTS, MOST_ROWS, MOST_FOUND = 5000, 32, 8


@dataclass(frozen=True)
class Point:
    """A case's place on the map. label: its class where the source knew it."""

    site: str
    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Card:
    """A picture as a data URI. similarity: cosine to the case that is asked about; None for that itself."""

    picture: str
    label: str
    similarity: float | None


@dataclass(frozen=True)
class Alike:
    """A case of a hospital, and those of other persons there that are most alike."""

    site: str
    asked: Card
    found: tuple[Card, ...]


@dataclass(frozen=True)
class Embedding:
    """shares: of all features' variance that each of the map's two directions has. width: numbers of a feature.
    left_out: cases of which the model makes no finite numbers.
    """

    cases: int
    width: int
    shares: tuple[float, ...]
    points: tuple[Point, ...]
    alike: tuple[Alike, ...]
    left_out: int = 0


def embedding_of(value: object) -> Embedding | None:
    """None where there is none, or nothing of it can be shown."""
    raw = table(value)
    points = tuple(point for one in items(raw.get("points"))[:MOST_POINTS] if (point := _point(table(one))))
    rows = tuple(row for one in items(raw.get("neighbours"))[:MOST_ROWS] if (row := _alike(table(one))))
    if not points and not rows:
        return None
    shares = tuple(share for one in items(raw.get("shares"))[:2] if (share := number(one)) is not None)
    left_out = count(raw.get("left_out"))
    return Embedding(count(raw.get("cases")), count(raw.get("width")), shares, points, rows, left_out)


def _point(raw: Mapping[str, Any]) -> Point | None:
    place = [number(one) for one in items(raw.get("place"))[:2]]
    if not place or place[0] is None:
        return None
    y = place[1] if len(place) > 1 and place[1] is not None else 0.0
    return Point(text(raw.get("site")), text(raw.get("label")), place[0], y)


def _alike(raw: Mapping[str, Any]) -> Alike | None:
    asked = _card(table(raw.get("asked")))
    found = tuple(card for one in items(raw.get("found"))[:MOST_FOUND] if (card := _card(table(one))))
    return Alike(text(raw.get("site")), asked, found) if asked and found else None


def _card(raw: Mapping[str, Any]) -> Card | None:
    picture = text(raw.get("picture"))
    return Card(picture, text(raw.get("label")), number(raw.get("similarity"))) if is_png(picture) else None
