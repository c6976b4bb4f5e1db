"""Agreement with a renderer that was not written here: Mesa's llvmpipe through OpenGL."""

import sys
from pathlib import Path

import pytest
import torch
from peers import llvmpipe
from peers.scenes import scenes_of, standard_scenes

import fastsynth as fs

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
WHY_NOT = llvmpipe.unavailable()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f"needs llvmpipe: {WHY_NOT}")


def compare(batch, scenes, size):
    """Parts of the pixels whose ids agree, and whose colours do within 4/255 there; relative differences of depth."""
    frames = fs.render(batch, size, ("rgb", "instance_id", "depth"), rgb_dtype=torch.uint8)
    ids, colors, depths = [], [], []
    for i, drawn in enumerate(llvmpipe.pictures(scenes, size, range(batch.images))):
        rgba, number, depth = map(torch.from_numpy, drawn)
        same = number.int() - 1 == frames.instance_id[i]
        ids.append(same.float().mean())
        difference = (rgba[..., :3].int() - frames.rgb[i].movedim(0, -1).int()).abs().amax(-1)
        colors.append((difference <= 4)[same].float().mean())
        seen = same & (frames.instance_id[i] >= 0)
        depths.append(((depth - frames.depth[i]).abs() / depth.clamp(min=1e-3))[seen])
    return torch.stack(ids).mean().item(), torch.stack(colors).mean().item(), torch.cat(depths)


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (512, 512)])
def test_standard_workload(size):
    scenes = standard_scenes()
    if scenes is None:
        pytest.skip("the standard workload is not beside the repository")
    from workloads import batch_of

    batch = batch_of(scenes, lod=False)
    ids, color, depth = compare(batch[:16], scenes, size)
    print(
        f"{size}: ids {ids:.5%}, colour {color:.4%}, "
        f"depth median {depth.median():.1e}, 99.9 % {depth.quantile(0.999):.1e}"
    )
    assert ids >= 0.999
    assert color >= 0.99
    assert depth.median() < 1e-5 and depth.quantile(0.99) < 1e-3


def test_products():
    scene = fs.Scene(
        fs.Objects(
            fs.procedural.products(2),
            count=7,
            position=fs.FrustumPosition(fs.Uniform(0.3, 0.8)),
            rotation=fs.UniformRotation(),
        ),
        light=[fs.DirectionalLight(intensity=0.7, color=(1.0, 1.0, 1.0))],
        background=fs.ColorBackground((0.2, 0.3, 0.4)),
    )
    batch = scene.sample(6, seed=1).replace(tone="linear", filter="bilinear", lod=0.0)
    ids, color, _ = compare(batch, scenes_of(batch), (192, 256))
    print(f"ids {ids:.5%}, colour {color:.4%}")
    assert ids >= 0.999
    assert color >= 0.99
