"""The hospital's own policy: a file that its administrator writes, which can only refuse more than the study does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from client.asking.rules import QuestionRules
from client.hours import Window, windows_of
from client.privacy_limit import Limit, read_limit
from common.errors import FileError, HospitalError, StudyError
from common.files.access import if_there, read_text
from common.privacy.accounting import check_delta
from common.privacy.release import Unit
from common.study.checks import one_of, positive
from common.study.options import build
from common.study.plugins import Trust
from common.study.spelling import unknown

POLICY_FILE = "policy.toml"
LARGEST_BYTES = 1 << 16
DEVICES = ("cpu", "cuda", "mps")
DIGEST = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True)
class RequiredNoise:
    """`required_noise`: what a study must promise this hospital's patients.

    epsilon, delta: the most that all rounds of one study may cost. noise_multiplier: the least that each noisy sum
    must have. unit: whom the promise must hide at least; a hospital hides its patients, and a patient its cases.
    trusts_coordinator: whether the coordinator may be the one who adds the noise.
    """

    epsilon: float | None = None
    delta: float = 1e-5
    noise_multiplier: float | None = None
    unit: Unit = "patient"
    trusts_coordinator: bool = False

    def __post_init__(self) -> None:
        positive(f"{POLICY_FILE} required_noise", epsilon=self.epsilon, noise_multiplier=self.noise_multiplier)
        check_delta(self.delta)


@dataclass(frozen=True)
class Policy:
    """`policy.toml`. least_in_sum: fewest hospitals of a sum that this one helps to open, whatever a study says.

    device: on which it computes, as `common.learning.device.chosen` takes it; no study asks for one.

    plugins: modules that its engineers installed and that a study may name, each by its whole name; none but these
    are imported, and no file by its path. A list of names takes whatever is installed under them; a table of names
    and SHA-256 digests, as `wardround approve` says them, takes these very files:

        plugins = ["my_hospital.sources"]
        plugins = { "my_hospital.sources" = "5c7f5d15..." }

    models: the folder of model files that they installed, from the hospital's own folder on; a study names a file of
    it, and its digest.

    What a study must be to be served; each of these rules is off where it is not given. tasks, strategies, networks:
    names that a study may choose. analyses: the same of analyses, questions that are no model. questions: what may be
    asked beside training, as `client.asking.rules` has it. devices: kinds of devices it may compute on, such as
    "cpu". least_cohort: fewest hospitals that a round may ask. required_sums: whether the study must reveal sums
    alone. required_noise: what it must promise. largest_epsilon_a_person: epsilon, at delta, of all studies together,
    beside `privacy-limit.toml`. own_scores: false keeps this hospital's own scores from being told. hours: when it
    computes. time_zone: of hours, such as "Europe/Berlin"; the machine's own where it is not given.
    """

    least_in_sum: int = 1
    device: str | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)
    models: str = ""
    tasks: tuple[str, ...] | None = None
    analyses: tuple[str, ...] | None = None
    strategies: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    least_cohort: int = 1
    required_sums: bool = False
    required_noise: RequiredNoise | None = None
    largest_epsilon_a_person: Limit | None = None
    questions: QuestionRules = field(default_factory=QuestionRules)
    own_scores: bool = True
    hours: str = ""
    time_zone: str = ""

    def __post_init__(self) -> None:
        positive(POLICY_FILE, least_in_sum=self.least_in_sum, least_cohort=self.least_cohort)
        if self.device is not None:
            from common.learning.device import checked

            checked(self.device, f"{POLICY_FILE} device")
        for module, digest in self.plugins.items():
            if digest and not DIGEST.fullmatch(digest):
                raise StudyError(
                    f"{POLICY_FILE}.plugins must say of {module!r} the SHA-256 that `wardround approve` shows, 64 "
                    f"hexadecimal digits; it says {digest!r}."
                )
        for device in self.devices or ():
            one_of(POLICY_FILE, DEVICES, devices=device)
        self._check_names()
        self._check_hours()

    def _check_names(self) -> None:
        """A misspelt name would permit nothing, and nobody would know why."""
        from common.study.catalogue import ANALYSES, NETWORKS, STRATEGIES, TASKS

        catalogues = {"tasks": TASKS, "strategies": STRATEGIES, "networks": NETWORKS, "analyses": ANALYSES}
        for rule, catalogue in catalogues.items():
            for name in getattr(self, rule) or ():
                if name not in catalogue.names() and name not in catalogue.plugged() and not set(".:") & set(name):
                    raise unknown(f"{catalogue.kind} of {POLICY_FILE} {rule}", name, catalogue.names())

    def _check_hours(self) -> None:
        if self.hours:
            windows_of(self.hours, f"{POLICY_FILE} hours")
        elif self.time_zone:
            raise StudyError(f"{POLICY_FILE} gives a time_zone and no hours: add hours, or remove it.")
        if self.time_zone:
            try:
                ZoneInfo(self.time_zone)
            except (LookupError, ValueError, OSError) as error:
                raise StudyError(
                    f'{POLICY_FILE} time_zone must be one that this machine knows, such as "Europe/Berlin"; it is '
                    f"{self.time_zone[:80]!r}."
                ) from error

    @property
    def windows(self) -> tuple[Window, ...]:
        """When it computes; () for always."""
        return windows_of(self.hours, f"{POLICY_FILE} hours") if self.hours else ()

    @property
    def judges(self) -> bool:
        """Whether any rule is given that a study may break."""
        named = (self.tasks, self.strategies, self.networks, self.analyses)
        given = (*named, self.required_noise, self.largest_epsilon_a_person)
        return (
            any(rule is not None for rule in given)
            or self.required_sums
            or self.questions.judges
            or not self.own_scores
            or max(self.least_cohort, self.least_in_sum) > 1
        )

    @property
    def trust(self) -> Trust:
        """What a study may have this hospital import."""
        return Trust(
            modules=tuple(self.plugins),
            digests={module: digest.lower() for module, digest in self.plugins.items() if digest},
            models=Path(self.models) if self.models else None,
            remedy=f"A hospital runs what its engineers installed and its {POLICY_FILE} lists: a module under "
            '`plugins`, such as plugins = ["my_hospital.sources"]; never a file by its path.',
        )


def read_policy(folder: Path | None) -> Policy:
    """The policy in a hospital's folder; one that asks for nothing where there is none.

    Raises StudyError for a key or value that cannot be, HospitalError for a file that cannot be read.
    """
    try:
        text = None if folder is None else if_there(read_text, folder, POLICY_FILE, LARGEST_BYTES)
        if text is None:
            return Policy()
        table = tomllib.loads(text)
    except (FileError, ValueError, RecursionError) as error:
        raise HospitalError(f"{POLICY_FILE} in the hospital's folder cannot be read: {error}") from error
    policy = build(Policy, {**table, **_plugins(table)}, POLICY_FILE)
    return replace(policy, models=str(folder / policy.models)) if folder and policy.models else policy


def read_limits(folder: Path) -> tuple[Limit, ...]:
    """What all studies together may cost any one person: by the policy and by `privacy-limit.toml`; both hold.

    Raises as `read_policy` and `read_limit`.
    """
    found = (read_policy(folder).largest_epsilon_a_person, read_limit(folder))
    return tuple(limit for limit in found if limit is not None)


def _plugins(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names alone, or with digests: as a table, "" where any version of a module is taken."""
    if "plugins" not in table:
        return {}
    given = table["plugins"]
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        return {"plugins": dict.fromkeys(given, "")}
    if isinstance(given, dict) and all(isinstance(one, str) for one in given.values()):
        return {"plugins": given}
    raise StudyError(
        f'{POLICY_FILE}.plugins must be a list of modules, plugins = ["my_hospital.sources"], or a table of modules '
        f"and digests; it is {given!r}."
    )
