"""The training cases whose labels a study uses, where it learns from a share of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.balanced_batches import classes_of
from client.splitting import UNLABELLED, Places
from common.data.cases import Cases
from common.learning.label_draw import LabelDraw
from common.study.study import Study


def label_draw(study: Study) -> LabelDraw | None:
    """By which the study chooses; None where it uses all labels."""
    share = study.training.label_share
    return None if share is None else LabelDraw(share, study.training.label_draw or 0, study.seed)


def divided(cases: Cases, study: Study, site: str, places: Places | None) -> tuple[Cases, Cases | None]:
    """Cases of persons whose labels are used, and of the others, None where all are. Persons are never divided.

    places: of a run that goes on with data that changed; whoever was there stays labelled or not.
    """
    draw = label_draw(study)
    if draw is None:
        return cases, None
    if study.split.assignment == "independent":
        drawn = draw.alone(cases.patients)
    else:
        drawn = draw.persons(cases.patients, strata_of(cases), site)
    used = np.array([_is_used(person, drawn, places) for person in cases.patients.tolist()], bool)
    return cases.take(np.flatnonzero(used)), cases.take(np.flatnonzero(~used))


def _is_used(person: str, drawn: frozenset[str], places: Places | None) -> bool:
    place = None if places is None else places.place_of(person)
    return person in drawn if place is None else place != UNLABELLED


def strata_of(cases: Cases) -> NDArray[np.str_]:
    """(N,) the class of every case by name, of outlines the rarest that is shown; one word where there are none."""
    if not cases.classes or not len(cases):
        return np.full(len(cases), "", dtype=np.str_)
    return np.asarray(cases.classes, dtype=np.str_)[classes_of(cases)]
