"""What a checked study comes to, in words: who is in a sum, and whom its hospitals trust."""

from __future__ import annotations

from collections.abc import Sequence

from client.approved_studies import digest_of
from client.consent import LEAST_DIGITS
from client.hospital import site_names
from common.errors import SourceError
from common.privacy import noise_coverage as cover
from common.privacy.relation import in_words, relation_of
from common.privacy.study_facts import mechanism_of
from common.study.catalogue import AGGREGATIONS
from common.study.evaluation_words import model_facts
from common.study.held_out import tells_labels
from common.study.privacy_checks import remarks
from common.study.program import this_program
from common.study.study import Study
from common.study.training_words import told_beside, training_remarks
from common.study.trust import companion_words, trusted
from common.sums.abilities import abilities, can, readers_of
from common.sums.cohort import Groups
from common.sums.cohorts import Cohorts, hospitals_at_start, is_covered_by_noise, reveals
from server.reporting.sections.promise import neighbours
from server.small_hospitals import LEAST_PERSONS

MOST_NAMED = 16
"""Hospitals; of more, groups are counted."""


def study_facts(study: Study) -> tuple[str, ...]:
    """Sentences. Raises StudyError where the study does not fit its hospitals."""
    try:
        sites = study.federation.names or site_names(study)
    except SourceError as error:
        unknown = f"Its hospitals are not known here, so that nothing is said of its rounds: {error}"
        trust = (one.sentence for one in trusted(study))
        return (
            unknown,
            *model_facts(study),
            _told_first(study),
            *_promises(study),
            *trust,
            *_training(study),
            _consent(study),
        )
    trust = (one.sentence for one in trusted(study, len(sites)))
    facts = (*_cohort_facts(study, sites), *model_facts(study), _told_first(study))
    return (*facts, *_promises(study), *trust, *_training(study), _consent(study))


def _programs(study: Study) -> Sequence[str]:
    """Which programs hospitals may run, where the study says so."""
    wanted, own = study.federation.programs, this_program()
    if not wanted:
        return ()
    here = "the one here among them" if own.digest in wanted else f"NOT the one here, {own.digest}"
    many = "one program" if len(wanted) == 1 else f"one of {len(wanted)} programs"
    return (
        f"Hospitals must run {many} (federation.programs), {here}: {', '.join(wanted)}. Each checks its own; what it "
        "tells the coordinator of it nobody can check.",
    )


def _consent(study: Study) -> str:
    """By which words a person's consent is understood."""
    digest = digest_of(study.json)[:LEAST_DIGITS]
    words = ", ".join(repr(" ".join(word.split())) for word in (study.title, *study.purposes))
    return f"Where a hospital's table has a column consent, all, {words} and {digest} consent to this study."


def _told_first(study: Study) -> str:
    """What each hospital says of itself before the first round, whatever the aggregation is."""
    private = study.privacy is not None
    told = ["its name", "the shape of a case", "the names of classes", "a digest of the names of a table's columns"]
    if not private or study.federation.expected_patients is None:
        told[1:1] = [
            "how many cases and patients it has for training, validation and test, and how many it cannot use"
        ]
    if tells_labels(study.split, private):
        whose = "training cases" if study.rounds else "cases"
        told.append(f"how many of its {whose} (of outlines, voxels) are of each class")
    told.append("which program it runs, by its digest and versions")
    return f"Before the first round each hospital tells the coordinator {', '.join(told[:-1])}, and {told[-1]}."


def _training(study: Study) -> Sequence[str]:
    return (*companion_words(study), *told_beside(study), *training_remarks(study))


def _promises(study: Study) -> Sequence[str]:
    return (*_relation(study), *_programs(study), *remarks(study.preprocessing))


def _cohort_facts(study: Study, sites: Sequence[str]) -> Sequence[str]:
    cohorts = Cohorts.of(study, sites)
    aggregation, hospitals = AGGREGATIONS.build(study.aggregation), len(cohorts.of_round(1).sites)
    aggregation.check(hospitals)
    start = hospitals_at_start(study, len(sites))
    return (
        f"A run begins when {start} of {len(sites)} hospitals are there.",
        *([_asked(study, cohorts)] if study.rounds else []),
        *_readers(aggregation, hospitals),
        *_held_out(study, cohorts),
        *_opened(study, cohorts),
    )


def _readers(aggregation: object, hospitals: int) -> Sequence[str]:
    """How finely values are told, and where that depends on the number of hospitals, who can read a single update."""
    said = readers_of(aggregation, hospitals)
    precision = (abilities(aggregation).precision_in(hospitals),) if can(aggregation, "precision_in") else ()
    return (*((said,) if said != readers_of(aggregation) else ()), *precision)


def _relation(study: Study) -> Sequence[str]:
    """Between which data sets the promised epsilon holds."""
    mechanism = mechanism_of(study)
    if mechanism is None:
        return ()
    unit, numbers = mechanism.unit, cover.in_words(mechanism)
    return (f"What is promised hides one {unit}. {neighbours(in_words(relation_of(study, unit), unit))} {numbers}",)


def _asked(study: Study, cohorts: Cohorts) -> str:
    wanted, real = study.federation.client_fraction, cohorts.effective_fraction
    said = f"A round asks {100 * real:.3g} % of the hospitals{' that train' * study.split.is_by_hospital}"
    if cohorts.groups and abs(real - wanted) > 0.005:
        said += f", since whole groups are drawn (client_fraction = {wanted:g})"
    return said + f", and needs {cohorts.least} of them."


def _held_out(study: Study, cohorts: Cohorts) -> Sequence[str]:
    if not study.split.is_by_hospital or not study.rounds:
        return ()
    between = "" if cohorts.between and reveals(study) == "each" else " Scores are of the last model alone."
    return (
        f"{len(cohorts.trains)} of {len(cohorts.roster)} hospitals train; {len(cohorts.scored)} never do, and are "
        f"scored together (split.unit = 'hospital'); of fewer than {LEAST_PERSONS} persons no score is told alone."
        f"{between}",
    )


def _opened(study: Study, cohorts: Cohorts) -> Sequence[str]:
    if reveals(study) == "each":
        return ()
    if is_covered_by_noise(study):
        return (
            "Sums of any hospitals that are left in a round are opened: what the difference of two tells is covered "
            "by the promised epsilon alone. Final scores are of all hospitals, or are not opened.",
        )
    if study.federation.groups == "off":
        return ("Sums of any hospitals are opened, since groups are off: differences tell single hospitals apart.",)
    return (
        f"Sums are opened of whole groups only: {_named(cohorts.groups)}. No combination of sums, over all rounds, "
        "tells fewer hospitals apart.",
    )


def _named(groups: Groups) -> str:
    if sum(map(len, groups)) <= MOST_NAMED:
        return "; ".join(", ".join(group) for group in groups)
    sizes = sorted({len(group) for group in groups})
    return f"{len(groups)} of {' or '.join(map(str, sizes))} hospitals"
