"""Registrations by one other program, run as a script by the Python that has it: arrays in, transforms out.

    python _registration_peers.py FOLDER PROGRAM WORK CONTRAST

Each folder in FOLDER holds fixed.npz and moving.npz, each with values (*shape) float32, spacing_mm (D,) and
origin_mm (D,): the voxel at index i lies at origin + spacing * i, axes in the array's order. WORK is rigid, affine,
displacement, or both: affine, then displacement. CONTRAST is same or other. Written there is result.npz: seconds,
of the processor within the call, settings, and matrix (D + 1, D + 1), or field (D, *shape) in mm, where the fixed
image's points go in the moving image.

The coordinates are whatever a program calls physical; greedy alone turns two axes of them, and is turned back.
A first search on small blobs is not counted: it loads what each program loads lazily.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Mapping = Callable[[Points], Points]
SEED = 1


@dataclass(frozen=True)
class Volume:
    """An image along its own axes."""

    values: NDArray[np.float32]
    spacing_mm: Points
    origin_mm: Points

    @classmethod
    def read(cls, path: Path) -> Volume:
        """From .npz."""
        with np.load(path) as file:
            return cls(file["values"], file["spacing_mm"], file["origin_mm"])

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.values.ndim

    @property
    def affine(self) -> Points:
        """(4, 4) or (3, 3), voxel to physical."""
        matrix = np.diag([*self.spacing_mm, 1.0])
        matrix[:-1, -1] = self.origin_mm
        return matrix

    def points(self) -> Points:
        """(N, D) of all voxels."""
        places = np.indices(self.values.shape).reshape(self.dimensions, -1).T
        return places * self.spacing_mm + self.origin_mm


@dataclass(frozen=True)
class Case:
    """What to register, and how."""

    fixed: Volume
    moving: Volume
    work: str
    contrast: str

    @property
    def dense(self) -> bool:
        """Whether the result is a field."""
        return self.work in {"displacement", "both"}

    @property
    def linear(self) -> str | None:
        """The linear search there is, or None."""
        return {"rigid": "rigid", "affine": "affine", "both": "affine"}.get(self.work)


@dataclass(frozen=True)
class Answer:
    """Where points go, and with what settings that was found."""

    map_points: Mapping
    settings: str


class Simpleitk:
    """ITK's registration framework and its demons."""

    def __init__(self) -> None:
        self.sitk: Any = import_module("SimpleITK")
        self.sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def image(self, volume: Volume) -> Any:
        """ITK's axes are those of NumPy in reverse."""
        image = self.sitk.GetImageFromArray(np.ascontiguousarray(volume.values.T))
        image.SetSpacing([float(part) for part in volume.spacing_mm])
        image.SetOrigin([float(part) for part in volume.origin_mm])
        return image

    def search(self, case: Case) -> Answer:
        """Linear, demons, or one after the other."""
        fixed, moving = self.image(case.fixed), self.image(case.moving)
        found = [] if case.linear is None else [self.linear(fixed, moving, case)]
        settings = [] if case.linear is None else [self.metric_name(case)]
        if case.dense:
            brought = self.sitk.Resample(moving, fixed, found[0]) if found else moving
            found.insert(0, self.demons(fixed, brought))
            settings.append("fast symmetric demons, 3 levels of 50")
        chain = found[0] if len(found) == 1 else self.sitk.CompositeTransform(found[::-1])
        return Answer(_each(chain.TransformPoint), ", ".join(settings))

    @staticmethod
    def metric_name(case: Case) -> str:
        """In words."""
        return "correlation, 3 levels" if case.contrast == "same" else "Mattes MI, 50 bins, 3 levels"

    def linear(self, fixed: Any, moving: Any, case: Case) -> Any:
        """Three levels from the middles; a fifth of the voxels in 3D, all of them in 2D."""
        sitk, flat = self.sitk, case.fixed.dimensions == 2
        rigid = sitk.Euler2DTransform() if flat else sitk.Euler3DTransform()
        kind = rigid if case.linear == "rigid" else sitk.AffineTransform(case.fixed.dimensions)
        way = sitk.CenteredTransformInitializerFilter
        start = sitk.CenteredTransformInitializer(
            fixed, moving, kind, way.MOMENTS if case.contrast == "same" else way.GEOMETRY
        )
        method = sitk.ImageRegistrationMethod()
        if case.contrast == "same":
            method.SetMetricAsCorrelation()
        else:
            method.SetMetricAsMattesMutualInformation(50)
        if not flat:
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentage(0.2, SEED)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200, gradientMagnitudeTolerance=1e-8)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([4, 2, 1])
        method.SetSmoothingSigmasPerLevel([2, 1, 0])
        method.SetInitialTransform(start, True)
        method.Execute(fixed, moving)
        return start

    def demons(self, fixed: Any, moving: Any) -> Any:
        """From coarse to fine, intensities matched first."""
        sitk = self.sitk
        moving = sitk.HistogramMatching(moving, fixed, 256, 15, True)
        field = None
        for factor in (4, 2, 1):
            small = [self.shrunk(image, factor) for image in (fixed, moving)]
            demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            demons.SetNumberOfIterations(50)
            demons.SetStandardDeviations(1.5)
            if field is None:
                field = demons.Execute(*small)
            else:
                field = demons.Execute(*small, sitk.Resample(field, small[0]))
        return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))

    def shrunk(self, image: Any, factor: int) -> Any:
        """Smoothed by half of the new spacing first."""
        if factor == 1:
            return image
        sigmas = [factor / 2 * spacing for spacing in image.GetSpacing()]
        return self.sitk.Shrink(self.sitk.SmoothingRecursiveGaussian(image, sigmas), [factor] * image.GetDimension())


