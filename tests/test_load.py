"""Files: what they mean, and what becomes of broken ones."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import fastsynth as fs
from fastsynth.report import AssetError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
CORPUS = Path("/usr/share/assimp/models")


@pytest.fixture
def box(tmp_path):
    """A textured box in every format, 2 units wide."""
    mesh = trimesh.creation.box((2, 2, 2))
    for kind in ("ply", "stl", "obj", "glb"):
        mesh.export(tmp_path / f"crate.{kind}")
    return tmp_path


@pytest.mark.parametrize("kind", ["ply", "stl", "obj", "glb"])
def test_every_format_gives_the_same_box(box, kind):
    assets = fs.load_assets(box / f"crate.{kind}", unit="cm")
    torch.testing.assert_close(assets.mesh_bounds[0], torch.tensor([-0.01] * 3 + [0.01] * 3))
    assert assets.levels[0, 3] == 12 and assets.class_names == ("crate",)
    sided = assets.materials[0, 7]
    assert sided == 0, "a closed box is drawn from outside only"


def test_classes(box):
    (box / "sub").mkdir()
    trimesh.creation.icosphere().export(box / "sub" / "ball.ply")
    assert fs.load_assets(box / "**/*.ply", classes="folder").class_names == (box.name, "sub")
    named = fs.load_assets([box / "crate.ply", box / "sub"], classes={"crate.ply": "a", "ball": "b"})
    assert named.class_names == ("a", "b") and named.mesh_names == ("crate", "ball")
    assert fs.load_assets(box / "crate.ply", classes=lambda path: path.suffix).class_names == (".ply",)


def test_obj_with_materials_texture_and_upright_v(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = 255  # the top row is white
    Image.fromarray(pixels).save(tmp_path / "paint.png")
    (tmp_path / "m.mtl").write_text("newmtl painted\nKd 1 1 1\nmap_Kd paint.png\nnewmtl red\nKd 1 0 0\n")
    (tmp_path / "t.obj").write_text(
        "mtllib m.mtl\n" + TRIANGLE + "v 5 0 0\nusemtl painted\nf 1/1 2/2 3/3\nusemtl red\nf 1/1 4/2 3/3\n"
    )
    assets = fs.load_assets(tmp_path / "t.obj")
    assert len(assets.materials) == 2
    painted = int((assets.material_textures[:, 0] >= 0).nonzero()[0])
    torch.testing.assert_close(assets.materials[1 - painted, :3], torch.tensor([1.0, 0.0, 0.0]))
    assert (assets.textures.image(0)[0] == 255).all() and (assets.textures.image(0)[1, :, :3] == 0).all()
    # v = 1 of the file, the corner (0, 1, 0), is the top of the picture.
    top = assets.vertex_data[(assets.vertices[:, 1] == 1).nonzero()[0, 0]]
    assert top[7] == 0


def gltf(tmp_path, **changes):
    """A minimal glTF of one triangle, as a dictionary, with its buffer written beside it."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    data = points.tobytes() + np.array([0, 1, 2], np.uint32).tobytes()
    (tmp_path / "data.bin").write_bytes(data)
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"mesh": 0}, {"mesh": 0, "translation": [0, 0, 5]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorFactor": [0.5, 0.25, 0, 1],
                    "metallicFactor": 0.1,
                    "roughnessFactor": 0.3,
                },
                "alphaMode": "MASK",
                "alphaCutoff": 0.4,
                "doubleSided": True,
            }
        ],
        "buffers": [{"uri": "data.bin", "byteLength": len(data)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        **changes,
    }
    path = tmp_path / "scene.gltf"
    path.write_text(json.dumps(tree))
    return path


def test_gltf_nodes_and_factors(tmp_path):
    assets = fs.load_assets(gltf(tmp_path))
    torch.testing.assert_close(
        assets.materials[0], torch.tensor([0.5, 0.25, 0, 1, 0.1, 0.3, 0.4, 1]), atol=0.002, rtol=0
    )
    # (trimesh keeps colour factors as bytes)
    assert assets.levels[0, 3] == 2, "both nodes"
    assert assets.mesh_bounds[0].tolist() == [0, 0, 0, 1, 1, 5]


def test_inside_out_is_turned(tmp_path):
    mesh = trimesh.creation.box()
    mesh.invert()
    mesh.export(tmp_path / "box.ply")
    assets = fs.load_assets(tmp_path)
    assert "turned" in str(assets.report)
    faces = assets.vertices[assets.faces[:, :3].long()]
    volume = (faces[:, 0] * torch.linalg.cross(faces[:, 1], faces[:, 2])).sum() / 6
    assert volume > 0


def test_an_open_surface_is_seen_from_both_sides(tmp_path):
    (tmp_path / "t.obj").write_text(TRIANGLE + "f 1 2 3\n")
    assert fs.load_assets(tmp_path).materials[0, 7] == 1
    assert fs.load_assets(tmp_path, double_sided=False).materials[0, 7] == 0


def binary_ply(count):
    return b"ply\nformat binary_little_endian 1.0\nelement vertex %d\nproperty float x\nend_header\n" % count


def stl(count):
    return b"\0" * 80 + struct.pack("<I", count) + b"\0" * 50


BROKEN = {
    "empty.ply": (b"", "is empty"),
    "cut.glb": (b"glTF\x02\0\0\0\x00\x10\0\0" + b"\0" * 20, "cut off: its header announces 4096"),
    "text.glb": (b"hello, this is not a GLB file", "does not begin with 'glTF'"),
    "short.stl": (b"\0" * 20, "cut off after 20 bytes"),
    "billion.stl": (stl(10**9), "announces 1000000000 triangles"),
    "billion.ply": (binary_ply(10**9), "announces 1000000000 of 'vertex'"),
    "text.gltf": (b"{ not json", "not JSON"),
    "other.gltf": (b"{}", "no 'asset'"),
    "points.obj": (b"v 0 0 0\nv 1 1 1\n", "no triangle|cannot be parsed"),
    "flat.obj": (b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no triangle in it has an area"),
    "mesh.fbx": (b"anything", "files ending in '.fbx' are not read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_say_why(tmp_path, name):
    data, says = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AssetError, match=says):
        fs.load_assets(tmp_path / name)


def test_one_bad_file_of_many_loses_nothing_else(box):
    (box / "bad.ply").write_bytes(b"nonsense")
    assets = fs.load_assets(box)
    assert len(assets) == 4 and [f.status for f in assets.report.files].count("failed") == 1
    assert "no PLY header" in str(assets.report)
    with pytest.raises(AssetError, match="bad.ply"):
        fs.load_assets(box, strict=True)


REPAIRS = {
    "nan": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv nan 0 0\nf 1 2 3\nf 1 2 4\n", "NaN or infinite"),
    "infinite": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv inf 0 0\nf 1 2 3\nf 1 2 4\n", "NaN or infinite"),
    "twice": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 2 3 1\n", "1 duplicated faces were dropped"),
    "thin": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 2 0 0\nf 1 2 3\nf 1 2 4\n", "1 degenerate faces were dropped"),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_repairs_are_named(tmp_path, name):
    text, says = REPAIRS[name]
    (tmp_path / "t.obj").write_text(text)
    assets = fs.load_assets(tmp_path)
    assert assets.levels[0, 3] == 1
    assert says in str(assets.report)


def test_indices_out_of_range_are_dropped_or_refused(tmp_path):
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "t.ply").write_text(header + "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n3 0 1 7\n")
    try:
        assets = fs.load_assets(tmp_path)
    except AssetError as error:
        assert "t.ply" in str(error)
    else:
        assert assets.levels[0, 3] == 1 and "not there" in str(assets.report)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "http://example.com/a.png", "..\\secret.png"])
def test_references_leave_the_folder_for_nobody(tmp_path, name):
    folder = tmp_path / "asset"
    folder.mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    tree = {"images": [{"uri": name}], "textures": [{"source": 0}]}
    path = gltf(folder, **tree, materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}])
    with pytest.raises(AssetError, match="outside its folder|not a file beside it"):
        fs.load_assets(path)
    (folder / "m.mtl").write_text(f"newmtl a\nmap_Kd {name}\n")
    (folder / "t.obj").write_text("mtllib m.mtl\nusemtl a\n" + TRIANGLE + "f 1/1 2/2 3/3\n")
    try:
        loaded = fs.load_assets(folder / "t.obj")
    except AssetError as error:
        assert "outside its folder" in str(error) or "not a file beside it" in str(error)
    else:
        assert len(loaded.textures) == 0


