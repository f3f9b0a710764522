"""What this hospital's half of a protocol works with, and the one place where secret randomness is chosen.

In simulation identities and draws come from the study's seed, so that every engine gives the same bits; in
deployment identities come from files in the hospital's folder and the draws of a privacy mechanism from the operating
system. Keys and masks of a protocol always come from the operating system. How values are rounded to whole numbers
protects nothing, unless a mechanism says that it counts on it: it follows from the seed in deployment as well, and a
study gives the same model on nodes.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from pathlib import Path
from secrets import randbits

import numpy as np
from flwr.app import Context

from client.hospital import Hospital, site_names
from client.privacy import Sources
from common import identity
from common.catalogue import MECHANISMS
from common.errors import HospitalError
from common.opening import Keeping, KeepsNothing
from common.privacy.noise import SeededNoise, SystemNoise
from common.protocol import Local
from common.seeding import generator
from common.study import Study


def open_local(
    hospital: Hospital,
    context: Context,
    number: int,
    secrets: MutableMapping[str, bytes],
    keeping: Keeping | None = None,
) -> Local:
    """This hospital in round `number`. Raises HospitalError where a deployed one has no identity."""
    place = context.node_config.get("folder")
    folder = Path(str(place)) if place else None
    if is_simulated(context):
        own = identity.simulated(hospital.site, site_names(hospital.study), hospital.study.seed)
    elif folder is None:
        raise HospitalError("this node's configuration lacks folder, where the hospital's keys are kept.")
    else:
        own = identity.load(hospital.site, folder)
    rng = _rounding(hospital, context, number)
    fewest = hospital.study.federation.minimum_hospitals if is_distributed(hospital.study) else 0
    keeping = KeepsNothing() if keeping is None else keeping
    return Local(hospital.site, number, hospital.digest, own, secrets, rng, folder, fewest, keeping)


def is_distributed(study: Study) -> bool:
    """Whether a promise counts on the noise of others in the same sum."""
    return study.privacy is not None and MECHANISMS.build(study.privacy).place == "shares"


def _rounding(hospital: Hospital, context: Context, number: int) -> np.random.Generator:
    """For stochastic rounding in a protocol."""
    privacy = hospital.study.privacy
    if privacy is not None and getattr(MECHANISMS.load(privacy.name), "secret_rounding", True):
        return draws(hospital, context, number, "protocol")
    return generator(hospital.study.seed, number, hospital.site, "protocol")


def draws(hospital: Hospital, context: Context, number: int, purpose: str) -> np.random.Generator:
    """A generator for draws whose secrecy is not what protects: from the seed in simulation, else from the system."""
    if is_simulated(context):
        return generator(hospital.study.seed, number, hospital.site, purpose)
    return np.random.default_rng(randbits(256))


def sources(hospital: Hospital, context: Context, number: int) -> Sources:
    """Secret draws of a privacy mechanism: from the seed in simulation, else from the system."""
    place = context.node_config.get("folder")
    return Sources(
        lambda purpose: draws(hospital, context, number, purpose),
        lambda purpose: (
            SeededNoise(draws(hospital, context, number, purpose)) if is_simulated(context) else SystemNoise()
        ),
        Path(str(place)) if place else None,
    )


def is_simulated(context: Context) -> bool:
    """Whether this node says of itself that it is simulated.

    Our own engines say so in its configuration. Flower's simulation numbers its nodes and runs them inside Ray; a
    SuperNode with such a number does not. The server has no way to say it.
    """
    config = context.node_config
    return config.get("simulated") is True or ("partition-id" in config and _inside_ray())


def _inside_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