class Elastix:
    """itk-elastix by its default parameter maps."""

    def __init__(self) -> None:
        self.itk: Any = import_module("itk")
        self.itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)

    def image(self, volume: Volume) -> Any:
        """As SimpleITK's."""
        image = self.itk.image_from_array(np.ascontiguousarray(volume.values.T))
        image.SetSpacing([float(part) for part in volume.spacing_mm])
        image.SetOrigin([float(part) for part in volume.origin_mm])
        return image

    def search(self, case: Case) -> Answer:
        """Correlation instead of mutual information where contrasts are the same."""
        maps = {"rigid": ["rigid"], "affine": ["affine"], "displacement": ["bspline"], "both": ["affine", "bspline"]}
        parameters = self.itk.ParameterObject.New()
        for kind in maps[case.work]:
            table = parameters.GetDefaultParameterMap(kind, 4 if case.linear == "rigid" else 3)
            if case.contrast == "same":
                table["Metric"] = ["AdvancedNormalizedCorrelation", *table["Metric"][1:]]
            table["RandomSeed"] = [str(SEED)]
            parameters.AddParameterMap(table)
        fixed, moving = self.image(case.fixed), self.image(case.moving)
        method = self.itk.ElastixRegistrationMethod.New(fixed, moving)
        method.SetParameterObject(parameters)
        method.SetNumberOfThreads(1)
        method.UpdateLargestPossibleRegion()
        chain = method.ConvertToItkTransform(method.GetCombinationTransform())
        metric = "correlation" if case.contrast == "same" else "MI"
        return Answer(_each(chain.TransformPoint), f"default {' + '.join(maps[case.work])}, {metric}")


