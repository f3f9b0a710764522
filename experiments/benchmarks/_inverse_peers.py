"""A contest of solvers of ours and of others on the same problem, in one process, in turn; JSON on the last line.

Its name, and the least objective, are its arguments; without them, projectors are compared. For a Python that has
deepinv, scikit-image, SigPy, ODL and astra; what it lacks is left out and named. Every solver is given the same data
in single precision and the same objective, and is timed to the same relative gap of it. Not imported by the program.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from torch import Tensor

from common.reconstruction.regulariser import Limits
from common.reconstruction.solve import reconstruct
from common.study.catalogue import REGULARISERS
from common.study.options import Entry
from experiments.benchmarks._inverse_problems import (
    CONTESTS,
    PERIODIC,
    PROX_GAP,
    REFERENCE,
    SIDE,
    TV,
    WAVELET,
    Posed,
    posed,
    time_to_gap,
)

SIGPY_RHO = 0.1
Solver = Callable[[int], Tensor]
Maker = Callable[[Posed], Solver]
PACKAGES = ("torch", "numpy", "deepinv", "scikit-image", "sigpy", "odl", "astra-toolbox")


def main() -> None:
    """Rows of {problem, prior, solver, cpu_s, gap, psnr, iterations}, or of projectors."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    missing: dict[str, str] = {}
    rows = _contest(sys.argv[1], float(sys.argv[2]), missing) if len(sys.argv) > 1 else _projectors(missing)
    sys.stdout.write(json.dumps({"rows": rows, "missing": missing, "versions": _versions()}) + "\n")


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _contest(name: str, least: float, missing: dict[str, str]) -> list[dict[str, Any]]:
    contest, rows = CONTESTS[name], list[dict[str, Any]]()
    one = posed(contest.problem)
    for who, make in _solvers(name).items():
        try:
            found = time_to_gap(make(one), one, contest.prior, least, contest.gap)
        except Exception as error:  # noqa: BLE001 - a peer that cannot run is named, the others go on
            missing[who] = f"{type(error).__name__}: {error}"[:200]
            continue
        told = {"problem": contest.problem, "prior": contest.prior_words, "solver": who, "wanted": contest.gap}
        rows.append({**told, **asdict(found)})
    return rows


def _solvers(name: str) -> dict[str, Maker]:
    if name == "proximal maps":
        return {"ours, proximal map": _our_map, "deepinv TVDenoiser": _deepinv, "scikit-image": _skimage}
    if name == "FISTA":
        return {"ours, fista": _ours("fista", WAVELET), "SigPy FISTA": _sigpy_fista}
    if name == "ADMM":
        return {"ours, admm": _ours("admm", PERIODIC), "SigPy ADMM": _sigpy_admm}
    beside = CONTESTS[name].problem in ("denoising", "inpainting")
    ours: dict[str, Maker] = {f"ours, {method}": _ours(method, TV) for method in REFERENCE}
    return {**ours, **({"ODL pdhg": _odl} if beside else {})}


def _ours(method: str, prior: Entry) -> Callable[[Posed], Solver]:
    def make(one: Posed) -> Solver:
        entry = Entry(method, {"tolerance": 1e-12})

        def run(many: int) -> Tensor:
            chosen = Entry(entry.name, {**entry.options, "iterations": many})
            return reconstruct(one.linear, one.data, method=chosen, prior=prior, weight=one.weight).images

        return run

    return make


def _our_map(one: Posed) -> Solver:
    def run(many: int) -> Tensor:
        built: Any = REGULARISERS.build(TV)
        with torch.inference_mode():
            found: Tensor = built.proximal(None, Limits(PROX_GAP / 2, many, many))(
                one.data, torch.tensor([one.weight], dtype=torch.float64)
            )
        return found.clone()

    return run


def _deepinv(one: Posed) -> Solver:
    model = import_module("deepinv").models.TVDenoiser

    def run(many: int) -> Tensor:
        with torch.inference_mode():
            found: Tensor = model(n_it_max=many, crit=0.0)(one.data, ths=one.weight)
        return found.clone()

    return run


def _skimage(one: Posed) -> Solver:
    denoise = import_module("skimage.restoration").denoise_tv_chambolle
    data = one.data[0, 0].numpy()

    def run(many: int) -> Tensor:
        found = denoise(data, weight=one.weight, eps=0.0, max_num_iter=many)
        return torch.from_numpy(np.asarray(found))[None, None]

    return run


def _odl(one: Posed) -> Solver:
    """Chambolle and Pock's method as ODL has it, its norms given."""
    odl, functionals = import_module("odl"), import_module("odl.functionals.default_functionals")
    space = odl.uniform_discr([0, 0], [SIDE, SIDE], (SIDE, SIDE), dtype="float32")
    gradient = odl.Gradient(space, pad_mode="symmetric")
    mask = one.linear.forward(torch.ones(1, *one.linear.image_shape))[0, 0].numpy()
    seen = odl.MultiplyOperator(space.element(mask), domain=space, range=space)
    both = odl.BroadcastOperator(seen, gradient)
    misfit = 0.5 * functionals.L2NormSquared(space).translated(space.element(one.data[0, 0].numpy()))
    variation = one.weight * functionals.GroupL1Norm(gradient.range, exponent=2)
    step = 0.99 / 3.0  # the squared norm of both is at most 1 + 8

    def run(many: int) -> Tensor:
        image = space.zero()
        joint = functionals.SeparableSum(misfit, variation)
        odl.solvers.pdhg(image, functionals.ZeroFunctional(space), joint, both, niter=many, tau=step, sigma=step)
        return torch.from_numpy(np.asarray(image.asarray(), dtype=np.float32))[None, None]

    return run


