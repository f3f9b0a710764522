"""What the layers weigh: the first layer's filters as pictures, of deeper ones how large their filters are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from common.attribution.looks.filters import Filters as Found
from common.attribution.looks.filters import filters_of
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import shown, sliced, tile
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.charts.bars import bar, row
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import figure, numbers, section
from server.reporting.wording import count, percent, score

KEY = "filters"
MOST_PICTURES = 64
FAINT = 0.1
"""Of the largest norm of a layer: a filter below it does next to nothing."""
ALL_STRONG = "In no layer is a filter weaker than a tenth of that layer's strongest: all of them are in use."
SEEN = 6
"""Layers whose sizes are seen at once."""


@dataclass(frozen=True, eq=False)
class FiltersFound:
    """In the order of the network."""

    layers: tuple[Found, ...]

    @property
    def word(self) -> str:
        """In the contents."""
        return "Filters"

    def finding(self) -> str:
        """None."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Of every layer how large its filters are."""
        return {
            "layers": [
                {
                    "path": one.path,
                    "kind": one.kind,
                    "filters": len(one.norms),
                    "norms": [round(float(norm), 6) for norm in one.norms],
                    "faint": faint(one.norms),
                }
                for one in self.layers
            ]
        }

    def markup(self) -> Markup:
        """Tiles, then bars."""
        lede = (
            "A filter is what a layer compares every place with: where they are alike, it answers. Only the first "
            "layer's filters are of the image itself, and can be looked at; a deeper filter weighs what other "
            "filters answered, and of it one can say only how much it weighs."
        )
        first = self.layers[0]
        drawn = None if first.pictures is None or first.pictures.ndim < 4 else self._tiles(first.pictures)
        rows = [self._row(one) for one in self.layers]
        rest = numbers(f"{len(rows) - SEEN} more layers", _rows(rows[SEEN:])) if rows[SEEN:] else None
        note = "Beside each layer the share of its filters that are fainter than a tenth of its strongest one."
        if not any(faint(one.norms) for one in self.layers):
            return section(KEY, "What are its building blocks?", lede, drawn, tag("p", ALL_STRONG, class_="note"))
        sizes = figure("How many filters are faint, layer by layer", _rows(rows[:SEEN]), rest, note=note)
        return section(KEY, "What are its building blocks?", lede, drawn, sizes)

    def _tiles(self, pictures: Tensor) -> Markup:
        order = pictures.flatten(1).norm(dim=1).argsort(descending=True)[:MOST_PICTURES].tolist()
        tiles = [shown(self._tile(pictures[k]), f"{k}", alt=f"filter {k}") for k in order]
        size = " x ".join(map(str, pictures.shape[2:]))
        left = f", the strongest {len(order)} of {len(pictures)}" if len(order) < len(pictures) else ""
        note = (
            "Orange: bright there excites the filter. Blue: bright there quiets it. Black: of no account. Many "
            "filters that look like noise are a sign of little training or little data."
        )
        return figure(
            f"{count(len(order), 'filter')} of the first layer, {size} pixels{left}",
            tag("div", *tiles, class_="tiles-of-filters"),
            note=note,
        )

    def _tile(self, one: Tensor) -> Any:
        flat = sliced(one)
        if len(flat) == 3:
            return tile_of_colours(flat)
        return tile(flat[int(flat.flatten(1).norm(dim=1).argmax())], signed=True)

    def _row(self, one: Found) -> Markup:
        share = faint(one.norms)
        words = f"{percent(share)} of {len(one.norms)}"
        return row(one.path or one.kind, bar(share, words, "local", f"norms up to {score(float(one.norms.max()))}"))


def _rows(rows: list[Markup]) -> Markup:
    return tag("div", *rows, class_="rows")


def faint(norms: Tensor) -> float:
    """Share of filters below FAINT of the largest; all, where all are 0."""
    top = float(norms.max())
    return float((norms <= FAINT * top).double().mean()) if top > 0 else 1.0


def tile_of_colours(values: Tensor) -> Any:
    """(3, H, W) about grey, in its own range."""
    from experiments.explanations.pictures import TILE, grey_picture

    top = values.abs().max().clamp(min=1e-12)
    return grey_picture(torch.clamp(values / top / 2 + 0.5, 0, 1), TILE)


def filters(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None of a network without layers that weigh, and of a table's one layer: its columns say all."""
    clock.say("Filters")
    found = filters_of(subject.answering.network, subject.example)
    is_bare = len(found) == 1 and subject.example.ndim == 2
    return None if not found or is_bare else FiltersFound(found)


make: Make = filters
