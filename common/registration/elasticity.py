"""A displacement made elastic: the nearest one to it that a linear-elastic body would rather take (Broit 1981).

Finite elements, triangles and tetrahedra that are linear inside, on a mesh of nodes over the lattice: boundaries are
free without being asked for, so that a body may move and turn whole at no cost, where the Navier operator in a
Fourier basis would hold or wrap its faces. Each cell of the mesh is cut in D! simplices about its diagonal (Kuhn).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, identity, kron
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

MOST_NODES = 4000
SHEAR, FIRST_LAME = 1.0, 1.0
"""Lame's constants, of which the ratio counts: Poisson's number is 1/4."""
ENOUGH = 1e-4
Matrix = NDArray[np.float64]


class Elastic:
    """argmin_c |P c - u|^2 + length^2 a(P c, P c), read at voxels as P c.

    a is the elastic energy, P reads nodes' values linearly in each axis, length is in voxels.
    """

    def __init__(self, shape: Sequence[int], length: float) -> None:
        self._nodes = mesh_nodes(shape)
        self._reads = [hats(size, count) for size, count in zip(shape, self._nodes, strict=True)]
        edges = [max(size - 1, 1) / max(count - 1, 1) for size, count in zip(shape, self._nodes, strict=True)]
        masses = [csr_array(read.T @ read) for read in self._reads]
        mass: Any = identity(1)
        for part in (*masses, identity(len(self._nodes))):
            mass = kron(mass, part)
        self._system = csr_array(mass + length**2 * stiffness(self._nodes, edges))
        self._scale = 1 / self._system.diagonal()
        self._last: Matrix | None = None

    def __call__(self, field: Tensor) -> Tensor:
        """(D, *shape) voxels -> (D, *shape)."""
        values = field.double().numpy()
        wanted = np.moveaxis(_along(values, [read.T for read in self._reads]), 0, -1).reshape(-1)
        guard = LinearOperator(self._system.shape, lambda rest: self._scale * rest, dtype=np.float64)
        found, _ = cg(self._system, wanted, x0=self._last, rtol=ENOUGH, maxiter=200, M=guard)
        self._last = found
        nodes = np.moveaxis(found.reshape(*self._nodes, len(values)), -1, 0)
        return torch.from_numpy(_along(nodes, self._reads)).to(field.dtype)


def mesh_nodes(shape: Sequence[int]) -> tuple[int, ...]:
    """One a voxel, or as many a length as keep all below `MOST_NODES`."""
    share = min(1.0, float(MOST_NODES / np.prod([float(size) for size in shape])) ** (1 / len(shape)))
    return tuple(size if share == 1 else min(size, max(2, round(size * share))) for size in shape)


def hats(size: int, nodes: int) -> Matrix:
    """(size, nodes) linear weights of equally spaced nodes, the outer ones on the outer voxels."""
    places = np.linspace(0, nodes - 1, size) if size > 1 else np.zeros(1)
    return np.asarray(np.clip(1 - np.abs(places[:, None] - np.arange(nodes)), 0, None))


def stiffness(
    nodes: Sequence[int], edges: Sequence[float], shear: float = SHEAR, first: float = FIRST_LAME
) -> csr_array:
    """(N D, N D) of the energy a(u, u) = integral of first (div u)^2 + 2 shear |strain|^2; nodes in C order.

    edges: of a mesh's cell. An axis of one node has no cells, and then nothing is stiff.
    """
    size, total = len(nodes), int(np.prod(nodes))
    cells = np.stack(np.meshgrid(*[np.arange(count - 1) for count in nodes], indexing="ij"), -1).reshape(-1, size)
    rows, columns, values = [], [], []
    for order in permutations(range(size)):
        corners = np.vstack([np.zeros(size, int), np.cumsum(np.eye(size, dtype=int)[list(order)], axis=0)])
        places = np.ravel_multi_index(tuple(np.moveaxis(cells[:, None] + corners, -1, 0)), tuple(nodes))
        freedoms = (places[..., None] * size + np.arange(size)).reshape(len(cells), -1)
        element = _element(corners * np.asarray(edges, np.float64), shear, first)
        rows.append(np.repeat(freedoms, freedoms.shape[1], axis=1).reshape(-1))
        columns.append(np.tile(freedoms, freedoms.shape[1]).reshape(-1))
        values.append(np.tile(element.reshape(-1), len(cells)))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(coo_array(entries, shape=(total * size, total * size)))


def _element(corners: Matrix, shear: float, first: float) -> Matrix:
    """((D + 1) D)^2 of one simplex: Zienkiewicz and Taylor, The Finite Element Method, for constant strain."""
    size = corners.shape[1]
    slopes = np.linalg.inv(np.hstack([np.ones((size + 1, 1)), corners]))[1:].T
    volume = abs(np.linalg.det(corners[1:] - corners[0])) / factorial(size)
    spread = np.einsum("ai,bj->aibj", slopes, slopes)
    twist = np.einsum("aj,bi->aibj", slopes, slopes)
    even = np.einsum("ak,bk,ij->aibj", slopes, slopes, np.eye(size))
    element = volume * (first * spread + shear * (twist + even))
    return np.asarray(element.reshape((size + 1) * size, (size + 1) * size))


def _along(values: Matrix, matrices: Sequence[Matrix]) -> Matrix:
    """(C, *shape), one (new, old) an axis -> (C, *new)."""
    for axis, matrix in enumerate(matrices, start=1):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)
