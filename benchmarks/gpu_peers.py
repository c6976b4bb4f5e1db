"""Other renderers on the GPU, told to draw the same scenes: one function each, imported only where installed.

A peer takes the scenes, which of them to draw, the size and whether labels are wanted, and returns a function that
draws: uint8 colour [B, H, W, 3] and, with labels, slots int32 [B, H, W] (-1 = background) and depth float32
[B, H, W] [m]. Vertices and poses lie on the device beforehand, and are brought together within the time that is taken,
as ours are. Written from the peers' documentation; the tests play the interfaces of nvdiffrast and PyTorch3D. None has
run on a GPU yet, and ids are compared with ours before any is timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from peers.scenes import FLIP, Scenes  # noqa: E402  # pyright: ignore[reportMissingImports]

Draw = Callable[[], tuple[Tensor, ...]]
IMAGES = 256  # drawn in one call: a peer's triangle numbers of more pass what float32 or its bins hold


class Corners:
    """Meshes of some images as one list of vertices and one of triangles, image after image."""

    def __init__(self, scenes: Scenes, rows: list[int], device: torch.device):
        put = lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(device)  # noqa: E731
        self.meshes = [tuple(put(x) for x in (m.vertices, m.normals)) for m in scenes.meshes]
        shapes = {m.texture.shape for m in scenes.meshes if m.texture is not None} or {(1, 1, 3)}
        if len(shapes) != 1:
            raise ValueError(f"Corners: all textures must have one size, but they have {sorted(shapes)}.")
        white = np.full(shapes.pop(), 255, np.uint8)
        textures = [white if m.texture is None else m.texture for m in scenes.meshes]
        self.atlas = put(np.concatenate(textures))[None].float() / 255  # [1, M h, w, 3], one above the other
        pose = scenes.camera_from_object[rows]
        self.pose = put(pose.reshape(-1, 4, 4))  # [B N, 4, 4]
        ids = scenes.mesh_id[rows].reshape(-1)
        self.drawn = [put(np.flatnonzero(ids == k)) for k in range(len(scenes.meshes))]  # rows of `pose`, by mesh
        self.focal = put(scenes.intrinsics[rows[0], [0, 1], [0, 1]])
        self.near, self.far = scenes.near, scenes.far
        self.to_light = put(scenes.to_light[rows])[:, None, None]
        self.light = put(np.stack([scenes.diffuse[rows], scenes.ambient[rows]]))[..., None, None, None]
        self.background = put(scenes.background[rows])[:, None, None]
        # `posed` makes vertices mesh by mesh; `order` brings them into the order of the images.
        first, start = np.zeros(len(ids), np.int64), 0
        for k, mesh in enumerate(scenes.meshes):
            uses = np.flatnonzero(ids == k)
            first[uses] = start + len(mesh.vertices) * np.arange(len(uses))
            start += len(mesh.vertices) * len(uses)
        order, faces, slots, uvs, vertices = [], [], [], [], 0
        slot_count = scenes.mesh_id.shape[1]
        self.counts = np.zeros((len(rows), 2), np.int64)  # vertices and triangles of each image
        for use, k in enumerate(ids):
            if k < 0:
                continue
            mesh, (image, slot) = scenes.meshes[k], divmod(use, slot_count)
            order.append(first[use] + np.arange(len(mesh.vertices)))
            faces.append(mesh.faces + vertices)
            slots.append(np.full(len(mesh.faces), slot, np.int32))
            uvs.append((mesh.uvs + np.array([0, k])) / np.array([1, len(scenes.meshes)]))
            self.counts[image] += len(mesh.vertices), len(mesh.faces)
            vertices += len(mesh.vertices)
        self.order, self.faces = put(np.concatenate(order)), put(np.concatenate(faces).astype(np.int32))
        self.slots, self.uvs = put(np.concatenate(slots)), put(np.concatenate(uvs).astype(np.float32))

    def posed(self) -> tuple[Tensor, Tensor]:
        """Positions [m] and normals in the camera's frame, float32 [V, 3]; the normals are not of unit length."""
        positions, normals = [], []
        for (vertices, directions), uses in zip(self.meshes, self.drawn, strict=True):
            pose = self.pose[uses]
            positions.append((vertices @ pose[:, :3, :3].mT + pose[:, None, :3, 3]).flatten(0, 1))
            normals.append((directions @ pose[:, :3, :3].mT).flatten(0, 1))  # scales are uniform
        return torch.cat(positions)[self.order], torch.cat(normals)[self.order]

    def shaded(self, normal: Tensor, texel: Tensor, hit: Tensor) -> Tensor:
        """Lambert of one light and constant ambient, uint8 [B, H, W, 3]."""
        cosine = (torch.nn.functional.normalize(normal, dim=-1) * self.to_light).sum(-1, keepdim=True).clamp(min=0)
        lit = texel * (self.light[0] * cosine + self.light[1])
        return (torch.where(hit, lit, self.background).clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _in_parts(make: Callable[[list[int]], Draw], rows: list[int]) -> Draw:
    """A drawing of many images as several of a few, put together."""
    draws = [make(rows[first : first + IMAGES]) for first in range(0, len(rows), IMAGES)]
    return lambda: tuple(torch.cat(part) for part in zip(*(draw() for draw in draws), strict=True))


def nvdiffrast(scenes: Scenes, rows: list[int], size: int, labels: bool, device: torch.device) -> Draw:
    """The CUDA rasterizer of nvdiffrast in range mode, bilinear texture. Untested with the library itself."""
    import nvdiffrast.torch as dr  # pyright: ignore[reportMissingImports]

    context = dr.RasterizeCudaContext(device=device)

    def make(part: list[int]) -> Draw:
        c = Corners(scenes, part, device)
        triangles = torch.from_numpy(c.counts[:, 1])
        ranges = torch.stack([triangles.cumsum(0) - triangles, triangles], 1).int()  # on the CPU, as it wants them
        z, w = (c.far + c.near) / (c.far - c.near), -2 * c.far * c.near / (c.far - c.near)
        # Its row 0 is clip y = -1, so with y down, row 0 is the top.
        scale = torch.stack([2 * c.focal[0], 2 * c.focal[1], torch.tensor(z, device=device)])
        shift = torch.tensor([0, 0, w], device=device)

        def draw() -> tuple[Tensor, ...]:
            position, normal = c.posed()
            clip = torch.cat([position * scale + shift, position[:, 2:]], 1)
            rast, _ = dr.rasterize(context, clip, c.faces, (size, size), ranges=ranges, grad_db=False)
            at = torch.cat([normal, c.uvs, position[:, 2:]], 1)
            pixel, _ = dr.interpolate(at, rast, c.faces)
            texel = dr.texture(c.atlas, pixel[..., 3:5].contiguous(), filter_mode="linear", boundary_mode="clamp")
            hit = rast[..., 3:] > 0
            rgb = c.shaded(pixel[..., :3], texel, hit)
            if not labels:
                return (rgb,)
            triangle = rast[..., 3].long() - 1
            return rgb, torch.where(triangle >= 0, c.slots[triangle], -1), pixel[..., 5]

        return draw

    return _in_parts(make, rows)


def pytorch3d(scenes: Scenes, rows: list[int], size: int, labels: bool, device: torch.device) -> Draw:
    """PyTorch3D's rasterizer, one face a pixel, bilinear texture. Untested with the library itself."""
    from pytorch3d.ops import interpolate_face_attributes  # pyright: ignore[reportMissingImports]
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes  # pyright: ignore[reportMissingImports]
    from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]

    def make(part: list[int]) -> Draw:
        c = Corners(scenes, part, device)
        vertices, triangles = c.counts.T.tolist()
        before = torch.from_numpy(c.counts[:, 0].cumsum() - c.counts[:, 0])
        faces = [f - int(less) for f, less in zip(c.faces.long().split(triangles), before, strict=True)]

        def draw() -> tuple[Tensor, ...]:
            position, normal = c.posed()
            depth = position[:, 2:]
            screen = torch.cat([-2 * c.focal * position[:, :2] / depth, depth], 1)  # its x points left and its y up
            meshes = Meshes(list(screen.split(vertices)), faces)
            face, z, weight, _ = rasterize_meshes(
                meshes,
                image_size=size,
                blur_radius=0.0,
                faces_per_pixel=1,
                perspective_correct=True,
                cull_backfaces=True,
                z_clip_value=c.near,
            )
            at = torch.cat([normal, c.uvs], 1)[c.faces.long()]  # [F, 3, 5]
            pixel = interpolate_face_attributes(face, weight, at)[..., 0, :]
            grid = (2 * pixel[..., 3:] - 1).flatten(0, 1)[None]
            image = c.atlas.movedim(-1, 1)
            texel = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
            texel = texel[0].movedim(0, -1).unflatten(0, (len(part), size))
            rgb = c.shaded(pixel[..., :3], texel, face >= 0)
            if not labels:
                return (rgb,)
            return rgb, torch.where(face >= 0, c.slots[face], -1)[..., 0], z[..., 0].clamp(min=0)

        return draw

    return _in_parts(make, rows)


