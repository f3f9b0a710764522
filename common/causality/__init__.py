"""Structural causal models, their graphs, and which effects can be known from what was only observed."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.causality.adjustment import adjustment_of as adjustment_of
    from common.causality.adjustment import front_door as front_door
    from common.causality.continuous_model import Additive as Additive
    from common.causality.continuous_model import AdditiveModel as AdditiveModel
    from common.causality.continuous_model import gaussian as gaussian
    from common.causality.discrete_model import DiscreteModel as DiscreteModel
    from common.causality.discrete_model import Distribution as Distribution
    from common.causality.graph import Graph as Graph
    from common.causality.graph import make_graph as make_graph
    from common.causality.graph_text import graph_of_text as graph_of_text
    from common.causality.graph_text import read_graph as read_graph
    from common.causality.identification import Hedge as Hedge
    from common.causality.identification import factorisation as factorisation
    from common.causality.identification import identify as identify
    from common.causality.identified_effect import Effect as Effect
    from common.causality.identified_effect import find_effect as find_effect
    from common.causality.linear_model import LinearModel as LinearModel
    from common.causality.mechanisms import Mechanism as Mechanism
    from common.causality.paths import find_paths as find_paths
    from common.causality.paths import roles_between as roles_between
    from common.causality.separation import independences as independences
    from common.causality.separation import separated as separated
    from common.causality.tables import effect_table as effect_table
    from common.causality.tables import evaluate as evaluate
    from common.causality.tables import joint_table as joint_table
else:
    __getattr__ = handed_on(
        __name__,
        {
            "adjustment": ("adjustment_of", "front_door"),
            "continuous_model": ("Additive", "AdditiveModel", "gaussian"),
            "discrete_model": ("DiscreteModel", "Distribution"),
            "identified_effect": ("Effect", "find_effect"),
            "graph": ("Graph", "make_graph"),
            "graph_text": ("graph_of_text", "read_graph"),
            "identification": ("Hedge", "factorisation", "identify"),
            "linear_model": ("LinearModel",),
            "mechanisms": ("Mechanism",),
            "paths": ("find_paths", "roles_between"),
            "separation": ("independences", "separated"),
            "tables": ("effect_table", "evaluate", "joint_table"),
        },
    )