def test_a_missing_texture_is_named_and_the_rest_drawn(tmp_path):
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd gone.png\n")
    (tmp_path / "t.obj").write_text("mtllib m.mtl\nusemtl a\n" + TRIANGLE + "f 1/1 2/2 3/3\n")
    assets = fs.load_assets(tmp_path / "t.obj")
    assert len(assets.textures) == 0 and "gone.png" in str(assets.report)


def test_a_huge_texture_is_scaled_down(tmp_path):
    Image.new("RGB", (300, 20), (9, 8, 7)).save(tmp_path / "wide.png")
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd wide.png\n")
    (tmp_path / "t.obj").write_text("mtllib m.mtl\nusemtl a\n" + TRIANGLE + "f 1/1 2/2 3/3\n")
    assets = fs.load_assets(tmp_path / "t.obj", max_texture=128)
    assert assets.textures.info[0, :2].tolist() == [128, 9] and "300 x 20 was scaled down" in str(assets.report)


def test_gltf_that_lies_about_its_buffers_or_goes_in_circles(tmp_path):
    accessor = {"bufferView": 0, "componentType": 5126, "count": 10**9, "type": "VEC3"}
    with pytest.raises(AssetError, match="announces 1000000000 elements"):
        fs.load_assets(gltf(tmp_path, accessors=[accessor, accessor]))
    with pytest.raises(AssetError, match="circle|two parents"):
        fs.load_assets(gltf(tmp_path, nodes=[{"children": [1]}, {"children": [0]}]))
    with pytest.raises(AssetError, match="KHR_draco_mesh_compression"):
        fs.load_assets(gltf(tmp_path, extensionsRequired=["KHR_draco_mesh_compression"]))


