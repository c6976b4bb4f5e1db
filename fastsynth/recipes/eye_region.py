"""A procedural eye region: 229 control vertices, a linear model of their shapes, and the mesh that is drawn of them.

In the frame of the eyeball: x to the right of the picture, y away from the viewer, z up, metres; inner corner at -x.
Thirteen loops of sixteen vertices run around the opening, the first along the eyeball, the last along the border of the
patch; vertex 0 of a loop is at the inner corner, 4 in the middle of the upper lid, 8 at the outer corner. The caruncle
has three rows of seven. Everything here is ours: no scan is behind it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

LOOPS, AROUND = 13, 16
CARUNCLE = (3, 7)
VERTICES = LOOPS * AROUND + CARUNCLE[0] * CARUNCLE[1]
COMPONENTS = 20
#: The drawn mesh has every control vertex, and between two of a loop three more; of loops see `drawn_loops`.
FINE_LOOPS, FINE_AROUND = 55, 4 * AROUND
FINE_CARUNCLE = (2 * CARUNCLE[0] - 1, 2 * CARUNCLE[1] - 1)
RADIUS = 0.012
LASHES = {"upper": (4, 28, 72, 0.0085), "lower": (36, 60, 44, 0.005)}  # first and last column, how many, length [m]

# What a face is made of: mean and standard deviation. Angles on the eyeball in degrees, lengths in millimetres.
FACE = {
    "inner": (56.0, 3.0),  # azimuth of the inner corner
    "outer": (57.0, 3.5),
    "inner_up": (-5.0, 2.0),  # elevation of the inner corner
    "outer_up": (1.0, 3.5),
    "upper": (24.0, 3.5),  # height of the upper lid's arc
    "lower": (19.0, 2.5),
    "upper_peak": (0.46, 0.05),  # where along the opening an arc is highest
    "lower_peak": (0.56, 0.05),
    "margin": (1.7, 0.2),  # thickness of the lid's edge
    "lid": (2.6, 0.4),  # thickness of the lids
    "crease": (1.3, 0.7),  # depth of the upper lid's fold
    "crease_up": (0.0, 1.2),  # its height beyond the mean
    "hood": (0.9, 0.8),  # how far the skin above the fold hangs out
    "bag": (0.6, 0.6),
    "brow": (4.5, 1.5),
    "brow_up": (20.0, 1.8),
    "nose": (11.0, 3.0),
    "nose_at": (-25.0, 2.0),
    "cheek": (3.0, 1.5),
    "temple": (7.0, 2.0),
    "orbit": (2.0, 1.0),
    "depth": (0.0, 0.8),
    "caruncle": (1.0, 0.12),
}
_OUTWARD = np.array([0, 0.07, 0.15, 0.24, 0.34, 0.45, 0.56, 0.68, 0.79, 0.9, 1.0])  # loops 2 to 12, on their way


def _direction(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Unit vectors of angles in degrees, float [..., 3]; both 0 look at the viewer."""
    a, e = np.broadcast_arrays(np.radians(azimuth), np.radians(elevation))
    return np.stack([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)], -1)