class Ants:
    """ANTsPy by its named transforms."""

    def __init__(self, dense_metric: str) -> None:
        self.ants: Any = import_module("ants")
        self.dense_metric = dense_metric

    def image(self, volume: Volume) -> Any:
        """ANTsPy's arrays have their axes in our order."""
        origin, spacing = volume.origin_mm.tolist(), volume.spacing_mm.tolist()
        return self.ants.from_numpy(volume.values, origin=origin, spacing=spacing)

    def search(self, case: Case) -> Answer:
        """Affine searches by mutual information, its default; SyN by what it was asked for."""
        name = {"rigid": "Rigid", "affine": "Affine", "displacement": "SyNOnly", "both": "SyN"}[case.work]
        options: dict[str, Any] = {}
        if case.dense and self.dense_metric == "CC":
            options = {"syn_metric": "CC", "syn_sampling": 2, "reg_iterations": (40, 20, 10)}
        if case.work == "displacement":
            options["initial_transform"] = "identity"
        found = self.ants.registration(
            self.image(case.fixed), self.image(case.moving), type_of_transform=name, random_seed=SEED, **options
        )["fwdtransforms"]

        def map_points(points: Points) -> Points:
            frame = import_module("pandas").DataFrame(points, columns=list("xyz")[: points.shape[1]])
            moved = self.ants.apply_transforms_to_points(points.shape[1], frame, found)
            return np.asarray(moved, np.float64)[:, : points.shape[1]]

        metric = f", {self.dense_metric}" if case.dense else ", Mattes MI"
        return Answer(map_points, name + metric)


class Dipy:
    """DIPY's affine search by mutual information and its SyN by local correlation."""

    def __init__(self) -> None:
        self.affine: Any = import_module("dipy.align.imaffine")
        self.transforms: Any = import_module("dipy.align.transforms")
        self.warp: Any = import_module("dipy.align.imwarp")
        self.metrics: Any = import_module("dipy.align.metrics")

    def search(self, case: Case) -> Answer:
        """The tutorials' steps and iterations."""
        before = None if case.linear is None else self.linear(case)
        words = [] if before is None else ["MI, 32 bins, 3 levels of 10000, 1000, 100"]
        if not case.dense:
            assert before is not None
            return Answer(lambda points: _moved(before, points), words[0])
        search = self.warp.SymmetricDiffeomorphicRegistration(
            self.metrics.CCMetric(case.fixed.dimensions), level_iters=[10, 10, 5]
        )
        fixed, moving = case.fixed, case.moving
        found = search.optimize(fixed.values, moving.values, static_grid2world=fixed.affine,
                                moving_grid2world=moving.affine, prealign=before)  # fmt: skip
        return Answer(found.transform_points, ", ".join([*words, "SyN, CC, 10, 10, 5"]))

    def linear(self, case: Case) -> Points:
        """Centres of mass, translation, rigid, affine, each from the one before."""
        fixed, moving = case.fixed, case.moving
        images = (fixed.values, moving.values)
        places = {"static_grid2world": fixed.affine, "moving_grid2world": moving.affine}
        here = self.affine.transform_centers_of_mass(fixed.values, fixed.affine, moving.values, moving.affine).affine
        search = self.affine.AffineRegistration(
            metric=self.affine.MutualInformationMetric(nbins=32), level_iters=[10000, 1000, 100],
            sigmas=[3.0, 1.0, 0.0], factors=[4, 2, 1], verbosity=0)  # fmt: skip
        steps = ["Translation", "Rigid", "Affine"][: 2 if case.linear == "rigid" else 3]
        for step in steps:
            kind = getattr(self.transforms, f"{step}Transform{fixed.dimensions}D")()
            here = search.optimize(*images, kind, None, **places, starting_affine=here).affine
        return np.asarray(here)