def _sigpy_parts(one: Posed) -> tuple[Any, Any, Any]:
    """SigPy, its map and the data as complex numbers."""
    sigpy: Any = import_module("sigpy")
    mask = (one.data[0] != 0).any(0).numpy().astype(np.float32)
    data = one.data[0, 0].numpy() + 1j * one.data[0, 1].numpy()
    linear = sigpy.linop.Multiply((SIDE, SIDE), mask) * sigpy.linop.FFT((SIDE, SIDE))
    return sigpy, linear, data.astype(np.complex64)


def _as_channels(image: Any) -> Tensor:
    return torch.from_numpy(np.stack([image.real, image.imag]).astype(np.float32))[None]


def _sigpy_fista(one: Posed) -> Solver:
    """With PyWavelets' periodised transform: SigPy's own pads with zeros and is not orthogonal. Its step is given."""
    sigpy, linear, data = _sigpy_parts(one)
    pywt, levels = import_module("pywt"), 4
    size = (SIDE, SIDE)
    _, places = pywt.coeffs_to_array(pywt.wavedec2(np.zeros(size), "db4", "periodization", levels))

    class Wavelet(sigpy.linop.Linop):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(size, size)

        def _apply(self, image: Any) -> Any:
            return pywt.coeffs_to_array(pywt.wavedec2(image, "db4", "periodization", levels))[0]

        def _adjoint_linop(self) -> Any:
            return Inverse()

    class Inverse(sigpy.linop.Linop):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(size, size)

        def _apply(self, values: Any) -> Any:
            parts = pywt.array_to_coeffs(values, places, output_format="wavedec2")
            return pywt.waverec2(parts, "db4", "periodization")

        def _adjoint_linop(self) -> Any:
            return Wavelet()

    def run(many: int) -> Tensor:
        prox = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(size, one.weight), Wavelet())
        app = sigpy.app.LinearLeastSquares(linear, data, proxg=prox, alpha=1.0, max_iter=many, show_pbar=False)
        return _as_channels(app.run())

    return run


def _sigpy_admm(one: Posed) -> Solver:
    """Its penalty stays as it is given, `SIGPY_RHO`; equations by ten steps of conjugate gradients, as by default."""
    sigpy, linear, data = _sigpy_parts(one)

    def run(many: int) -> Tensor:
        differences = sigpy.linop.FiniteDifference((SIDE, SIDE))
        app = sigpy.app.LinearLeastSquares(
            linear,
            data,
            proxg=sigpy.prox.L1Reg(differences.oshape, one.weight),
            G=differences,
            solver="ADMM",
            rho=SIGPY_RHO,
            max_iter=many,
            show_pbar=False,
        )
        return _as_channels(app.run())

    return run


def _projectors(missing: dict[str, str]) -> list[dict[str, Any]]:
    """Projection and back-projection of parallel beams in every kernel that astra has on a CPU."""
    found: list[dict[str, Any]] = []
    for kernel in ("linear", "line", "strip"):
        try:
            found += _projector(kernel)
        except Exception as error:  # noqa: BLE001 - named, and the others go on
            missing[f"astra {kernel}"] = f"{type(error).__name__}: {error}"[:200]
    return found


def _projector(kernel: str, views: int = 30, side: int = 128) -> list[dict[str, Any]]:
    """Medians of twenty in turn, after one that makes what is made once; and how far the sinograms are apart."""
    from common.reconstruction.operators.ct import Ct

    image = np.random.default_rng(0).random((side, side), dtype=np.float32)
    linear = Ct(views=views, kernel=kernel).map((1, side, side), {"views": torch.ones(1, views)})  # type: ignore[arg-type]
    given = torch.from_numpy(image)[None, None]
    rays = linear.forward(given)
    project, back = _astra(kernel, rays.shape[-1], views, image)
    sinogram = project()
    apart = float(np.abs(rays[0, 0].numpy() - sinogram).max()) / float(np.abs(sinogram).max())
    rows = []
    for what, ours, theirs in (
        ("projection", lambda: linear.forward(given), project),
        ("back-projection", lambda: linear.adjoint(rays), lambda: back(sinogram)),
    ):
        times: dict[str, list[float]] = {"ours": [], "astra": []}
        for _ in range(21):
            for who, run in (("ours", ours), ("astra", theirs)):
                begin = process_time()
                run()
                times[who].append(process_time() - begin)
        mine, peer = (1000 * median(times[who][1:]) for who in ("ours", "astra"))
        rows.append({"what": what, "kernel": kernel, "ours_ms": mine, "astra_ms": peer, "apart": apart})
    return rows


def _astra(kernel: str, detectors: int, views: int, image: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Its projection of the image and its back-projection, the rays in our order."""
    astra: Any = import_module("astra")
    volume = astra.create_vol_geom(*image.shape)
    beams = astra.create_proj_geom("parallel", 1.0, detectors, np.deg2rad(180 * np.arange(views) / views))
    projector = astra.create_projector(kernel, beams, volume)

    def project() -> Any:
        number, sinogram = astra.create_sino(image, projector)
        astra.data2d.delete(number)
        return sinogram

    def back(sinogram: Any) -> Any:
        number, found = astra.create_backprojection(sinogram, projector)
        astra.data2d.delete(number)
        return found

    return project, back


if __name__ == "__main__":
    main()
