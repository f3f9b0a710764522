"""The coordinator's half: rounds, strategies, records."""

from typing import TYPE_CHECKING

from common import __version__ as __version__
from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from server.strategy import Contributions as Contributions
    from server.strategy import State as State
    from server.strategy import Strategy as Strategy
else:
    __getattr__ = handed_on(
        __name__,
        {
            "strategy": ("Contributions", "State", "Strategy"),
        },
    )
