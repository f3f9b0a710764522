"""Tests that an entry of any kind inherits, one of ours and one of anybody's alike.

    from wardround.testing import TaskTests

    class TestMine(TaskTests):
        task = Mine()

or, where a file binds `task = Mine`, `wardround test mine.py`. pytest runs both.
"""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "wardround.testing needs pytest: pip install 'wardround[testing]'.", name=error.name
    ) from error

_FILES = (
    "adversaries",
    "aggregations",
    "analyses",
    "attacks",
    "attributions",
    "audits",
    "augmentations",
    "benchmarks",
    "corruptions",
    "designs",
    "engines",
    "laws",
    "losses",
    "makers",
    "mechanisms",
    "networks",
    "operators",
    "partitions",
    "perturbations",
    "questions",
    "recipes",
    "records",
    "sources",
    "strategies",
    "tasks",
)
MODULES = tuple(f"{__name__}.{file}" for file in _FILES)
"""Those whose assertions pytest should show whole: it must hear of them before they are imported."""
pytest.register_assert_rewrite(*MODULES)

if TYPE_CHECKING:
    from wardround.testing.adversaries import AdversaryTests as AdversaryTests
    from wardround.testing.aggregations import AggregationTests as AggregationTests
    from wardround.testing.analyses import AnalysisTests as AnalysisTests
    from wardround.testing.attacks import AttackTests as AttackTests
    from wardround.testing.attributions import AttributionTests as AttributionTests
    from wardround.testing.augmentations import AugmentationTests as AugmentationTests
    from wardround.testing.benchmarks import BenchmarkTests as BenchmarkTests
    from wardround.testing.corruptions import CorruptionTests as CorruptionTests
    from wardround.testing.designs import DesignTests as DesignTests
    from wardround.testing.engines import EngineTests as EngineTests
    from wardround.testing.losses import LossTests as LossTests
    from wardround.testing.makers import contributions as contributions
    from wardround.testing.makers import tiny_cases as tiny_cases
    from wardround.testing.mechanisms import MechanismTests as MechanismTests
    from wardround.testing.networks import NetworkTests as NetworkTests
    from wardround.testing.operators import OperatorTests as OperatorTests
    from wardround.testing.partitions import PartitionTests as PartitionTests
    from wardround.testing.perturbations import PerturbationTests as PerturbationTests
    from wardround.testing.questions import QuestionTests as QuestionTests
    from wardround.testing.recipes import RecipeTests as RecipeTests
    from wardround.testing.records import tiny_records as tiny_records
    from wardround.testing.sources import Made as Made
    from wardround.testing.sources import SourceTests as SourceTests
    from wardround.testing.strategies import StrategyTests as StrategyTests
    from wardround.testing.tasks import TaskTests as TaskTests
else:
    _HANDED_ON = {
        "adversaries": ("AdversaryTests",),
        "aggregations": ("AggregationTests",),
        "analyses": ("AnalysisTests",),
        "attacks": ("AttackTests",),
        "attributions": ("AttributionTests",),
        "augmentations": ("AugmentationTests",),
        "benchmarks": ("BenchmarkTests",),
        "corruptions": ("CorruptionTests",),
        "designs": ("DesignTests",),
        "engines": ("EngineTests",),
        "losses": ("LossTests",),
        "makers": ("contributions", "tiny_cases"),
        "mechanisms": ("MechanismTests",),
        "networks": ("NetworkTests",),
        "operators": ("OperatorTests",),
        "partitions": ("PartitionTests",),
        "perturbations": ("PerturbationTests",),
        "questions": ("QuestionTests",),
        "recipes": ("RecipeTests",),
        "records": ("tiny_records",),
        "sources": ("Made", "SourceTests"),
        "strategies": ("StrategyTests",),
        "tasks": ("TaskTests",),
    }
    __getattr__ = handed_on(__name__, _HANDED_ON)