class Greedy:
    """picsl-greedy by what its manual recommends."""

    def __init__(self) -> None:
        self.module: Any = import_module("picsl_greedy")
        self.itk = Simpleitk()

    def search(self, case: Case) -> Answer:
        """Correlation in windows of 5, or normalised mutual information for other contrasts."""
        size = case.fixed.dimensions
        greedy = (self.module.Greedy2D if size == 2 else self.module.Greedy3D)()
        images = {"fixed": self.itk.image(case.fixed), "moving": self.itk.image(case.moving)}
        metric = f"NCC {'x'.join(['2'] * size)}" if case.contrast == "same" else "NMI"
        common = f"-d {size} -i fixed moving -threads 1 -V 0 -m {metric} -n 100x50x10"
        matrix, quiet = np.eye(size + 1), StringIO()
        with TemporaryDirectory() as folder:
            start = Path(folder) / "linear.mat"
            if case.linear is not None:
                freedom = f"-a -dof {6 if case.linear == 'rigid' else 12} -ia-image-centers"
                greedy.execute(f"{common} {freedom} -o {start}", out=quiet, **images)
                flip = np.diag([*[-1.0, -1.0, 1.0][:size], 1.0])
                matrix = flip @ np.loadtxt(start) @ flip
            if not case.dense:
                return Answer(lambda points: _moved(matrix, points), f"{metric}, 100x50x10")
            after = "" if case.linear is None else f"-it {start}"
            greedy.execute(f"{common} {after} -o warp", out=quiet, **images, warp=None)
        field = self.itk.sitk.Cast(greedy["warp"], self.itk.sitk.sitkVectorFloat64)
        chain = self.itk.sitk.DisplacementFieldTransform(field)

        def map_points(points: Points) -> Points:
            return _moved(matrix, _each(chain.TransformPoint)(points))

        return Answer(map_points, f"{metric}, 100x50x10")


PROGRAMS: dict[str, Callable[[], Any]] = {
    "SimpleITK": Simpleitk,
    "elastix": Elastix,
    "ANTsPy": lambda: Ants("Mattes MI"),
    "ANTsPy CC": lambda: Ants("CC"),
    "DIPY": Dipy,
    "greedy": Greedy,
}


def _each(map_one: Callable[[Any], Any]) -> Mapping:
    return lambda points: np.array([map_one(tuple(map(float, point))) for point in points])


def _moved(matrix: Points, points: Points) -> Points:
    return np.asarray(points @ matrix[:-1, :-1].T + matrix[:-1, -1])


def _blobs(case: Case) -> Case:
    """A small pair for the first search."""
    size = case.fixed.dimensions
    squared = [sum((axis - middle) ** 2 for axis in np.indices([32] * size)) for middle in (15, 16.5)]
    images = [
        Volume((100 * np.exp(-part / 60)).astype(np.float32), np.ones(size), np.zeros(size)) for part in squared
    ]
    return Case(images[0], images[1], case.work, case.contrast)


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _matrix(map_points: Mapping, size: int) -> Points:
    """From where the origin and the ends of long axes go."""
    length = 100.0
    there = map_points(np.vstack([np.zeros(size), length * np.eye(size)]))
    matrix = np.eye(size + 1)
    matrix[:-1, -1] = there[0]
    matrix[:-1, :-1] = (there[1:] - there[0]).T / length
    return matrix


def main(folder: Path, program: str, work: str, contrast: str) -> None:
    """Search for each case, and write what was found."""
    with redirect_stdout(StringIO()):
        peer = PROGRAMS[program]()
        for number, place in enumerate(sorted(folder.iterdir())):
            case = Case(Volume.read(place / "fixed.npz"), Volume.read(place / "moving.npz"), work, contrast)
            if number == 0:
                with suppress(RuntimeError, ValueError):
                    peer.search(_blobs(case))
            with suppress(RuntimeError, ValueError):
                np.savez(place / "result.npz", **_solved(peer, case))


def _solved(peer: Any, case: Case) -> dict[str, Any]:
    began = _processor_seconds()
    answer: Answer = peer.search(case)
    found: dict[str, Any] = {"seconds": _processor_seconds() - began, "settings": answer.settings}
    if not case.dense:
        return found | {"matrix": _matrix(answer.map_points, case.fixed.dimensions)}
    points = case.fixed.points()
    moved = answer.map_points(points) - points
    return found | {"field": moved.T.reshape(case.fixed.dimensions, *case.fixed.values.shape)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
