"""What a study leaves to trust, in sentences for people: who can read what, and what nothing bounds.

The same words stand in `wardround check`, in what a hospital is told before it approves, in the report and the audit.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.learning.abilities import companion
from common.study.catalogue import AGGREGATIONS, MECHANISMS, STRATEGIES
from common.study.study import Study
from common.sums.abilities import keys_of
from common.sums.cohorts import LEAST_IN_SUM, is_covered_by_noise, reveals


@dataclass(frozen=True)
class Trusted:
    """Somebody whom the hospitals must trust, with what, and what would change it."""

    who: str
    with_what: str
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it."""
        return f"This study trusts {self.who}: {self.with_what} {self.remedy}"


def trusted(study: Study, hospitals: int = LEAST_IN_SUM) -> tuple[Trusted, ...]:
    """Whom the study's hospitals trust, the weightiest first; () where hospitals check all that is opened.

    hospitals: how many there are, where that is known.
    """
    found = [_reader(study, hospitals), _key_holders(study), noise_maker(study), _groups(study), _unbounded(study)]
    return tuple(one for one in found if one is not None)


def said(study: Study, hospitals: int = LEAST_IN_SUM) -> tuple[str, ...]:
    """Whom the hospitals trust, and on what a promise rests: sentences for the first page."""
    return (*(one.sentence for one in trusted(study, hospitals)), *_rests_on_epsilon(study), *companion_words(study))


def trusts_the_coordinator(study: Study) -> bool:
    """Whether a coordinator can learn what a single hospital sent without any hospital's help."""
    return any(is_coordinator(one) for one in trusted(study))


def is_coordinator(one: Trusted) -> bool:
    """Whether it is the coordinator, alone or with others."""
    return one.who.startswith("the coordinator")


def companion_words(study: Study) -> tuple[str, ...]:
    """That more than the model is exchanged, where it is."""
    parts = companion(study.build_task())
    if not parts:
        return ()
    return (
        f"Beside the model its companion is exchanged in every round ({', '.join(parts)}): it comes from the same "
        "cases, leaves a hospital in the same vector, and is protected exactly as the model is.",
    )


def _rests_on_epsilon(study: Study) -> tuple[str, ...]:
    if reveals(study) == "each" or not is_covered_by_noise(study):
        return ()
    return (
        "Sums of any hospitals that are left in a round are opened, so that one that is lost stops nothing; what the "
        "difference of two tells of a hospital is covered by noise, and the promise then rests on epsilon alone.",
    )


def _reader(study: Study, hospitals: int) -> Trusted | None:
    if reveals(study) == "sum":
        return None
    if not study.rounds:
        return Trusted(
            "the coordinator",
            "it reads every hospital's own scores.",
            "aggregation = 'secagg' shows it their sum alone.",
        )
    each = STRATEGIES.build(study.strategy).needs == "each"
    remedy = "aggregation = 'secagg' shows it their sum alone."
    if each:
        remedy = f"Strategy {study.strategy.name!r} needs that; another strategy would not."
    elif hospitals < LEAST_IN_SUM:
        remedy = f"A sum of so few would hide nobody: with {LEAST_IN_SUM} hospitals aggregation = 'secagg' would."
    own_noise = study.privacy is not None and MECHANISMS.build(study.privacy).place == "hospital"
    noisy = own_noise and is_covered_by_noise(study)
    seen = "with that hospital's noise." if noisy else "from which attacks rebuild patients' images or records."
    return Trusted("the coordinator", f"it reads every hospital's single update, {seen}", remedy)


def _key_holders(study: Study) -> Trusted | None:
    keys = keys_of(AGGREGATIONS.build(study.aggregation))
    if keys is None and reveals(study) == "sum":
        return Trusted(
            "the coordinator, and whoever holds what opens a single update",
            f"aggregation {study.aggregation.name!r} does not say who that is (`keys`): count on the coordinator and "
            "every hospital.",
            "aggregation = 'secagg' says it.",
        )
    if keys != "shared":
        return None
    return Trusted(
        "the coordinator, and every colluding hospital",
        "all hospitals hold one key and open whatever they are sent, a single hospital's update as well as a sum.",
        "aggregation = 'secagg', or 'bfv' with keys = 'distributed', opens sums only that hospitals checked.",
    )


def noise_maker(study: Study) -> Trusted | None:
    """The coordinator, where it is the one who adds the noise."""
    if study.privacy is None or MECHANISMS.build(study.privacy).place != "server" or reveals(study) == "each":
        return None
    return Trusted(
        "the coordinator",
        "it adds the noise itself, to sums that it reads without, of any hospitals that are left in a round.",
        "privacy = 'dpsgd' or 'distributed' adds noise in the hospitals.",
    )


def _groups(study: Study) -> Trusted | None:
    if reveals(study) == "each" or study.federation.groups == "whole":
        return None
    return Trusted(
        "the coordinator",
        "groups are switched off, and the difference of two sums is a single hospital's update.",
        "federation.groups = 'whole' opens sums of whole groups only.",
    )


def _unbounded(study: Study) -> Trusted | None:
    if not study.rounds:
        whose = "each hospital's own" if reveals(study) == "each" else "of all hospitals together"
        return Trusted(
            "everyone who sees the scores",
            "no noise bounds what they tell about a patient.",
            f"They are means and counts, {whose}.",
        )
    if study.privacy is not None and is_covered_by_noise(study):
        return None
    none = "no noise bounds" if study.privacy is None else "noise so small bounds nothing of"
    return Trusted(
        "everyone who sees the model",
        f"{none} what it tells about a patient.",
        "privacy = 'dpsgd' or 'distributed' promises an epsilon.",
    )
