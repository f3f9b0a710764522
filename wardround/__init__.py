"""The public door: what a person who writes Python needs of this project, and nothing else.

    import wardround

    run = wardround.run("study.toml", rounds=20)      # a file, a shipped study's name, or a Study built in code
    run.scores                                         # of all hospitals' test patients together
    run.rounds                                         # a table: a row a round
    network = run.model()                              # a torch.nn.Module
    run.predict(inputs)
    run.audit()

    wardround.ask("study.toml", "mean", "age", by="sex").numbers     # a question to its hospitals, by sums alone

`wardround.imaging` measures, registers and resamples arrays and images of NumPy, SimpleITK, PyTorch and MONAI.
Nothing heavy is imported before it is asked for.
"""

from typing import TYPE_CHECKING

from common import __version__ as __version__
from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.study.study import Study as Study
    from wardround import imaging as imaging
    from wardround.asking import Answered as Answered
    from wardround.asking import ask as ask
    from wardround.runs import Run as Run
    from wardround.runs import load as load
    from wardround.runs import run as run
    from wardround.studies import study as study
else:
    _named = handed_on(
        __name__,
        {"asking": ("Answered", "ask"), "runs": ("Run", "load", "run"), "studies": ("Study", "study")},
    )

    def __getattr__(name):
        from importlib import import_module

        return import_module("wardround.imaging") if name == "imaging" else _named(name)


__all__ = ["Answered", "Run", "Study", "__version__", "ask", "imaging", "load", "run", "study"]
