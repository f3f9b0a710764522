"""The hospital's own policy: a file that its administrator writes, which can only refuse more than the study does."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import FileError, HospitalError
from common.files.access import if_there, read_text
from common.study.checks import positive
from common.study.options import build
from common.study.plugins import Trust

POLICY_FILE = "policy.toml"
LARGEST_BYTES = 1 << 16


@dataclass(frozen=True)
class Policy:
    """`policy.toml`. least_in_sum: fewest hospitals of a sum that this one helps to open, whatever a study says.

    device: on which it computes, as `common.learning.device.chosen` takes it; no study asks for one.

    plugins: modules that its engineers installed and that a study may name, each by its whole name; none but these
    are imported, and no file by its path. models: the folder of model files that they installed, from the hospital's
    own folder on; a study names a file of it, and its digest.
    """

    least_in_sum: int = 1
    device: str | None = None
    plugins: tuple[str, ...] = ()
    models: str = ""

    def __post_init__(self) -> None:
        positive(POLICY_FILE, least_in_sum=self.least_in_sum)
        if self.device is not None:
            from common.learning.device import checked

            checked(self.device, f"{POLICY_FILE} device")

    @property
    def trust(self) -> Trust:
        """What a study may have this hospital import."""
        return Trust(
            modules=self.plugins,
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
    policy = build(Policy, table, POLICY_FILE)
    return replace(policy, models=str(folder / policy.models)) if folder and policy.models else policy
