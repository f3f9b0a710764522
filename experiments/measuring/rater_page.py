"""A page of raters: who agrees with whom, and where their outlines differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from common.data.image import Image
from common.metrics.borders import border, box
from common.metrics.definitions import METRICS
from experiments.measuring.error_page import STYLE, figure
from experiments.measuring.rater_groups import Group
from experiments.measuring.readings import Reading, consensus
from experiments.measuring.summary_page import STYLE as TABLES
from experiments.measuring.summary_page import spelled

MARGIN = 6
FEW, MANY, EDGE = np.array([222, 235, 247.0]), np.array([33, 84, 135.0]), (230, 97, 0)
OWN = """
table.pairs { border-collapse: collapse; margin: 0 0 1rem; } table.pairs td, table.pairs th { padding: 6px 12px;
text-align: center; font-weight: normal; font-size: 14px; } table.pairs th { color: #57606a; text-align: right; }
"""
INTRODUCTION = (
    "<p><b>Intra-observer</b> agreement is that of one observer with themselves at another time, "
    "<b>inter-observer</b> that of two observers. A method cannot be shown to be better than that: where two experts "
    "agree with a Dice of 0.85, a Dice of 0.9 with one of them says that this one was imitated. The <b>consensus</b> "
    "(STAPLE, Warfield et al. 2004) weighs each observer by how well they agree with the others; what all of them "
    "get wrong in the same way it gets wrong too. It is a gold standard, not a ground truth.</p>"
)


def page(
    readings: Sequence[Reading], grouped: Sequence[Group], fleiss: str, cases: Sequence[tuple[str, list[Image]]]
) -> str:
    """One self-contained HTML page; cases: name and label map of every reading, in their order."""
    colours = ", ".join(f"rgb({', '.join(f'{part:.0f}' for part in colour)})" for colour in (FEW, MANY))
    key = (
        f'<p class="key"><span style="width: 4em; background: linear-gradient(90deg, {colours})"></span>one reading '
        f'has it, to all of them<span style="background: rgb{EDGE}"></span>border of the consensus</p>'
    )
    body = "".join(f"<h2>{escape(name)}</h2>{_figures(readings, images)}" for name, images in cases)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>How raters agree</title>'
        f"<style>{STYLE}{TABLES}{OWN}</style><h1>How raters agree</h1>{INTRODUCTION}{_matrices(readings, grouped)}"
        f"{_table('Within and between observers', grouped, ('intra', 'inter'))}<p>{escape(fleiss)}</p>"
        f"{_table('Each reading with the consensus', grouped, ('consensus',))}<h1>Where outlines differ</h1>"
        f"<p>Of every case, the slice with most voxels that not all readings agree on.</p>{key}{body}</html>\n"
    )


def _matrices(readings: Sequence[Reading], grouped: Sequence[Group]) -> str:
    return "".join(
        f"<h2>Mean Dice, label {label}</h2>{_matrix(readings, grouped, label)}"
        for label in sorted({one.label for one in grouped})[:8]
    )


def _matrix(readings: Sequence[Reading], grouped: Sequence[Group], label: int) -> str:
    """Each reading with each other one, darker where they agree more."""
    found = {
        frozenset((one.first, one.second)): one.summary.mean
        for one in grouped
        if one.label == label and one.metric == "dice" and one.kind != "consensus"
    }
    names = [reading.name for reading in readings]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{escape(one)}</th>{''.join(_shaded(found.get(frozenset((one, other)))) for other in names)}</tr>"
        for one in names
    )
    return f'<table class="pairs"><tr><th></th>{head}</tr>{rows}</table>'


def _shaded(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "<td>-</td>"
    colour = FEW + (MANY - FEW) * min(max(value, 0.0), 1.0) ** 2
    ink = "#fff" if value > 0.75 else "#1b1f24"
    shade = ", ".join(f"{part:.0f}" for part in colour)
    return f'<td style="background: rgb({shade}); color: {ink}">{value:.3f}</td>'


def _table(title: str, grouped: Sequence[Group], kinds: Sequence[str]) -> str:
    kept = [one for one in grouped if one.kind in kinds]
    if not kept:
        return ""
    names = list(dict.fromkeys(one.metric for one in kept))
    head = "".join(f'<th class="word">{word}</th>' for word in ("kind", "first", "second"))
    head += "".join(
        f"<th>{escape(word)}</th>" for word in ("label", "cases", *(METRICS[name].heading for name in names))
    )
    held: dict[tuple[str, str, str, int], dict[str, Group]] = {}
    for one in kept:
        held.setdefault((one.kind, one.first, one.second, one.label), {})[one.metric] = one
    rows = "".join(
        _row(key, own, names) for key, own in sorted(held.items(), key=lambda item: kinds.index(item[0][0]))
    )
    return (
        f'<h2>{title}</h2><p>Mean over cases, standard deviation in brackets.</p><table class="all"><tr>{head}</tr>'
        f"{rows}</table>"
    )


def _row(key: tuple[str, str, str, int], own: dict[str, Group], names: Sequence[str]) -> str:
    words = "".join(f'<td class="word">{escape(word)}</td>' for word in key[:3])
    figures = (own[name].summary for name in names)
    cells = "".join(f"<td>{spelled(one.mean)} ({spelled(one.deviation)})</td>" for one in figures)
    return f"<tr>{words}<td>{key[3]}</td><td>{own[names[0]].summary.patients}</td>{cells}</tr>"


def _figures(readings: Sequence[Reading], images: Sequence[Image]) -> str:
    maps, agreed = np.stack([image.values for image in images]), consensus(readings, images)
    maps, agreed = _cut(maps, agreed)
    spacing = images[0].geometry.spacing_mm
    if agreed.ndim == 2:
        return figure(_coloured(maps, agreed), spacing, f"{_disputed(maps).sum()} pixels in dispute")
    disputed = _disputed(maps).sum(axis=(0, 1))
    index = int(disputed.argmax())
    caption = f"slice {index} of {len(disputed)}: {int(disputed[index])} voxels in dispute"
    return figure(_coloured(maps[..., index], agreed[..., index]), spacing[:2], caption)


def _cut(maps: NDArray[np.int64], agreed: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What anybody outlined, in the plane, and a little around it."""
    kept = box(np.asarray((maps > 0).any(axis=0)))
    if kept is None:
        return maps, agreed
    plane = tuple(slice(max(one.start - MARGIN, 0), one.stop + MARGIN) for one in kept[:2])
    return maps[(slice(None), *plane)], agreed[plane]


def _disputed(maps: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((maps != maps[0]).any(axis=0))


def _coloured(maps: NDArray[np.int64], agreed: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(H, W, 3) from (R, W, H) slices: how many readings have a voxel, and the border of the consensus."""
    share = (maps > 0).mean(axis=0)[..., None]
    least = 1 / len(maps)
    colours = FEW + (MANY - FEW) * np.clip((share - least) / (1 - least), 0, 1)
    colours = np.where(share > 0, colours, 255.0)
    colours[border(agreed > 0)] = EDGE
    return np.asarray(np.flip(colours.swapaxes(0, 1), axis=0).round(), np.uint8)
