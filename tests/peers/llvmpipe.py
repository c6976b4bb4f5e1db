"""Mesa's llvmpipe through moderngl: the OpenGL that a machine without a GPU has.

One framebuffer with three targets (colour, id, linear depth), bilinear textures, back-face culling, one directional
light. Images are drawn upside down, so that the row that OpenGL stores first is our top row and nothing is flipped.

Mesa brings an LLVM of its own, and a process that has loaded it crashes when triton's is loaded too. So whoever has
torch in the process asks by `unavailable` and `pictures`, which work in a child.
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from peers.scenes import MeshArrays, Scenes

_VERTEX = """
#version 330
uniform mat4 clip;
uniform mat4 object;
uniform mat3 turn;
in vec3 position;
in vec3 normal;
in vec2 uv;
out vec3 v_normal;
out vec2 v_uv;
out float v_depth;
void main() {
    vec4 p = object * vec4(position, 1.0);
    gl_Position = clip * p;
    v_normal = turn * normal;
    v_uv = uv;
    v_depth = p.z;
}
"""

_FRAGMENT = """
#version 330
uniform sampler2D image;
uniform vec3 to_light;
uniform vec2 light;
uniform vec3 base;
uniform float id;
in vec3 v_normal;
in vec2 v_uv;
in float v_depth;
layout(location = 0) out vec4 color;
layout(location = 1) out float drawn;
layout(location = 2) out float depth;
vec3 coded(vec3 x) { return mix(12.92 * x, 1.055 * pow(x, vec3(1.0 / 2.4)) - 0.055, greaterThan(x, vec3(0.0031308))); }
void main() {
    float received = light.y + light.x * max(dot(normalize(v_normal), to_light), 0.0);
    vec3 linear = clamp(base * texture(image, v_uv).rgb * received, 0.0, 1.0);
    color = vec4(OUTPUT, 1.0);
    drawn = id / 255.0;
    depth = v_depth;
}
"""

_COLOR_ONLY = ((True,) * 4, (False,) * 4, (False,) * 4)
_LABELS_ONLY = ((False,) * 4, (True,) * 4, (True,) * 4)
_ALL = ((True,) * 4,) * 3


def _in_child(function: Callable[..., Any], *args: Any) -> Any:
    with ProcessPoolExecutor(1, mp.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def unavailable() -> str | None:
    """Why llvmpipe cannot be used here; None where it can."""
    try:
        return _in_child(_unavailable)
    except BrokenProcessPool as error:
        return f"EGL ended the process: {error}"


def pictures(
    scenes: Scenes, size: tuple[int, int], rows: Iterable[int]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """These images as `Llvmpipe.draw` returns them."""
    return _in_child(_pictures, scenes, size, list(rows))


def _pictures(scenes: Scenes, size: tuple[int, int], rows: list[int]):
    peer = Llvmpipe(scenes, size)
    return [tuple(part.copy() for part in peer.draw(row)) for row in rows]


def _unavailable() -> str | None:
    try:
        import moderngl
    except ImportError:
        return "moderngl is not installed"
    _environment(None)
    try:
        context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[call-arg]
    except Exception as error:  # noqa: BLE001 (whatever EGL says is the reason)
        return f"no EGL context: {error}"
    name = context.info["GL_RENDERER"]
    return None if "llvmpipe" in name else f"OpenGL is drawn by {name}, not by llvmpipe"


def _environment(threads: int | None) -> None:
    """Choose Mesa's software driver; read by it when a context is made."""
    os.environ["EGL_PLATFORM"] = "surfaceless"
    os.environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
    if threads is not None:
        os.environ["LP_NUM_THREADS"] = str(threads)