def _rise(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def face_shape(**face: float) -> np.ndarray:
    """Control vertices of a face of these measures (`FACE`), looking straight ahead: float64 [229, 3] [m].

    Example:
        >>> face_shape().shape
        (229, 3)
    """
    f = {name: face.get(name, mean) for name, (mean, _) in FACE.items()}
    t = np.arange(AROUND)
    along = np.where(t <= 8, t, AROUND - t) / 8
    upper, lower = (t > 0) & (t < 8), t > 8
    azimuth = -f["inner"] + (f["inner"] + f["outer"]) * along
    base = f["inner_up"] + (f["outer_up"] - f["inner_up"]) * along

    def arc(peak: float) -> np.ndarray:
        return np.sin(np.pi * along ** (np.log(0.5) / np.log(peak))).clip(0) ** 0.8

    lift = np.where(upper, f["upper"] * arc(f["upper_peak"]), np.where(lower, -f["lower"] * arc(f["lower_peak"]), 0))
    middle = (f["outer"] - f["inner"]) / 2
    turn = np.pi - t * 2 * np.pi / AROUND
    out = np.stack([np.cos(turn), np.sin(turn)], 1)  # from the middle of the opening
    millimetre = 1e3 * RADIUS
    edge = _direction(azimuth, base + lift)
    front = _direction(azimuth + 1.5 * out[:, 0], base + lift + 1.5 * out[:, 1])
    skin = _direction(azimuth + 5 * out[:, 0], base + lift + 6 * out[:, 1])
    loops = [edge * (millimetre + 0.1), front * (millimetre + f["margin"])]

    begin = skin[:, [0, 2]] * (millimetre + f["lid"])
    end = np.array([np.sin(np.radians(middle)) * millimetre + 2, 2.0]) + out * np.array([42.0, 32.0])
    arch = np.sin(np.pi * along) ** 0.7
    for loop, part in enumerate(_OUTWARD, start=2):
        x, z = (begin + (end - begin) * part).T
        z = z + f["crease_up"] * upper * arch * np.exp(-(((loop - 4) / 1.5) ** 2))
        ball = np.sqrt(np.maximum((millimetre + f["lid"]) ** 2 - x * x - z * z, 0))
        flat = 4 + f["depth"] + f["nose"] * _rise((f["nose_at"] - x) / 3.5) - f["temple"] * _rise((x - 26) / 5)
        flat = flat + f["brow"] * np.exp(-(((z - f["brow_up"]) / 6) ** 2)) * _rise((30 - x) / 5)
        flat = flat + f["cheek"] * _rise((-z - 16) / 4) - f["orbit"] * np.exp(-((z / 16) ** 2)) * _rise(-(x + 15) / 4)
        depth = (ball + flat + np.sqrt((ball - flat) ** 2 + 9)) / 2  # the larger, smoothly
        if loop == 4:
            depth = depth - f["crease"] * upper * arch - 0.4 * f["bag"] * lower * arch
        if loop in (5, 6):
            depth = depth + upper * arch * f["hood"] * (0.7 if loop == 5 else 0.4) + f["bag"] * lower * arch
        loops.append(np.stack([x, -depth, z], 1))

    i, j = np.linspace(-1, 1, CARUNCLE[1])[None], np.linspace(-1, 1, CARUNCLE[0])[:, None]
    azimuth = -f["inner"] + 4.5 + 9.5 * f["caruncle"] * i + 0 * j
    elevation = f["inner_up"] + 5.5 * f["caruncle"] * j * np.sqrt(1.02 - i * i)
    height = millimetre - 0.35 + 1.5 * f["caruncle"] * (1 - i * i) * (1 - 0.9 * j * j)
    flesh = _direction(azimuth, elevation) * height[..., None]
    return np.concatenate([np.concatenate(loops), flesh.reshape(-1, 3)]) * 1e-3


class Model(NamedTuple):
    """A linear model of faces."""

    mean: np.ndarray  #: float64 [229, 3] [m]
    basis: np.ndarray  #: orthonormal, float64 [20, 229, 3]
    sigma: np.ndarray  #: float64 [20] [m]


@functools.cache
def shape_model(faces: int = 200) -> Model:
    """The principal components of faces of random measures.

    Example:
        >>> shape_model().basis.shape
        (20, 229, 3)
    """
    rng = np.random.default_rng(7)
    drawn = [
        face_shape(**{n: m + s * float(rng.standard_normal()) for n, (m, s) in FACE.items()}) for _ in range(faces)
    ]
    shapes = np.stack(drawn).reshape(faces, -1)
    mean = shapes.mean(0)
    # By the smaller of the two matrices: that of the faces' inner products.
    squares, weights = np.linalg.eigh((shapes - mean) @ (shapes - mean).T)
    singular = np.sqrt(squares[: -COMPONENTS - 1 : -1])
    rows = (weights[:, : -COMPONENTS - 1 : -1].T @ (shapes - mean)) / singular[:, None]
    signs = np.sign(rows[np.arange(COMPONENTS), np.abs(rows).argmax(1)])
    sigma = singular / np.sqrt(faces - 1)
    return Model(mean.reshape(-1, 3), (rows * signs[:, None]).reshape(COMPONENTS, -1, 3), sigma)


def lid_strength() -> np.ndarray:
    """What part of the lids' rotation each control vertex follows, 1 in the middle of the upper margin: float64 [229].

    Loops follow by 1, 1, 1, 0.8, 0.4 and 0.2 from the margin outwards, the upper lid three times the lower, the corners
    not at all.
    """
    loop = np.zeros(LOOPS)
    loop[:6] = 1, 1, 1, 0.8, 0.4, 0.2
    t = np.arange(AROUND)
    along = np.where(t <= 8, t, AROUND - t) / 8
    side = np.where(t < 8, 1.0, 1 / 3) * np.sin(np.pi * along).clip(0) ** 0.6 * (t % 8 > 0)
    return np.concatenate([(loop[:, None] * side).reshape(-1), np.zeros(VERTICES - LOOPS * AROUND)])


def drawn_loops() -> np.ndarray:
    """Where between the control loops the drawn ones lie: close on the lids, along which wrinkles run; float64 [55].

    Example:
        >>> drawn_loops()[:6].tolist()
        [0.0, 0.5, 1.0, 1.25, 1.5, 1.75]
    """
    steps = (0, 1, 0.5), (1, 2, 0.25), (2, 6, 0.125), (6, 8, 0.25), (8, LOOPS - 0.5, 0.5)
    return np.concatenate([np.arange(*step) for step in steps])


def drawn_faces() -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the drawn mesh, int [F, 3], and of each whether it is of a lash.

    Vertices: the loops' with the first of each repeated at its end, the caruncle's, and five for each lash.
    """

    def grid(rows: int, columns: int, first: int) -> np.ndarray:
        corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1) + first
        right, out, across = corner + 1, corner + columns, corner + columns + 1
        return np.concatenate([np.stack([corner, right, across], 1), np.stack([corner, across, out], 1)])

    # Loops run clockwise as seen: inner corner, top, outer corner.
    skin = grid(FINE_LOOPS, FINE_AROUND + 1, 0)
    first = FINE_LOOPS * (FINE_AROUND + 1)
    flesh = grid(*FINE_CARUNCLE, first)
    first += FINE_CARUNCLE[0] * FINE_CARUNCLE[1]
    count = sum(number for _, _, number, _ in LASHES.values())
    one = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4]])
    lashes = (first + 5 * np.arange(count)[:, None, None] + one).reshape(-1, 3)
    faces = np.concatenate([skin, flesh, lashes])
    return faces, np.arange(len(faces)) >= len(skin) + len(flesh)


def drawn_uvs() -> np.ndarray:
    """Texture coordinates of the drawn mesh, float [V, 2]: around and outwards, below bands for caruncle and lashes."""
    v, u = np.meshgrid(drawn_loops() / (LOOPS - 1), np.linspace(0, 1, FINE_AROUND + 1), indexing="ij")
    skin = np.stack([u, SKIN_FROM + (0.995 - SKIN_FROM) * v], -1).reshape(-1, 2)
    y, x = np.meshgrid(
        np.linspace(0.01, 0.03, FINE_CARUNCLE[0]), np.linspace(0.1, 0.3, FINE_CARUNCLE[1]), indexing="ij"
    )
    flesh = np.stack([x, y], -1).reshape(-1, 2)
    count = sum(number for _, _, number, _ in LASHES.values())
    return np.concatenate([skin, flesh, np.tile([0.5, 0.06], (5 * count, 1))])


def landmarks() -> np.ndarray:
    """Vertices of the drawn mesh: 16 of the margin, from the inner corner over the upper lid, 7 of the caruncle."""
    margin = 4 * np.arange(AROUND)
    flesh = FINE_LOOPS * (FINE_AROUND + 1) + FINE_CARUNCLE[0] // 2 * FINE_CARUNCLE[1]
    return np.concatenate([margin, flesh + 2 * np.arange(CARUNCLE[1])])


#: Where in the texture the skin begins.
SKIN_FROM = 0.09
