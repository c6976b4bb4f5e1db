"""Photographs of objects as flat meshes: their outline, their colours, their files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import fastsynth as fs
from fastsynth.outline import outlines, triangulated

SIZE = (40, 48)


def photo(seed=0):
    """A picture whose colours change slowly, as a photograph's do."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC))


def ring():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius = np.hypot(x - 22, y - 18)
    mask = (radius < 15) & (radius > 5)
    mask[30:36, 38:44] = True  # and a piece of its own
    return mask


MASKS = {
    "ring": ring(),
    "pixel": np.eye(1, dtype=bool),
    "diagonal": np.eye(5, dtype=bool),
    "checkers": np.indices((6, 7)).sum(0) % 2 == 0,
    "all": np.ones((3, 4), bool),
    "noise": np.random.default_rng(1).random((20, 25)) < 0.6,
}


def covered(loops, size):
    """Pixel centres inside, by the even-odd rule along a ray to the right."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for loop in loops:
        for (x0, y0), (x1, y1) in zip(loop, np.roll(loop, -1, 0), strict=True):
            if y0 != y1:
                crosses = (np.minimum(y0, y1) <= y) & (y < np.maximum(y0, y1))
                inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def area(loops):
    return abs(sum(map(_area, loops)))


def _area(loop):
    x, y = loop.T
    return 0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()


@pytest.mark.parametrize("name", MASKS)
def test_an_outline_holds_the_centres_of_the_masks_pixels(name):
    mask = MASKS[name]
    assert np.array_equal(covered(outlines(mask, 0.0), mask.shape), mask)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_triangles_cover_the_polygon_once(name, tolerance):
    loops = outlines(MASKS[name], tolerance)
    vertices, faces = triangulated(loops)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    signed = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (signed <= 1e-12).all() or (signed >= -1e-12).all()
    if tolerance == 0:
        assert abs(signed).sum() == pytest.approx(area(loops), rel=1e-9)
    # No corner lies inside another triangle's side, where a gap could show.
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    for first, last in vertices[edges][:400]:
        along = last - first
        off = vertices - first
        on_line = np.abs(off[:, 0] * along[1] - off[:, 1] * along[0]) < 1e-9
        part = (off @ along) / (along @ along)
        assert not (on_line & (part > 1e-9) & (part < 1 - 1e-9)).any()


def own_size(mesh, size=SIZE, pixel=0.01):
    """The mesh drawn head-on so that a pixel of the photograph is one of the picture's."""
    assets = fs.pack([mesh], lod=False)
    distance = 10.0
    focal = distance / (size[0] * pixel)
    camera = fs.Pinhole.look_at(eye=(0, -distance, 0), target=(0, 0, 0), fov=2 * float(np.arctan(0.5 / focal)))
    batch = fs.SceneBatch(
        assets=assets,
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=torch.eye(4).expand(1, 1, 4, 4),
        **camera.fields(),
    )
    return fs.Ambient(1.0)(batch, fs.Noise(0, torch.arange(1)))


def test_in_its_own_size_it_is_the_photograph():
    image, mask = photo(), np.zeros(SIZE, bool)
    mask[1:-1, 1:-1] = ring()[1:-1, 1:-1]
    mask[0, 20] = mask[-1, 20] = mask[15, 0] = mask[15, -1] = True  # so that its middle is that of the photograph
    mesh = fs.cutout(image, mask, pixel=0.01, tolerance=0.0)
    frames = fs.render(own_size(mesh), SIZE, ("rgb", "instance_id"))
    assert np.array_equal(frames.instance_id[0].numpy() >= 0, mask)
    difference = np.abs(frames.rgb[0].movedim(0, -1).numpy() - image / 255.0)[mask]
    assert difference.max() <= 1 / 255
    coarse = fs.render(own_size(fs.cutout(image, mask, pixel=0.01)), SIZE, ("instance_id",))
    assert (mask != (coarse.instance_id[0].numpy() >= 0)).sum() <= 0.1 * mask.sum()


def test_files_with_alpha_and_with_masks(tmp_path):
    rgba = np.dstack([photo(), ring() * np.uint8(255)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    Image.fromarray(photo(1)).save(tmp_path / "b.png")
    Image.fromarray(ring() * np.uint8(255)).save(tmp_path / "b_mask.bmp")
    alpha = fs.load_cutouts(tmp_path / "a.png", pixel=0.002)
    assert alpha.class_names == ("a",) and alpha.report.files[0].error is None
    side = (alpha.mesh_bounds[0, 3:] - alpha.mesh_bounds[0, :3]).tolist()
    assert side[1] == 0 and side[0] == pytest.approx(0.002 * np.ptp(np.nonzero(ring())[1]) + 0.002, abs=0.002)
    masked = fs.load_cutouts(tmp_path / "b.png", masks=lambda p: p.with_name(p.stem + "_mask.bmp"))
    assert masked.faces.shape[0] == alpha.faces.shape[0]
    both = fs.load_cutouts(tmp_path / "*.png", masks=[tmp_path / "b_mask.bmp", tmp_path / "none.bmp"])
    assert both.mesh_names == ("a",) and "none.bmp" in both.report.files[1].error
    with pytest.raises(fs.AssetError, match="no file could be used"):
        Image.new("RGBA", (4, 4)).save(tmp_path / "empty.png")
        fs.load_cutouts(tmp_path / "empty.png")
    with pytest.raises(ValueError, match="one file for each of 1 pictures"):
        fs.load_cutouts(tmp_path / "a.png", masks=[])


def test_wrong_masks_are_refused():
    with pytest.raises(ValueError, match=r"size of `image`, \[40, 48\], but has \[3, 4\]"):
        fs.cutout(photo(), np.ones((3, 4), bool))
    with pytest.raises(ValueError, match="holds no pixel"):
        fs.cutout(photo(), np.zeros(SIZE, bool))
