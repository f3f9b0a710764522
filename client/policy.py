"""The hospital's own policy: a file that its administrator writes, which can only refuse more than the study does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common.errors import FileError, HospitalError, StudyError
from common.files.access import if_there, read_text
from common.study.checks import positive
from common.study.options import build
from common.study.plugins import Trust

POLICY_FILE = "policy.toml"
LARGEST_BYTES = 1 << 16
DIGEST = re.compile(r"[0-9A-Fa-f]{64}")


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
    """

    least_in_sum: int = 1
    device: str | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)
    models: str = ""

    def __post_init__(self) -> None:
        positive(POLICY_FILE, least_in_sum=self.least_in_sum)
        if self.device is not None:
            from common.learning.device import checked

            checked(self.device, f"{POLICY_FILE} device")
        for module, digest in self.plugins.items():
            if digest and not DIGEST.fullmatch(digest):
                raise StudyError(
                    f"{POLICY_FILE}.plugins must say of {module!r} the SHA-256 that `wardround approve` shows, 64 "
                    f"hexadecimal digits; it says {digest!r}."
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