def mujoco_warp(scenes: Scenes, rows: list[int], size: int, labels: bool, device: torch.device) -> Draw:
    """MuJoCo Warp's ray caster, a world an image. Tested on the CPU alone.

    A mesh has one scale in all worlds, so each instance of the scenes becomes a mesh. Labels lie in arrays of its own.
    """
    import mujoco  # pyright: ignore[reportMissingImports]
    import mujoco_warp as mjw  # pyright: ignore[reportMissingImports]
    import warp as wp  # pyright: ignore[reportMissingImports]

    used, inverse = np.unique(rows, return_inverse=True)
    model, slots = _mujoco_model(scenes, used), scenes.mesh_id.shape[1]
    state = mujoco.MjData(model)
    mujoco.mj_forward(model, state)
    pose = FLIP @ scenes.camera_from_object[used]
    turn = pose[..., :3, :3] / np.cbrt(np.linalg.det(pose[..., :3, :3]))[..., None, None]
    # MuJoCo moves a mesh to its centre of mass and turns it to its axes; that is put back here.
    own = np.zeros((model.nmesh, 9))
    for k in range(model.nmesh):
        mujoco.mju_quat2Mat(own[k], model.mesh_quat[k])
    shape = (len(used), slots, 3)
    position = np.einsum("bnij,bnj->bni", turn, model.mesh_pos.reshape(shape)) + pose[..., :3, 3]
    turn = turn @ own.reshape(*shape, 3)

    with wp.ScopedDevice(str(device)):
        m, d = mjw.put_model(model), mjw.put_data(model, state, nworld=len(rows))
        m.geom_dataid = wp.array(np.arange(model.nmesh, dtype=np.int32).reshape(-1, slots)[inverse], dtype=int)
        m.geom_matid = wp.array(scenes.mesh_id[used].astype(np.int32)[inverse], dtype=int)
        d.geom_xpos = wp.array(position[inverse].astype(np.float32), dtype=wp.vec3)
        d.geom_xmat = wp.array(turn[inverse].astype(np.float32), dtype=wp.mat33)
        d.light_xdir = wp.array((-scenes.to_light[rows] @ FLIP[:3, :3])[:, None].astype(np.float32), dtype=wp.vec3)
        context = mjw.create_render_context(
            model,
            nworld=len(rows),
            cam_res=(size, size),
            render_rgb=True,
            render_depth=labels,
            render_seg=labels,
            background_color=(*scenes.background[0].tolist(), 1.0),
            enable_specular=False,
            enable_emission=False,
        )
        # Torch's views of its arrays, which every drawing fills anew.
        pixels = len(rows), size, size
        bgra = wp.to_torch(context.rgb_data).view(torch.uint8).view(*pixels, 4)
        seen = ()
        if labels:
            seen = wp.to_torch(context.seg_data).view(*pixels, 2)[..., 0], wp.to_torch(context.depth_data).view(pixels)

    def draw() -> tuple[Tensor, ...]:
        mjw.refit_bvh(m, d, context)
        mjw.render(m, d, context)
        return bgra[..., :3].flip(-1), *seen

    def draw_on_stream() -> tuple[Tensor, ...]:
        # On torch's stream, whose events take the time.
        with wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device))):
            return draw()

    return draw_on_stream if device.type == "cuda" else draw


