"""The scenes of a comparison as plain numpy arrays: all that a peer is told, and nothing of this package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: The standard workload, where it lies beside the repository.
STANDARD = Path(__file__).parents[3] / "shared" / "data" / "standard-workload.npz"


@dataclass(frozen=True)
class MeshArrays:
    """One triangle mesh: [V, 3], [V, 3], [V, 2] float32 and [F, 3] int32; uv origin top-left, v down."""

    vertices: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray
    texture: np.ndarray | None  # uint8 [h, w, 3], row 0 on top; None = white
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Scenes:
    """B images of N instances. Camera frame: +x right, +y down, +z forward; intrinsics in image heights."""

    meshes: list[MeshArrays]
    mesh_id: np.ndarray  # int32 [B, N], -1 = empty slot
    camera_from_object: np.ndarray  # float32 [B, N, 4, 4]
    base_color: np.ndarray  # float32 [B, N, 3]
    intrinsics: np.ndarray  # float32 [B, 3, 3]
    to_light: np.ndarray  # float32 [B, 3] unit, camera frame
    diffuse: np.ndarray  # float32 [B]
    ambient: np.ndarray  # float32 [B]
    background: np.ndarray  # float32 [B, 3]
    near: float
    far: float
    srgb: bool = False  # are textures decoded and pixels coded?

    @property
    def images(self) -> int:
        """B, the number of images."""
        return len(self.mesh_id)


# From OpenGL's camera (y up, looking down -z) to ours.
FLIP = np.diag(np.float32([1, -1, -1, 1]))


def standard_scenes(path: Path = STANDARD) -> Scenes | None:
    """The standard workload, 64 images of 8 objects; None where the file is absent."""
    if not path.is_file():
        return None
    data = np.load(path)
    meshes = []
    for k in range(8):
        uvs = data[f"uv{k}"].copy()
        uvs[:, 1] = 1 - uvs[:, 1]
        meshes.append(MeshArrays(data[f"v{k}"], data[f"n{k}"], uvs, data[f"f{k}"], data[f"tex{k}"]))
    mesh_id = data["mesh_id"]
    images, instances = mesh_id.shape
    pose = np.zeros((images, instances, 4, 4), np.float32)
    pose[..., :3, :3] = data["R"] * data["s"][..., None, None]
    pose[..., :3, 3] = data["t"]
    pose[..., 3, 3] = 1
    focal = 0.5 / np.tan(np.deg2rad(float(data["fov"])) / 2)
    return Scenes(
        meshes=meshes,
        mesh_id=mesh_id,
        camera_from_object=FLIP @ pose,
        base_color=np.ones((images, instances, 3), np.float32),
        intrinsics=np.broadcast_to(np.diag(np.float32([focal, focal, 1])), (images, 3, 3)),
        to_light=data["L"] @ FLIP[:3, :3],
        diffuse=np.full(images, data["dif"], np.float32),
        ambient=np.full(images, data["amb"], np.float32),
        background=np.broadcast_to(data["bg"], (images, 3)),
        near=float(data["near"]),
        far=float(data["far"]),
    )


def scenes_of(batch) -> Scenes:
    """What every peer can draw of a `SceneBatch`: one directional light, constant ambient, one material a mesh.

    Raises:
        ValueError: the batch has what a plain peer does not do.
    """
    from fastsynth.types import SH_CONSTANT

    if batch.light_kind.shape[1] != 1 or bool((batch.light_kind != 1).any()):
        raise ValueError("scenes_of(): the batch must have one directional light an image. Replace its lights.")
    if bool((batch.ambient[:, 1:] != 0).any()) or batch.shading != "lambert" or batch.tone == "filmic":
        raise ValueError("scenes_of(): the batch must be Lambertian, with constant ambient light and no filmic curve.")
    color = batch.light_color[:, 0]
    camera = batch.camera_from_world.numpy()
    light = np.einsum("bij,bj->bi", camera[:, :3, :3], -batch.light_direction[:, 0].numpy())
    return Scenes(
        meshes=[_mesh(batch.assets, k) for k in range(len(batch.assets.meshes))],
        mesh_id=batch.mesh_id.numpy(),
        camera_from_object=camera[:, None] @ batch.world_from_object.numpy(),
        base_color=batch.base_color[..., :3].numpy(),
        intrinsics=batch.intrinsics.numpy(),
        to_light=light,
        diffuse=color[:, 0].numpy(),
        ambient=batch.ambient[:, 0, 0].numpy() * SH_CONSTANT,
        background=batch.background_color[:, 0].numpy(),
        near=batch.near,
        far=1e3 * batch.near,
        srgb=batch.tone == "srgb",
    )


def _mesh(assets, k: int) -> MeshArrays:
    """Level 0 of mesh `k`, unpacked from the assets' records."""
    level = assets.levels[assets.meshes[k, 0]].tolist()
    faces = assets.faces[level[2] : level[2] + level[3]].numpy()
    used, corner = np.unique(faces[:, :3], return_inverse=True)
    data = assets.vertex_data[used].numpy()
    materials = np.unique(faces[:, 3])
    if len(materials) != 1:
        raise ValueError(f"scenes_of(): mesh {k} has {len(materials)} materials, but a plain peer draws one.")
    row = int(assets.material_textures[materials[0], 0])
    texture = None
    if row >= 0:
        width, height = assets.textures.info[row, :2].tolist()
        first = int(assets.textures.offsets[row, 0])
        texture = assets.textures.texels[first : first + width * height, :3].numpy().reshape(height, width, 3)
    color = tuple(assets.materials[materials[0], :3].tolist())
    return MeshArrays(data[:, :3], data[:, 3:6], data[:, 6:8], corner.reshape(-1, 3).astype(np.int32), texture, color)
