"""Where a hospital's data are is said by the hospital alone: a study that says it is refused."""

from __future__ import annotations

from flwr.app import Context

from client.protocol_context import REHEARSAL, is_simulated
from common.errors import RefusedError
from common.study.catalogue import SOURCES
from common.study.options import options_of
from common.study.study import parse_json

SAID = (
    "this hospital's node.toml names no data_folder, and a study may not say which folder it reads: set data_folder "
    "and start the node again."
)


def demand_own_place(study_json: str, context: Context) -> None:
    """Raise RefusedError where the study's source would read a folder, and this node was not told which is its own.

    Whoever rehearses, on a machine that plays all parties, lets the study say it.
    """
    config = context.node_config
    if "data-folder" in config or config.get(REHEARSAL) is True or is_simulated(context):
        return
    if reads_a_folder(parse_json(study_json).source.name):
        raise RefusedError("folder", SAID)


def reads_a_folder(source: str) -> bool:
    """Whether a study may say where its cases lie. A source that makes its cases up has no folder."""
    return "folder" in options_of(SOURCES.load(source))
