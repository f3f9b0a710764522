"""The page: rows of views of a few cases, each step alone, and whether pixels alone tell cases apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from common.data.cases import SiteId
from common.selfsupervision.warps import side_of
from common.study.catalogue import AUGMENTATIONS
from experiments.audit.report.images import picture_of
from experiments.data_check.reading import POOL
from experiments.shown_views.cases import Shown
from experiments.shown_views.pipelines import Named, options_of, steps_alone, told_apart, views_of
from server.reporting.markup import Markup, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, figure, numbers, section
from server.reporting.wording import count as counted

PRIVATE = "This page shows images of patients where the data are of patients. It stays where it is."
MIDDLE = (0.5, 99.5)
CHANNEL = "Of each case its first channel is shown, on the case's own scale of grey, of a volume its middle slices."


def page_of(title: str, named: Sequence[Named], shown: Shown, cases: int, views: int, seed: int) -> str:
    """The HTML. cases: how many are drawn. views: of each. Raises StudyError where cases are no images."""
    parts = [_augmentation(one, shown, cases, views, seed) for one in named]
    nav = tag("nav", *(tag("a", one.title, href=f"#{_key(one)}") for one in named), aria_label="Sections")
    return document(f"{title}, views", tag("main", _opening(title, shown), nav, *parts, tag("footer", PRIVATE)))


def _key(one: Named) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in one.title)


def _opening(title: str, shown: Shown) -> Markup:
    left_out = f" {counted(shown.unlike, 'case')} of another shape left out." if shown.unlike else ""
    size = " x ".join(map(str, shown.images.shape[2:]))
    sites = set(shown.sites)
    whose = POOL if sites == {POOL} else counted(len(sites), "hospital")
    read = f"{counted(len(shown.sites), 'case')} of {whose} read, {size} pixels."
    return tag(
        "header",
        tag("p", tag("span", "Views. What does the network see of a case?", class_="kind"), class_="overline"),
        tag("h1", title),
        tag("p", f"{read}{left_out} {CHANNEL}", class_="finding"),
        tag("p", PRIVATE, class_="banner warn"),
    )


def _augmentation(one: Named, shown: Shown, cases: int, views: int, seed: int) -> Markup:
    entry, own = one.entry, one.entry.name in AUGMENTATIONS.names()
    chosen = shown.chosen(cases)
    images = shown.images[chosen]
    made = views_of(entry, images, views, seed, side_of(tuple(images.shape[2:]), one.side))
    rows = [
        _row(images[index], [view[index] for view in made], _caption(shown.sites[chosen[index]]))
        for index in range(len(images))
    ]
    lede = AUGMENTATIONS.summary(entry.name) if own else "A person's own augmentation."
    name = f"Augmentation {entry.name}" if one.title == entry.name else f"{one.title}: {entry.name}"
    return section(
        _key(one),
        name,
        lede,
        figure(f"{counted(views, 'view')} of {counted(len(images), 'case')}, {_pixels_of(made[0])}", *rows),
        *_pixels(one, shown, seed),
        *_steps(one, images[0], views, seed),
        _smaller(one, images[:1], views, seed) if one.side == 1 else None,
        numbers("All options", facts([(name, str(value)) for name, value in options_of(entry).items()])),
    )


def _caption(site: SiteId) -> str:
    return "image" if site == POOL else site


def _row(image: Tensor, views: Sequence[Tensor], name: str) -> Markup:
    """The image, then its views, on the scale of the middle 99 % of the image's greys."""
    low, high = np.percentile(image[0].numpy(), MIDDLE)
    told = [(name, image), *((f"view {number}", view) for number, view in enumerate(views, 1))]
    pictures = [_picture(one, low, high, f"{word} of {name}", word) for word, one in told]
    return tag("div", *pictures, class_="filmstrip")


def _picture(image: Tensor, low: float, high: float, words: str, caption: str) -> Markup:
    source = picture_of(image.numpy(), low, high)
    return tag("figure", tag("img", src=source, alt=words), tag("figcaption", caption))


def _pixels(one: Named, shown: Shown, seed: int) -> Iterator[Markup]:
    """Whether the task of telling two views of a case from others is too easy."""
    number = len(shown.images)
    if number < 2:
        return
    right = told_apart(one.entry, shown.images, seed)
    yield figure(
        f"Pixels alone tell {right} of {number} cases from the others",
        note="A case's second view is compared with the first views of all cases that were read, pixel by pixel. If "
        "nearly all find their own, so can a network without learning anything of use: the augmentation is too easy. "
        f"If no more than by chance, {counted(1, 'case')}, views of a case may have nothing in common.",
    )


def _steps(one: Named, image: Tensor, views: int, seed: int) -> Iterator[Markup]:
    for name, options, made in steps_alone(one.entry, image, views, seed):
        yield figure(f"{name} alone, from least to most", _row(image, made, "image"), note=f"{options}.")


def _smaller(one: Named, images: Tensor, views: int, seed: int) -> Markup:
    """The same draws at half the size, as methods of many crops have them."""
    made = views_of(one.entry, images, views, seed, side_of(tuple(images.shape[2:]), 0.5))
    row = _row(images[0], [view[0] for view in made], "image")
    return figure(f"The same views as small crops, {_pixels_of(made[0])}", row)


def _pixels_of(views: Tensor) -> str:
    return f"{' x '.join(map(str, views.shape[2:]))} pixels"
