"""Voronoi cells in a periodic box: volume, surface, and how many neighbors share a face."""

import numpy as np
from scipy.spatial import QhullError, Voronoi

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.descriptors.table import Descriptors, table_of
from glassformer.physics.configuration import Configuration

# Mean distances between particles by which the periodic images reach beyond the box; widened until the cells fill it.
_MARGIN = 3.0


def voronoi_cells(configuration: Configuration) -> Descriptors:
    """Return `voronoi.volume`, `voronoi.surface`, `voronoi.faces` and `voronoi.asphericity` of every particle's cell.

    In two dimensions they are the area, the perimeter, the number of edges. The asphericity is A^3 / (36 pi V^2), or
    in two dimensions A^2 / (4 pi V), 1 for a sphere or circle. Raises `ConfigurationError` if the cells do not fill the
    box: particles in one place.
    """
    dimension, box = configuration.dimension, configuration.edges
    positions = configuration.positions[:, :dimension]
    width = _MARGIN * float(np.prod(box) / len(positions)) ** (1 / dimension)
    while True:
        cells = _cells(positions, box, width)
        if cells is not None and np.isclose(cells[0].sum(), np.prod(box), rtol=1e-9):
            break
        if width > box.max():
            raise ConfigurationError(
                "the Voronoi cells do not fill the box", "Check for particles at the same position."
            )
        width *= 2
    volume, surface, faces = cells
    round_ = surface**2 / (4 * np.pi * volume) if dimension == 2 else surface**3 / (36 * np.pi * volume**2)
    names = [f"voronoi.{name}" for name in ("volume", "surface", "faces", "asphericity")]
    return table_of(names, [volume, surface, faces, round_])


def _cells(positions: FloatArray, box: FloatArray, width: float) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return volume, surface and faces of the cells, with images up to `width` beyond the box; None if some are open.

    A face of area A between particles at distance d is the base of two pyramids of volume A d / (2 dimensions).
    """
    number, dimension = positions.shape
    points = positions
    for axis in range(dimension):
        low = points[points[:, axis] < width] + box[axis] * np.eye(dimension)[axis]
        high = points[points[:, axis] >= box[axis] - width] - box[axis] * np.eye(dimension)[axis]
        points = np.concatenate([points, low, high])
    try:
        diagram = Voronoi(points)
    except QhullError:
        return None
    pairs = diagram.ridge_points
    chosen = np.flatnonzero((pairs < number).any(1))
    corners = [diagram.ridge_vertices[ridge] for ridge in chosen]
    sizes = np.array([len(corner) for corner in corners])
    flat = np.concatenate(corners)
    if (flat < 0).any():
        return None
    area = _areas(diagram.vertices, flat, sizes)
    pairs = pairs[chosen]
    height = np.sqrt(((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(1)) / 2
    ends = pairs.T.ravel()
    inside = ends < number

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(ends[inside], np.tile(values, 2)[inside], number).astype(np.float64)

    return summed(area * height / dimension), summed(area), summed(np.ones(len(area)))


def _areas(vertices: FloatArray, flat: np.ndarray, sizes: np.ndarray) -> FloatArray:
    """Return the areas of polygons with `sizes` corners, numbers `flat` of `vertices`, in order; lengths in the plane.

    A polygon is a fan of triangles about its first corner.
    """
    ends = np.cumsum(sizes)
    starts = ends - sizes
    if vertices.shape[1] == 2:
        length: FloatArray = np.sqrt(((vertices[flat[starts]] - vertices[flat[starts + 1]]) ** 2).sum(1))
        return length
    polygon = np.repeat(np.arange(len(sizes)), sizes)
    origin = vertices[flat[starts]][polygon]
    following = np.arange(len(flat)) + 1
    following[ends - 1] = starts
    cross = np.cross(vertices[flat] - origin, vertices[flat[following]] - origin)
    sums = np.stack([np.bincount(polygon, column, len(sizes)) for column in cross.T], 1)
    area: FloatArray = np.sqrt((sums**2).sum(1)) / 2
    return area