def test_nothing_to_load(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing matches"):
        fs.load_assets(tmp_path / "*.glb")
    with pytest.raises(ValueError, match="`unit`"):
        fs.load_assets(tmp_path, unit="parsec")


def test_photographs(tmp_path):
    Image.new("L", (6, 4), 200).save(tmp_path / "grey.png")
    Image.new("RGB", (40, 8)).save(tmp_path / "wide.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    photos = fs.load_textures(tmp_path, max_size=20)
    assert photos.info[:, :2].tolist() == [[6, 4], [20, 4]]
    with pytest.raises(AssetError, match="broken.jpg"):
        fs.load_textures(tmp_path, strict=True)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs Debian's assimp-testmodels")
def test_the_corpus_of_good_and_broken_files(tmp_path):
    """Every file is drawn or refused with a reason, in a process that may neither crash nor hang."""
    code = (
        "import fastsynth as fs, sys\n"
        f"a = fs.load_assets({str(CORPUS)!r}, lod=False)\n"
        "assert a.vertex_data.isfinite().all() and a.report is not None\n"
        "print(sum(f.status != 'failed' for f in a.report.files), len(a.report.files))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    used, files = map(int, done.stdout.split()[-2:])
    assert files > 60 and used > 0.55 * files


def test_real_scans(shared_data):
    assets = fs.load_assets(shared_data / "hope" / "meshes")
    assert len(assets) == 13 and all(file.status == "ok" for file in assets.report.files)
    size = (assets.mesh_bounds[:, 3:] - assets.mesh_bounds[:, :3]).amax(1)
    assert size.min() > 0.05 and size.max() < 0.3, "grocery products, in metres"
    assert (assets.meshes[:, 1] >= 4).all(), "levels of detail"
