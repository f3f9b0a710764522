"""Images, the truth and the prediction, side by side: only of simulated hospitals."""

from __future__ import annotations

from collections.abc import Sequence

from server.reporting.charts.bars import legend
from server.reporting.losses import Losses
from server.reporting.markup import Markup, tag
from server.reporting.records import Picture, Roster, Run
from server.reporting.sections.datasets import BACKGROUND, PICTURE_COLOURS, class_looks, class_names
from server.reporting.sections.layout import section
from server.reporting.wording import score, score_name

NONE = (
    "There are none. Images never leave a hospital, so this page can show pictures only of simulated hospitals whose "
    "data are images."
)
OF_FEATURES = "This study's task answers features, of which there are none; see what the encoder tells apart, above."
MOST_PICTURES = 24
MOST_A_HOSPITAL = 2


def pictures(run: Run) -> Markup:
    """A strip of cases, or the sentence that says why there is none."""
    chosen = _chosen(tuple(one for one in run.pictures if not one.rank))
    if not chosen:
        return section(
            "pictures",
            "Pictures",
            OF_FEATURES if run.embedding is not None else NONE,
        )
    name = score_name(run.about.headline)
    lede = (
        f"Test patients of the simulated hospitals: {_described(chosen[0])}. "
        f"{_of_how_many(run, chosen)}Pictures of a real hospital would never leave it."
    )
    return section("pictures", "What the model sees", lede, cards(chosen, name))


def _of_how_many(run: Run, chosen: list[Picture]) -> str:
    """Whether some that took part are not shown."""
    shown, took_part = len({picture.site for picture in chosen}), len(Losses(run).took_part)
    return f"Shown are {shown} of {took_part} hospitals. " if shown < took_part else ""


def _described(picture: Picture) -> str:
    names = [name for name, _, _ in picture.panels]
    if "moved" in names:
        return "the middle slices of a pair of images, before and after the model has laid one on the other"
    if any(name.startswith("prediction") for name in names):
        return "the image, the true labels, and what the model predicts"
    if "truth" in names and any(name.startswith("error, ") for name in names):
        return (
            "the truth and what was made of the measured data, all in one window of grey, and the map of each one's "
            "error, black where there is none"
        )
    return f"{', '.join(names)}, as the study's task draws them"


def _legend(roster: Roster) -> Markup | None:
    """The colours of the labels; None where labels are no areas, or more than there are colours."""
    names = class_names(roster)
    if BACKGROUND not in roster.classes or len(names) > PICTURE_COLOURS:
        return None
    return legend(class_looks(names, drawn_over=True).items())


def _chosen(every: tuple[Picture, ...]) -> list[Picture]:
    taken: dict[str, int] = {}
    chosen = []
    for picture in every:
        taken[picture.site] = taken.get(picture.site, 0) + 1
        if taken[picture.site] <= MOST_A_HOSPITAL:
            chosen.append(picture)
    return chosen[:MOST_PICTURES]


def cards(pictures: Sequence[Picture], name: str) -> Markup:
    """Side by side; over the whole width where a picture has something to read below it."""
    wide = any(note for one in pictures for _, _, note in one.panels)
    return tag("div", *(_card(one, name) for one in pictures), class_="cards wide" if wide else "cards")


def _card(picture: Picture, name: str) -> Markup:
    """One case's pictures below its hospital and its score."""
    shown = [
        tag(
            "figure",
            tag("img", src=uri, alt=", ".join(part for part in (word, picture.site, note) if part)),
            tag("figcaption", word, *((tag("br"), note) if note else ())),
        )
        for word, uri, note in picture.panels
    ]
    words = f"{name} {score(picture.score)}" if picture.score is not None else ""
    head = tag("div", tag("b", picture.site), tag("span", words), class_="card-head")
    return tag("div", head, tag("div", *shown, class_="triple"), class_="card")