class Llvmpipe:
    """Draws `Scenes` one image at a time into arrays of its own, which the next image overwrites.

    Args:
        scenes: What to draw.
        size: Height and width [pixels].
        threads: Rasterizer threads besides the caller's; 0 draws in the calling thread.
    """

    def __init__(self, scenes: Scenes, size: tuple[int, int], threads: int = 0):
        import moderngl

        _environment(threads)
        self.scenes, self.size = scenes, size
        height, width = size
        self.context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[call-arg]
        fragment = _FRAGMENT.replace("OUTPUT", "coded(linear)" if scenes.srgb else "linear")
        self.program = self.context.program(vertex_shader=_VERTEX, fragment_shader=fragment)
        self.frame = self.context.framebuffer(
            [
                self.context.renderbuffer((width, height), 4),
                self.context.renderbuffer((width, height), 1),
                self.context.renderbuffer((width, height), 1, dtype="f4"),
            ],
            self.context.depth_renderbuffer((width, height)),
        )
        self.frame.use()
        self.context.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self.context.front_face = "cw"  # the image is drawn upside down
        self.meshes = [self._upload(mesh) for mesh in scenes.meshes]
        self.rgba = np.empty((height, width, 4), np.uint8)
        self.id = np.empty((height, width), np.uint8)
        self.depth = np.empty((height, width), np.float32)
        self._uniforms = [self._describe(image) for image in range(scenes.images)]

    def draw(self, image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image `image`: uint8 [H, W, 4], slot + 1 uint8 [H, W], depth [m] float32 [H, W]; 0 = background."""
        clip, to_light, light, background, objects = self._uniforms[image]
        program = self.program
        self.frame.color_mask = _COLOR_ONLY
        self.frame.clear(*background)
        self.frame.color_mask = _LABELS_ONLY
        self.frame.clear()
        self.frame.color_mask = _ALL
        program["clip"].write(clip)
        program["to_light"].write(to_light)
        program["light"].write(light)
        for mesh, slot, pose, turn, base in objects:
            array, texture = self.meshes[mesh]
            program["object"].write(pose)
            program["turn"].write(turn)
            program["base"].write(base)
            program["id"].value = slot + 1
            texture.use()
            array.render()
        self.frame.read_into(self.rgba, components=4)
        self.frame.read_into(self.id, components=1, attachment=1)
        self.frame.read_into(self.depth, components=1, attachment=2, dtype="f4")
        return self.rgba, self.id, self.depth

    def release(self) -> None:
        """Give the context back."""
        self.context.release()

    def _upload(self, mesh: MeshArrays):
        texels = mesh.texture if mesh.texture is not None else np.full((1, 1, 3), 255, np.uint8)
        internal = 0x8C41 if self.scenes.srgb else None  # GL_SRGB8
        texture = self.context.texture(texels.shape[1::-1], 3, texels.tobytes(), alignment=1, internal_format=internal)
        data = np.concatenate([mesh.vertices, mesh.normals, mesh.uvs], 1).astype(np.float32)
        array = self.context.vertex_array(
            self.program,
            [(self.context.buffer(data.tobytes()), "3f 3f 2f", "position", "normal", "uv")],
            self.context.buffer(mesh.faces.astype(np.int32).tobytes()),
        )
        return array, texture

    def _describe(self, image: int):
        """Everything that is told about an image, as the bytes that OpenGL takes."""
        scenes, (height, width) = self.scenes, self.size
        k, near, far = scenes.intrinsics[image].astype(np.float64), scenes.near, scenes.far
        clip = np.zeros((4, 4))
        clip[0, :3] = 2 * height / width * k[0]
        clip[1, :3] = 2 * k[1]
        clip[2, 2:] = (far + near) / (far - near), -2 * far * near / (far - near)
        clip[3, 2] = 1
        objects = []
        for slot, mesh in enumerate(scenes.mesh_id[image].tolist()):
            if mesh < 0:
                continue
            pose = scenes.camera_from_object[image, slot]
            turn = np.linalg.inv(pose[:3, :3].astype(np.float64))  # inverse, and by columns below: transposed
            turn /= np.abs(np.linalg.det(turn)) ** (1 / 3)
            base = scenes.base_color[image, slot] * np.float32(scenes.meshes[mesh].color)
            objects.append((mesh, slot, _columns(pose), turn.astype(np.float32).tobytes(), base.tobytes()))
        background = np.clip(scenes.background[image], 0, 1)
        if scenes.srgb:
            background = np.where(background > 0.0031308, 1.055 * background ** (1 / 2.4) - 0.055, 12.92 * background)
        light = np.float32([scenes.diffuse[image], scenes.ambient[image]])
        to_light = scenes.to_light[image].astype(np.float32)
        return _columns(clip), to_light.tobytes(), light.tobytes(), (*background.tolist(), 1.0), objects


def _columns(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, dtype=np.float32).tobytes()