def _mujoco_model(scenes: Scenes, rows: np.ndarray):
    """A model of one world's slots, whose meshes are those of all images, scaled."""
    import mujoco  # pyright: ignore[reportMissingImports]

    spec = mujoco.MjSpec()
    spec.visual.map.znear, spec.visual.headlight.active = scenes.near, 0
    spec.stat.extent = 1.0  # the near plane is given in units of it
    for k, mesh in enumerate(scenes.meshes):
        texture = spec.add_texture(name=f"t{k}", type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3)
        texture.height, texture.width = mesh.texture.shape[:2]
        texture.data = mesh.texture.tobytes()
        names = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
        names[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = f"t{k}"
        spec.add_material(name=f"m{k}", textures=names)
    for row in rows:
        for slot, k in enumerate(scenes.mesh_id[row]):
            mesh = scenes.meshes[k]
            scale = np.cbrt(np.linalg.det(scenes.camera_from_object[row, slot, :3, :3]))
            spec.add_mesh(
                name=f"{row} {slot}",
                uservert=(mesh.vertices * scale).ravel(),
                usernormal=mesh.normals.ravel(),
                usertexcoord=mesh.uvs.ravel(),
                userface=mesh.faces.ravel(),
                inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
            )
            if row == rows[0]:
                body = spec.worldbody.add_body(mocap=True)
                kind = mujoco.mjtGeom.mjGEOM_MESH
                body.add_geom(type=kind, meshname=f"{row} {slot}", material=f"m{k}", contype=0, conaffinity=0)
    fov = np.rad2deg(2 * np.arctan(0.5 / scenes.intrinsics[0, 1, 1]))
    spec.worldbody.add_camera(name="camera", fovy=float(fov))
    diffuse, ambient = [float(scenes.diffuse[0])] * 3, [float(scenes.ambient[0])] * 3
    kind = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    spec.worldbody.add_light(type=kind, diffuse=diffuse, ambient=ambient, specular=[0.0] * 3, castshadow=False)
    return spec.compile()


PEERS = {peer.__name__: peer for peer in (nvdiffrast, pytorch3d, mujoco_warp)}


def installed() -> dict[str, Callable[..., Draw] | None]:
    """Each peer by name; None where it is not installed."""
    return {name: peer if find_spec(name) else None for name, peer in PEERS.items()}
