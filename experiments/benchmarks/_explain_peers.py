"""Maps of ours beside captum's, and the test by forgetting beside quantus', on the same model and cases, in turn.

For a Python that has captum and quantus beside what Wardround needs; what it lacks is named. JSON on the last line.
Arguments: a seed, and the folder of kept models. Not imported by the program.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.attribution import Attribution
from common.attribution.faithfulness.map_similarity import rank_correlation
from common.attribution.faithfulness.randomisation import Randomisation
from common.attribution.faithfulness.trial import Trial, by_place
from common.attribution.fills import filled
from common.attribution.methods.occlusion import Occlusion
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from experiments.benchmarks._planted_shortcut import FLAT, shortcut

POINTS, WINDOW, STRIDE = 50, 4, 1
REPEATS = 5
PIECES = (1, 16, 144)
"""Windows that captum covers at once; its quickest counts."""
OURS: Mapping[str, Entry] = {
    **{name: Entry(name) for name in ("saliency", "gradient_x_input", "deconvnet", "guided_backpropagation")},
    "integrated_gradients": Entry("integrated_gradients", {"points": POINTS, "doublings": 0}),
    "grad_cam": Entry("grad_cam"),
    "occlusion": Entry("occlusion", {"window": (WINDOW,), "stride": (STRIDE,), "fill": "mean"}),
}
GRAD_CAM_LAYER = "5"


def main(seed: int, folder: Path) -> None:
    """Rows of {method, apart, ours_s, captum_s, bound_s, mprt, mprt_ours}."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows, missing = [], {}
    found = shortcut(seed, FLAT, folder)
    for name, entry in OURS.items():
        trial = found.trial(cast(Attribution, ATTRIBUTIONS.build(entry)))
        row: dict[str, Any] = {"method": name}
        for who, add in (("captum", _beside_captum), ("quantus", _beside_quantus)):
            try:
                row |= add(name, trial)
            except Exception as error:  # noqa: BLE001 - a peer that cannot run is named, the others go on
                missing[f"{who}, {name}"] = f"{type(error).__name__}: {error}"[:200]
        rows.append(row)
        sys.stderr.write(f"{row}\n")
    sys.stdout.write(json.dumps({"rows": rows, "missing": missing}) + "\n")


def captum_maps(name: str, network: nn.Module, inputs: Tensor, pieces: int = 1) -> Tensor:
    """(N, 1, H, W) of the log-odds of pneumonia, which are the answer of a network with one more layer."""
    captum: Any = import_module("captum.attr")
    answering = nn.Sequential(network, _difference())
    if name == "grad_cam":
        layer = network.get_submodule(GRAD_CAM_LAYER)
        coarse = captum.LayerGradCam(answering, layer).attribute(inputs, target=0, relu_attributions=True)
        return cast(Tensor, captum.LayerAttribution.interpolate(coarse, tuple(inputs.shape[2:]), "bilinear"))
    known: dict[str, tuple[str, dict[str, Any]]] = {
        "saliency": ("Saliency", {}),
        "gradient_x_input": ("InputXGradient", {}),
        "deconvnet": ("Deconvolution", {}),
        "guided_backpropagation": ("GuidedBackprop", {}),
        "integrated_gradients": ("IntegratedGradients", {"n_steps": POINTS, "internal_batch_size": 64}),
        "occlusion": (
            "Occlusion",
            {
                "sliding_window_shapes": (1, WINDOW, WINDOW),
                "strides": (1, STRIDE, STRIDE),
                "perturbations_per_eval": pieces,
                "baselines": filled(inputs, "mean"),
            },
        ),
    }
    made, options = known[name]
    return cast(Tensor, getattr(captum, made)(answering).attribute(inputs.clone(), target=0, **options)).detach()


def _difference() -> nn.Module:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 1.0]]))
    return layer


def _beside_captum(name: str, trial: Trial) -> dict[str, Any]:
    network, inputs = trial.network, trial.inputs
    theirs = captum_maps(name, network, inputs)
    apart = float((trial.maps - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12))
    pieces = PIECES if name == "occlusion" else PIECES[:1]
    works: list[Callable[[], object]] = [
        lambda: trial.maps_of(network),
        *(_asking_captum(name, network, inputs, count) for count in pieces),
        *([_passes_alone(trial)] if name == "occlusion" else []),
    ]
    times = _seconds(works)
    row = {"apart": apart, "ours_s": times[0], "captum_s": min(times[1 : 1 + len(pieces)])}
    return row | ({"bound_s": times[-1]} if name == "occlusion" else {})


def _asking_captum(name: str, network: nn.Module, inputs: Tensor, pieces: int) -> Callable[[], object]:
    return lambda: captum_maps(name, network, inputs, pieces)


def _passes_alone(trial: Trial) -> Callable[[], object]:
    """As many looks as occlusion takes, nothing covered, in pieces as large as ours."""
    from common.attribution.pairs import MOST_VALUES

    windows = cast(Occlusion, trial.method).windows(tuple(trial.inputs.shape[1:]))
    size = MOST_VALUES // trial.inputs[0].numel()
    looked = trial.inputs.repeat(-(-size // len(trial.inputs)), 1, 1, 1)[:size]

    def ask() -> None:
        left = windows * len(trial.inputs)
        with torch.no_grad():
            while left > 0:
                trial.network(looked[: min(left, size)])
                left -= size

    return ask


def _seconds(works: list[Callable[[], object]]) -> list[float]:
    """CPU, the median of each; in turn, so that what else the machine does is shared."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(REPEATS):
        for own, work in zip(taken, works, strict=True):
            begun = process_time()
            work()
            own.append(process_time() - begun)
    return [median(own) for own in taken]


def _beside_quantus(name: str, trial: Trial) -> dict[str, Any]:
    """Spearman's correlation of sizes, every layer forgotten: quantus' draw and ours; and its formula on our maps."""
    quantus: Any = import_module("quantus")
    mprt = quantus.MPRT(return_last_correlation=True, skip_layers=True, disable_warnings=True)

    def explain(model: nn.Module, inputs: Any, targets: Any, **_: object) -> Any:
        given = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
        return trial.method.explain(model, given, trial.aim.take(slice(len(given))), trial.rng("maps")).numpy()

    answer = mprt(
        model=trial.network,
        x_batch=trial.inputs.numpy(),
        y_batch=np.ones(len(trial.inputs), int),
        a_batch=trial.maps.numpy(),
        explain_func=explain,
        batch_size=len(trial.inputs),
        channel_first=True,
    )
    similarity: Any = import_module("quantus.functions.similarity_func")
    one, other = (by_place(maps).abs().numpy() for maps in (trial.maps, trial.maps_of(trial.clean or trial.network)))
    theirs = similarity.correlation_spearman(one, other, batched=True)
    sums = Randomisation().measured(trial)
    return {
        "mprt": float(np.nanmean(answer)),
        "mprt_ours": sums["randomisation_sizes"].value,
        "correlation_apart": float(np.nanmax(np.abs(rank_correlation(one, other) - theirs))),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
