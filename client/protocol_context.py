"""What this hospital's half of a protocol works with, and the one place where secret randomness is chosen.

In simulation identities and draws come from the study's seed, so that every engine gives the same bits; in
deployment identities come from files in the hospital's folder and the draws of a privacy mechanism from the operating
system. Keys and masks of a protocol always come from the operating system. How values are rounded to whole numbers
follows from the seed and from the values themselves in deployment as well, unless a mechanism says that it counts on
secret draws, and a study gives the same model on nodes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path
from secrets import randbits

import numpy as np
from flwr.app import Context

from client.hospital import Hospital
from client.kept_groups import keep_group
from client.policy import read_policy
from client.privacy import Sources
from client.state_store import key_of
from common.errors import HospitalError
from common.privacy.abilities import rounds_in_secret
from common.privacy.noise import SeededNoise, SystemNoise
from common.seeding import generator
from common.study.catalogue import MECHANISMS
from common.study.study import Study
from common.sums import identity
from common.sums.aggregation import Local
from common.sums.aggregations._fixed_point import MOST_CLIPPED
from common.sums.cohort import Cohort
from common.sums.cohorts import reveals
from common.sums.opening_proof import Keeping, KeepsNothing
from common.sums.wide import FIRST_ROUND

SIMULATED_FOLDERS = "WARDROUND_SIMULATED_FOLDERS"
"""Folders of the simulated hospitals by their number, as JSON: set by our own engine, on this machine alone."""

REHEARSAL = "rehearsal"
"""In a node's configuration: whether a study may say where its data are."""


def open_local(
    hospital: Hospital,
    context: Context,
    number: int,
    run: str,
    secrets: MutableMapping[str, bytes],
    keeping: Keeping | None = None,
) -> Local:
    """This hospital in round `number` of a run.

    Raises HospitalError where a deployed one has no identity, or its keys are not those of the study's roster, and
    WireError where the study's groups would undo those of an earlier one.
    """
    folder, simulated = folder_of(context), is_simulated(context)
    cohort, data = cohort_of(hospital, context, number), data_of(context)
    if simulated:
        own = identity.simulated(hospital.site, hospital.roster, hospital.study.seed)
    elif folder is None:
        raise HospitalError("this node's configuration lacks folder, where the hospital's keys are kept.")
    else:
        own = identity.load(hospital.site, folder)
        _demand_roster(hospital.study, own)
        for group in cohort.groups:
            if hospital.site in group:
                keep_group(folder, data, group)
    rng, keeping = _rounding(hospital, context, number), KeepsNothing() if keeping is None else keeping
    most_clipped = MOST_CLIPPED if hospital.study.privacy is None else 1.0
    never_compared = cohort.is_covered or reveals(hospital.study) == "each"
    selection = ("", "") if never_compared else _selection_of(hospital, number)
    return Local(
        hospital.site,
        number,
        hospital.digest,
        own,
        secrets,
        rng,
        cohort,
        run,
        data,
        folder,
        keeping,
        most_clipped,
        selection,
    )


def _selection_of(hospital: Hospital, number: int) -> tuple[str, str]:
    persons = _everybody_of(hospital) if number >= FIRST_ROUND else _persons_of(hospital)
    return _study_of(hospital.study), persons


def _study_of(study: Study) -> str:
    """SHA-256 of all by which a study may choose persons: a longer run of it is the same."""
    return sha256(json.dumps([key_of(study.json, ""), study.title, study.purposes]).encode()).hexdigest()


def _persons_of(hospital: Hospital) -> str:
    """SHA-256 of who is in which part, and with how many cases."""
    parts = {}
    for name, cases in sorted(hospital.everybody.items()):
        persons, counts = np.unique(cases.patients, return_counts=True)
        parts[name] = [persons.tolist(), counts.tolist()]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _everybody_of(hospital: Hospital) -> str:
    """The same for questions, which are of all parts together: another split takes no other persons."""
    persons = np.concatenate([cases.patients for cases in hospital.everybody.values()])
    found, counts = np.unique(persons, return_counts=True)
    return sha256(json.dumps([found.tolist(), counts.tolist()]).encode()).hexdigest()


def cohort_of(hospital: Hospital, context: Context, number: int) -> Cohort:
    """The hospitals of a round, and whose sums this one helps to open: by the study, and by its own policy."""
    least = read_policy(folder_of(context)).least_in_sum
    return hospital.cohorts.of_round(number).demanding(least)


def folder_of(context: Context) -> Path | None:
    """The hospital's own folder; None where it has none, as in Flower's simulation."""
    place = context.node_config.get("folder")
    return Path(str(place)) if place else None


def log_folder_of(context: Context) -> Path | None:
    """Where incidents and cases that could not be used are written down: the hospital's own folder.

    Hospitals of Flower's simulation have none, and the engine says in the environment where they may write instead.
    """
    folder, said = folder_of(context), os.environ.get(SIMULATED_FOLDERS)
    index = context.node_config.get("partition-id")
    if folder is not None or said is None or not isinstance(index, int) or not _inside_ray():
        return folder
    places = json.loads(said)
    return Path(places[index]) if 0 <= index < len(places) else None


def data_of(context: Context) -> str:
    """Which data: their place, and nothing that a study might vary. Several sources can read one folder, and a
    plug-in has several names: what was opened of the data by one is remembered for all.
    """
    return str(context.node_config.get("data-folder", ""))


def _demand_roster(study: Study, own: identity.Identity) -> None:
    """Raise HospitalError unless the keys known here are those that the approved study names."""
    if not study.federation.roster and reveals(study) == "sum":
        raise HospitalError(
            "a study of sums needs [federation] roster, the hospitals' names and keys, to be approved."
        )
    for entry in study.federation.roster:
        known = own.public_keys.get(entry.name)
        if known is None or sha256(known).hexdigest() != entry.key:
            raise HospitalError(f"the key of {entry.name} known here is not the one in the study's roster.")


def _rounding(hospital: Hospital, context: Context, number: int) -> np.random.Generator:
    """For stochastic rounding in a protocol."""
    privacy = hospital.study.privacy
    if privacy is not None and rounds_in_secret(MECHANISMS.build(privacy)):
        return draws(hospital, context, number, "protocol")
    return generator(hospital.study.seed, number, hospital.site, "protocol")


def draws(hospital: Hospital, context: Context, number: int, purpose: str) -> np.random.Generator:
    """A generator for draws whose secrecy is not what protects: from the seed in simulation, else from the system."""
    if is_simulated(context):
        return generator(hospital.study.seed, number, hospital.site, purpose)
    return np.random.default_rng(randbits(256))


def sources(hospital: Hospital, context: Context, number: int) -> Sources:
    """Secret draws of a privacy mechanism: from the seed in simulation, else from the system."""
    return Sources(
        lambda purpose: draws(hospital, context, number, purpose),
        lambda purpose: (
            SeededNoise(draws(hospital, context, number, purpose)) if is_simulated(context) else SystemNoise()
        ),
        folder_of(context),
    )


def is_simulated(context: Context) -> bool:
    """Whether this node says of itself that it is simulated.

    Our own engines say so in its configuration. Flower's simulation numbers its nodes and runs them inside Ray; a
    SuperNode with such a number does not. The server has no way to say it.
    """
    config = context.node_config
    return config.get("simulated") is True or ("partition-id" in config and _inside_ray())


def outlives_power(context: Context) -> bool:
    """Whether what this node keeps must be there after a loss of power: not of a node that ends with its engine."""
    return context.node_config.get("simulated") is not True


def _inside_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
