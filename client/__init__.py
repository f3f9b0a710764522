"""The hospital's half: its cases, its training, its answers."""

from typing import TYPE_CHECKING

from common import __version__ as __version__
from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from client.partition import Partition as Partition
    from client.source import Source as Source
else:
    __getattr__ = handed_on(
        __name__,
        {
            "partition": ("Partition",),
            "source": ("Source",),
        },
    )
