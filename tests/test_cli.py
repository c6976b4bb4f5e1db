"""The command line, the contact sheet, the demo: what they write, and what they say to a user's mistake."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import fastsynth as fs
from fastsynth import cli, demo, inputs, selftest, sheet
from fastsynth.audit import Audit
from fastsynth.demo_detector import Detector


def run(*arguments: str):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def read(path):
    """A picture file as an array."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_preview_writes_a_sheet(tmp_path):
    result = run("preview", "--out", tmp_path / "sheet.png", "--size", 64, "--count", 3, "--device", "cpu")
    assert result.exit_code == 0, result.output
    picture = read(tmp_path / "sheet.png")
    assert picture.shape == (2 * 68 + 4, 2 * (3 * 68 + 4), 3)
    assert picture.std() > 20


def test_preview_is_the_same_for_the_same_seed(tmp_path):
    def preview(name, seed):
        assert run("preview", "--out", tmp_path / name, "--size", 64, "--count", 2, "--seed", seed).exit_code == 0
        return (tmp_path / name).read_bytes()

    assert preview("a.png", 1) == preview("b.png", 1) != preview("c.png", 2)


def test_preview_of_files(tmp_path):
    (tmp_path / "plate.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30), (0, 160, 0)).save(photos / "green.png")
    out = tmp_path / "sheet.png"
    for given in (tmp_path, tmp_path / "plate.obj"):
        result = run("preview", given, "--photos", photos, "--out", out, "--size", 64, "--count", 1)
        assert result.exit_code == 0, result.output
        image = read(out)[4:68, 4:68].astype(int)
        assert (image[..., 1] > image[..., 0] + 20).mean() > 0.3  # the photograph shows behind the plate


def test_audit_writes_a_picture_and_numbers(tmp_path):
    out, numbers = tmp_path / "audit.png", tmp_path / "audit.json"
    result = run("audit", "--images", 60, "--size", 48, "--output", out, "--json", numbers, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "camera.distance" in result.output and "nothing is off" in result.output
    assert read(out).shape[1:] == (1154, 3) and read(out).std() > 20
    assert Audit.from_json(numbers).images == 60


def test_audit_of_a_scene_says_what_is_off(tmp_path):
    (tmp_path / "shelf.py").write_text(
        "import fastsynth as fs\n"
        "def boxes():\n"
        "    return fs.Scene(fs.Objects(fs.procedural.primitives(), choice=fs.Choice([0, 1], [3, 1])))\n"
        "scene = boxes()\n"
    )
    for name in ("scene", "boxes"):
        shelf = f"{tmp_path / 'shelf.py'}:{name}"
        result = run("audit", shelf, "--images", 200, "--size", 32, "--even", "--output", tmp_path / "audit.png")
        assert result.exit_code == 0, result.output
        assert "classes: box is 7" in result.output and "weight says 16.7%" in result.output
    result = run("audit", tmp_path / "shelf.py:bread")
    assert result.exit_code == 1 and "'bread'" in result.stderr and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("preview", "nowhere"), "nowhere"),
        (("preview", "--objects", 5, 3), "5 is more than 3"),
        (("preview", "."), "nothing matches"),
        (("preview", "--photos", "nowhere"), "nowhere"),
        (("preview", "--photos", "."), "nothing matches"),
        (("preview", "--device", "tpu"), "tpu"),
        (("demo", "--meshes", "nowhere"), "nowhere"),
        (("audit", "nowhere"), "nowhere"),
        (("audit", "nowhere.py:scene"), "no file 'nowhere.py'"),
        (("audit", "--objects", 5, 3), "5 is more than 3"),
        (("recipes", "tobin"), "no recipe 'tobin'. There are: annotation_saved, cut_paste"),
        (("preview", "tobin_tabletop", "--photos", "."), "takes no photos"),
        (("preview", "tobin_tabletop", "nowhere"), "nowhere"),
        (("preview", "tobin_tabletop", "--objects", 1, 2), "the recipe tobin_tabletop has numbers of its own"),
        (("audit", "tobin_tabletop", "--objects", 1, 2), "the recipe tobin_tabletop has numbers of its own"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_recipes_are_listed_with_their_numbers():
    listed = run("recipes")
    assert listed.exit_code == 0 and all(name in listed.output for name in fs.recipes.RECIPES)
    shown = run("recipes", "tobin_tabletop")
    assert shown.exit_code == 0 and "distractors" in shown.output and "paper" in shown.output


def test_a_recipe_is_previewed_and_audited_by_its_name(tmp_path):
    sheet, audit = tmp_path / "sheet.png", tmp_path / "audit.png"
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (60, 40), "red").save(photos / "a.png")
    result = run("preview", "tremblay_cars", "--photos", photos, "--out", sheet, "--size", 32, "--count", 2)
    assert result.exit_code == 0, result.output
    assert read(sheet).shape == (40, 2 * (3 * (96 + 4) + 4), 3)
    result = run("audit", "tobin_tabletop", "--output", audit, "--images", 20, "--size", 32)
    assert result.exit_code == 0 and audit.is_file(), result.output


def test_bench_prints_rates():
    result = run("bench", "--size", 32, "--batch", 2, "--seconds", 0.1, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "images/s" in result.output and "dataset" in result.output


def test_doctor_is_content_and_says_what_was_built():
    result = run("doctor", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "as stored" in result.output
    said = " ".join(result.output.split())
    for fact in ("torch", "CPU kernels", "device", inputs.build()["compiler"]):
        assert fact in said
    assert inputs.build()["cuda"] or "CUDA kernels not built." in said and "fastsynth[cuda-build]" in said


def test_doctor_fails_when_a_pixel_is_wrong(monkeypatch):
    drawn = selftest.draw(torch.device("cpu"))
    drawn.outputs["triangle_id"][0, 20, 30] += 1
    drawn.outputs["depth"][0] *= 1.01
    monkeypatch.setattr(selftest, "draw", lambda device: drawn)
    result = run("doctor", "--device", "cpu")
    assert result.exit_code == 1
    assert "triangle_id" in result.output and "depth" in result.output and "rgb" not in result.output


def test_selftest(device):
    assert selftest.run(device) == []


def test_the_known_picture_is_what_rays_see():
    """The stored values are a renderer's own; rays in double precision say whether it was right."""
    batch, frames = selftest.scene(), selftest.draw(torch.device("cpu"))
    vertices, faces = batch.assets.vertex_data[:, :3].double().numpy(), batch.assets.faces.numpy()
    height, width = selftest.SIZE
    y, x = np.mgrid[:height, :width]
    rays = np.stack(
        [(x + 0.5 - width / 2) / height / 1.25, (y + 0.5 - height / 2) / height / 1.25, np.ones_like(x)], -1
    )
    for image in range(batch.images):
        depth, ids = np.full(selftest.SIZE, np.inf), np.full(selftest.SIZE, -1)
        for slot, mesh in enumerate(batch.mesh_id[image].tolist()):
            matrix = batch.world_from_object[image, slot].double().numpy()
            _, _, first, count = batch.assets.levels[mesh].tolist()
            for face in faces[first : first + count]:
                corners = vertices[face[:3]] @ matrix[:3, :3].T + matrix[:3, 3]
                weights = rays @ np.linalg.inv(corners.T).T  # of the corners, each divided by the depth
                t = 1 / weights.sum(-1)
                hit = (weights.min(-1) >= 0) & (t >= batch.near) & (t < depth)
                depth[hit], ids[hit] = t[hit], slot
        drawn = frames.instance_id[image].numpy()
        same = drawn == ids
        assert same.mean() > 0.99  # a border may fall on either side of a pixel centre: corners are snapped
        np.testing.assert_allclose(frames.depth[image].numpy()[same & (ids >= 0)], depth[same & (ids >= 0)], rtol=1e-5)


def test_sheet_shows_boxes_masks_and_depth():
    frames = fs.render(selftest.scene(), size=(48, 64), outputs=sheet.OUTPUTS)
    picture = np.asarray(sheet.contact_sheet(frames, count=1)).astype(int)[4:52, 4:]
    image, masks, depth = (picture[:, 68 * panel : 68 * panel + 64] for panel in range(3))
    ids = frames.instance_id[0].numpy()
    left, top, right, bottom = (int(side) for side in frames.boxes_2d_tight[0, 0])
    assert (image[bottom - 1, left:right] == sheet.color_of(0)).all(-1).mean() > 0.5
    colored = masks.max(-1) - masks.min(-1) > 40
    assert (colored == (ids >= 0)).mean() > 0.99
    assert ((depth.sum(-1) > 0) == (ids >= 0)).all()
    nearest = np.unravel_index(np.where(ids >= 0, frames.depth[0].numpy(), np.inf).argmin(), ids.shape)
    assert depth[nearest].tolist() == [255, 246, 200]


def test_sheet_wants_a_detection_of_each_image():
    frames = fs.render(selftest.scene(), size=(48, 64), outputs=sheet.OUTPUTS)
    with pytest.raises(ValueError, match="one dict for each of the 2 images, but has 1"):
        sheet.contact_sheet(frames, detections=[{}])


def test_detector_learns_a_batch_by_heart():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 64) * 0.2
    targets = []
    for number, image in enumerate(images):
        box = torch.tensor([8.0 + 4 * number, 12.0, 36.0 + 4 * number, 50.0])
        image[number % 3, 12:50, 8 + 4 * number : 36 + 4 * number] += 0.7
        targets.append({"boxes": box[None], "labels": torch.tensor([1 + number % 3])})
    detector = Detector(classes=3)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=4e-3)
    held = [(images, targets)]
    assert demo.average_precision(detector, held) < 0.2
    detector.train()
    for _ in range(80):
        optimizer.zero_grad()
        detector.loss(images, targets).backward()
        optimizer.step()
    assert demo.average_precision(detector, held) > 0.9


def test_detector_takes_images_without_objects():
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    loss = Detector(classes=2).loss(torch.rand(2, 3, 64, 64), [nothing, nothing])
    assert loss.isfinite()


def test_average_precision_of_perfect_and_of_shifted_boxes():
    """Two objects, both found: 1. One of them moved by its whole width: half the recall, at full precision."""

    class Oracle(Detector):
        def __init__(self, shift):
            super().__init__(classes=1)
            self.shift = shift

        def detect(self, images, most=30):
            boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
            boxes[1] += self.shift
            return [{"boxes": boxes, "labels": torch.tensor([1, 1]), "scores": torch.tensor([0.9, 0.8])}]

    truth = {"boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]]), "labels": torch.tensor([1, 1])}
    held = [(torch.zeros(1, 3, 32, 32), [truth])]
    assert demo.average_precision(Oracle(0.0), held) == pytest.approx(1.0)
    assert demo.average_precision(Oracle(10.0), held) == pytest.approx(51 / 101)  # 101 points of recall, 0 to 0.50


def test_demo_end_to_end(tmp_path):
    out = tmp_path / "demo.png"
    result = run("demo", "--seconds", 1, "--size", 64, "--held-out", 8, "--out", out, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "AP50 on 8 held-out images" in result.output.replace("\n", " ")
    assert "waiting for data" in result.output.replace("\n", " ")
    assert read(out).shape == (4 * 68 + 4, 2 * (4 * 68 + 4), 3)


def test_held_out_images_are_not_those_trained_on():
    drawn = demo.scene(inputs.assets(None, torch.device("cpu")))
    trained, held = (next(demo.stream(drawn, size=64, batch=4, seed=seed))[0] for seed in (0, 1))
    again = next(demo.stream(drawn, size=64, batch=4, seed=0))[0]
    assert torch.equal(trained, again) and not torch.equal(trained, held)


def test_importing_the_package_needs_no_torchvision():
    code = "import sys; sys.modules['torchvision'] = None; import fastsynth, fastsynth.cli"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
