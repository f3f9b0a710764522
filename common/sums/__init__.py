"""How hospitals' parts become one: updates, means, cohorts, and the aggregations that make a sum."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.sums.abilities import AggregationAbilities as AggregationAbilities
    from common.sums.aggregation import Aggregation as Aggregation
    from common.sums.aggregation import Local as Local
    from common.sums.exchange import Collected as Collected
    from common.sums.exchange import Exchange as Exchange
    from common.sums.exchange import Expected as Expected
    from common.sums.exchange import Payload as Payload
    from common.sums.mean import Mean as Mean
    from common.sums.update import Update as Update
    from common.sums.update import Vector as Vector
else:
    __getattr__ = handed_on(
        __name__,
        {
            "abilities": ("AggregationAbilities",),
            "aggregation": ("Aggregation", "Local"),
            "exchange": ("Collected", "Exchange", "Expected", "Payload"),
            "mean": ("Mean",),
            "update": ("Update", "Vector"),
        },
    )
