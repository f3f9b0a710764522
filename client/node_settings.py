"""How a hospital's node is set up: `node.toml` in its own folder, which is never sent."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from common.data.names import RULE, fault_of
from common.errors import AbsentFileError, FileError, HospitalError, StudyError
from common.files.access import read_text
from common.study.options import build

FILE = "node.toml"
LARGEST_BYTES = 1 << 16
KEYS = "keys"
"""The folder inside of the hospital's own that holds `tls.key`, `tls.crt`, `authority.crt` and `node.key`."""
ENVIRONMENT = "environment"


@dataclass(frozen=True)
class NodeSettings:
    """`node.toml`. site: the hospital's name. coordinator: https://host:port of its front.

    data_folder: of the hospital's data; a relative one is from the hospital's own folder on. proxy: the hospital's
    way out, http://host:port, "" for none, or "environment" for what HTTPS_PROXY says. rehearsal: whether a study may
    say where its data are, as on a machine that plays all parties; a hospital's own node refuses that.
    largest_message_bytes: of one message that the node lets in; 0: 4 GiB. It says so before it is sent any model.
    """

    site: str
    coordinator: str
    data_folder: str = ""
    proxy: str = ""
    rehearsal: bool = False
    largest_message_bytes: int = 0

    def __post_init__(self) -> None:
        if (fault := fault_of(self.site)) is not None:
            raise StudyError(f"{FILE}: site must be {RULE}; {self.site[:80]!r} {fault}.")
        if not self.coordinator.startswith("https://"):
            raise StudyError(
                f"{FILE}: coordinator must be https://host:port, the address of the coordinator's front; it is "
                f"{self.coordinator[:80]!r}."
            )
        if self.largest_message_bytes < 0:
            raise StudyError(f"{FILE}: largest_message_bytes must be 0 or more; it is {self.largest_message_bytes}.")
        if self.proxy and self.proxy != ENVIRONMENT and not self.proxy.startswith(("http://", "https://")):
            raise StudyError(
                f'{FILE}: proxy must be http://host:port, "" for none or "{ENVIRONMENT}"; it is {self.proxy[:80]!r}.'
            )


def read_settings(folder: Path) -> NodeSettings:
    """Of the node whose folder that is.

    Raises StudyError for a key or value that cannot be, HospitalError for a file that is absent or cannot be read.
    """
    try:
        table = tomllib.loads(read_text(folder, FILE, LARGEST_BYTES))
    except AbsentFileError:
        raise HospitalError(
            f"{folder} is no hospital's folder: it holds no {FILE}. One is made with: wardround node enrol NAME "
            f"--folder '{folder}' --coordinator https://host:port"
        ) from None
    except (FileError, ValueError, RecursionError) as error:
        raise HospitalError(f"{FILE} in the hospital's folder cannot be read: {error}") from error
    return build(NodeSettings, table, FILE)
