"""The G-buffer: each of its channels against a picture that shows it, and against the composition of torch."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from test_render import CASES, scene_of

import fastsynth as fs
from fastsynth.compose import OUTPUTS as COMPOSED
from fastsynth.types import GBUFFER, OUTPUTS, SH_CONSTANT

SIZE = (48, 64)
SURFACES = ("base_color", "metallic_roughness", "irradiance", "specular", "material_id")


def glossy_products():
    """Products, with metallic-roughness textures and colours of their vertices."""
    generator = torch.Generator().manual_seed(5)
    meshes = []
    for mesh in fs.procedural.product_meshes(1, texture_size=64):
        picture = torch.randint(0, 256, (16, 16, 3), generator=generator, dtype=torch.uint8).numpy()
        colors = torch.randint(60, 256, (len(mesh.vertices), 4), generator=generator, dtype=torch.uint8).numpy()
        materials = tuple(dataclasses.replace(it, gloss_texture=picture) for it in mesh.materials)
        meshes.append(dataclasses.replace(mesh, materials=materials, colors=colors))
    return fs.pack(meshes)


@pytest.fixture(scope="module")
def parts():
    return glossy_products()


def batch_of(parts, **options):
    options.setdefault("shading", "ggx")
    batch = scene_of(parts, **options).sample(3, seed=1, aspect=SIZE[1] / SIZE[0])
    generator = torch.Generator().manual_seed(2)
    tint = 0.5 + 0.5 * torch.rand(batch.base_color.shape, generator=generator)
    own = torch.rand(batch.metallic.shape, generator=generator)
    return batch.replace(
        base_color=tint, metallic=torch.where(own < 0.3, own, -1.0), roughness=torch.where(own > 0.8, own, -1.0)
    )


def shapes(shading="ggx"):
    """Shapes without textures, small enough to leave something of the background."""
    batch = batch_of(fs.procedural.primitives(), shading=shading)
    return batch.replace(world_from_object=batch.world_from_object * torch.tensor([0.3, 0.3, 0.3, 1.0]))


def linear(batch, **changes):
    """The batch as its linear radiance, on black, as far as that is not above 1."""
    plain = {"exposure": torch.zeros_like(batch.exposure), "white_balance": torch.ones_like(batch.white_balance)}
    dark = torch.zeros_like(batch.background_color)
    return batch.replace(background_color=dark, photo_id=torch.full_like(batch.photo_id, -1), **plain, **changes)


def radiance(batch):
    """Linear radiance of surfaces: developed so darkly that nothing is cut off, and brought back."""
    dim = linear(batch).replace(exposure=torch.full_like(batch.exposure, -4.0), tone="linear")
    return fs.render(dim, SIZE, ("rgb",)).rgb * 16


def unlit(batch):
    """Only ambient light, of which a white surface reflects 1, and diffuse surfaces."""
    ambient = torch.zeros_like(batch.ambient)
    ambient[:, 0] = 1 / SH_CONSTANT
    return batch.replace(ambient=ambient, light_kind=torch.zeros_like(batch.light_kind), shading="lambert")


def linear_texels(batch):
    """With tone "linear" textures are not decoded, so they are given decoded already: white ones."""
    return batch.replace(texture_id=torch.full_like(batch.texture_id, -2))


@pytest.mark.parametrize("tone", ["srgb", "filmic", "linear"])
def test_base_color_is_an_unlit_picture(tone, parts, device):
    batch = batch_of(parts, tone=tone).to(device)
    base = fs.render(batch, SIZE, ("base_color",)).base_color
    shown = fs.render(linear(unlit(batch)), SIZE, ("rgb",)).rgb
    coded = fs.ops.develop(base, torch.zeros(3).to(base), torch.ones(3, 3).to(base), None, None, tone, torch.float32)
    assert (coded - shown).abs().max() < 2e-6 and shown.std() > 0.1


@pytest.mark.parametrize("shading", ["lambert", "blinn_phong", "ggx"])
def test_irradiance_is_the_picture_of_white_diffuse_surfaces(shading, parts, device):
    batch = linear_texels(shapes(shading)).to(device)
    base = batch.assets.materials.clone()
    base[:, :3] = 1.0
    white = batch.replace(
        assets=dataclasses.replace(batch.assets, materials=base),
        base_color=torch.ones_like(batch.base_color),
        shading="lambert",
    )
    irradiance = fs.render(batch, SIZE, ("irradiance",)).irradiance
    assert torch.allclose(irradiance, radiance(white), rtol=1e-6, atol=1e-6)
    assert irradiance.max() > 0.5


def test_radiance_of_lambert_is_irradiance_times_base_color(device):
    batch = linear_texels(shapes("lambert")).to(device)
    frames = fs.render(batch, SIZE, ("irradiance", "base_color", "specular"))
    assert torch.equal(frames.irradiance * frames.base_color, radiance(batch)) and not frames.specular.any()


@pytest.mark.parametrize("shading", ["blinn_phong", "ggx"])
def test_radiance_of_glossy_surfaces_has_a_diffuse_and_a_specular_part(shading, device):
    batch = linear_texels(shapes(shading)).to(device)
    frames = fs.render(batch, SIZE, ("irradiance", "base_color", "specular", "metallic_roughness"))
    diffuse = frames.irradiance * frames.base_color * (1 - frames.metallic_roughness[:, :1])
    whole = radiance(batch)
    assert torch.allclose(diffuse + frames.specular, whole, rtol=1e-5, atol=1e-6)
    assert frames.specular.max() > 0.05 and frames.specular.min() >= 0
    # The specular part is the picture of surfaces that have no diffuse one: black, but for their 4 %.
    black = fs.render(batch.replace(base_color=0 * batch.base_color, metallic=0 * batch.metallic), SIZE, SURFACES)
    assert torch.equal(black.specular, radiance(black.batch))


def test_metallic_and_roughness_are_those_of_material_texture_and_instance(device):
    """A quarter of each is the texture's, unless the instance has its own."""
    picture = torch.tensor([0, 128, 64], dtype=torch.uint8).expand(4, 4, 3).numpy()
    material = fs.Material((0.5, 0.5, 0.5, 1.0), 0.8, 0.6, gloss_texture=picture)
    box = dataclasses.replace(fs.procedural.box(), materials=(material,))
    batch = fs.Scene(fs.Objects(fs.pack([box]), 2), fs.Camera(distance=3.0)).sample(1, seed=2).to(device)
    pose = torch.eye(4).repeat(1, 2, 1, 1).to(device)
    pose[0, :, 0, 3] = torch.tensor([-0.8, 0.8])
    own = torch.tensor([[-1.0, 0.25]]).to(device)
    frames = fs.render(
        batch.replace(world_from_object=pose, metallic=own, roughness=own), SIZE, ("metallic_roughness", "instance_id")
    )
    for slot, metallic, roughness in ((0, 0.8 * 64 / 255, 0.6 * 128 / 255), (1, 0.25, 0.25)):
        seen = frames.metallic_roughness[0, :, frames.instance_id[0] == slot]
        assert seen.shape[1] > 20
        assert torch.allclose(seen, torch.tensor([[metallic], [roughness]]).to(seen), atol=1e-6)


def test_material_is_that_of_the_face(parts, device):
    frames = fs.render(batch_of(parts).to(device), SIZE, ("material_id", "triangle_id"))
    of_face = frames.batch.assets.faces[frames.triangle_id.clamp(min=0).long()][..., 3]
    assert torch.equal(frames.material_id, torch.where(frames.triangle_id >= 0, of_face, -1).int())
    assert len(frames.material_id.unique()) > 3


VARIANTS = {name: options for name, options in CASES.items() if name not in ("photo", "noise", "blur")}


@pytest.mark.parametrize("case", VARIANTS)
def test_the_composition_agrees(case, parts, device):
    batch = batch_of(parts, **{"shading": "lambert", **VARIANTS[case]}).to(device).replace(lod=0.0)
    frames = fs.render(batch, SIZE, (*SURFACES, "triangle_id", "instance_id"))
    composed = fs.compose(batch, SIZE, frames.triangle_id, frames.instance_id, SURFACES)
    assert set(SURFACES) < set(COMPOSED)
    for name in SURFACES:
        mine, theirs = frames.outputs[name], composed[name]
        assert mine.shape == theirs.shape and mine.dtype == theirs.dtype, name
        if name == "material_id":
            assert torch.equal(mine, theirs)
        else:
            assert (mine - theirs).abs().max() < 1 / 255 and (mine - theirs).abs().mean() < 1e-4, name


def test_the_background_is_nothing(device):
    batch = shapes().to(device)
    frames = fs.render(batch, SIZE, (*SURFACES, "instance_id"))
    bare = frames.instance_id < 0
    assert bare.any() and (frames.material_id[bare] == -1).all()
    for name in SURFACES[:-1]:
        assert not frames.outputs[name].movedim(1, -1)[bare].any(), name
    nothing = fs.render(batch.replace(mesh_id=torch.full_like(batch.mesh_id, -1)), (9, 7), GBUFFER)
    assert not nothing.irradiance.any() and (nothing.material_id == -1).all()
    assert fs.render(batch[:0], (9, 7), GBUFFER).base_color.shape == (0, 3, 9, 7)


def test_what_is_asked_for_changes_nothing_else(device):
    batch = shapes().to(device)
    before = [name for name in OUTPUTS if name not in SURFACES]
    plain, every = fs.render(batch, (37, 29), before), fs.render(batch, (37, 29), OUTPUTS)
    assert set(plain.outputs) == set(before)
    assert all(torch.equal(plain.outputs[name], every.outputs[name]) for name in before)
    for name in SURFACES:
        alone = fs.render(batch, (37, 29), (name,))
        assert set(alone.outputs) == {name} and torch.equal(alone.outputs[name], every.outputs[name])
    few = fs.render(batch, (37, 29), SURFACES, samples=4)
    assert all(torch.equal(few.outputs[name], every.outputs[name]) for name in SURFACES)


def test_labels_have_no_gradient():
    batch = shapes()
    batch = batch.replace(base_color=batch.base_color.clone().requires_grad_())
    frames = fs.render(batch, SIZE, ("rgb", *SURFACES))
    assert frames.rgb.requires_grad and not any(frames.outputs[name].requires_grad for name in SURFACES)


@pytest.mark.parametrize("ids", [(50_000_000, 0), (0, 50_000_000), (0, -1)], ids=["slot", "face", "no face"])
def test_ids_of_nothing_are_nothing(ids):
    from test_ops import CASES

    assets, scene, lighting, slot, face, *options = CASES["gbuffer"]
    given = torch.full_like(slot, ids[0]), torch.full_like(face, ids[1])
    drawn = torch.ops.fastsynth.gbuffer(assets, scene, lighting, *given, *options)
    assert (drawn[-1] == -1).all() and not any(each.any() for each in drawn[:-1])


def test_layers_decide_what_is_seen(device):
    batch = shapes().to(device)
    layer = (torch.arange(batch.instances, dtype=torch.int32) % 3).expand(3, -1).to(device)
    frames = fs.render(batch.replace(layer=layer), SIZE, ("material_id", "triangle_id"))
    of_face = frames.batch.assets.faces[frames.triangle_id.clamp(min=0).long()][..., 3]
    assert torch.equal(frames.material_id, torch.where(frames.triangle_id >= 0, of_face, -1).int())


def test_stacked_channels_have_names(parts):
    batch = batch_of(parts)
    frames = fs.render(batch, SIZE, ("rgb", *GBUFFER), rgb_dtype=torch.uint8)
    channels, names = fs.stack_gbuffer(frames, ("rgb", *GBUFFER))
    place = dict(zip(names, channels.unbind(1), strict=True))
    assert channels.dtype == torch.float32 and channels.shape == (3, len(names), *SIZE)
    assert len(set(names)) == len(names) == 3 + 23 + len(batch.assets.class_names)
    assert torch.equal(place["normals.y"], frames.normals[:, 1]) and torch.equal(place["depth"], frames.depth)
    assert torch.equal(place["metallic_roughness.roughness"], frames.metallic_roughness[:, 1])
    assert torch.equal(place["rgb.b"], frames.rgb[:, 2].float() / 255)
    for row, title in enumerate(batch.assets.class_names):
        assert torch.equal(place[f"semantic_id.{title}"], (frames.semantic_id == row).float())
    assert torch.equal(place["instance_id"], (frames.instance_id + 1) / batch.instances)
    assert place["material_id"].min() == 0 and place["material_id"].max() <= 1
    assert not channels[:, 3:].movedim(1, -1)[frames.instance_id < 0].any()
    with pytest.raises(ValueError, match="'boxes_2d_tight' is no map of the picture"):
        fs.stack_gbuffer(frames, ("boxes_2d_tight",))
    with pytest.raises(AttributeError, match="`uv` was not drawn"):
        fs.stack_gbuffer(fs.render(batch, SIZE, ("depth",)), ("depth", "uv"))


def shadowed(shading):
    """Products that shade each other under a sky."""
    scene = fs.Scene(
        fs.Objects(glossy_products(), count=8, position=fs.Uniform((-0.1, -0.1, -0.1), (0.1, 0.1, 0.1))),
        fs.Camera(distance=0.6, azimuth=0.0),
        [
            fs.DirectionalLight(direction=(-0.6, 0.7, -0.4), shadow=0.02),
            fs.EnvironmentLight(fs.procedural.environments(2, seed=1), exposure=-2.0, background=False),
        ],
        shading=shading,
        tone="linear",
        shadow_size=128,
    )
    return scene.sample(3, seed=4)


@pytest.mark.parametrize("shading", ["lambert", "blinn_phong", "ggx"])
def test_light_is_kept_off_and_mirrored_as_in_the_picture(shading):
    batch = shadowed(shading)
    dim = linear(batch).replace(exposure=torch.full((3,), -14.0))
    frames = fs.render(dim, SIZE, ("rgb", *SURFACES, "instance_id"))
    metallic = frames.metallic_roughness[:, :1] if shading != "lambert" else 0.0
    made = frames.irradiance * frames.base_color * (1 - metallic) + frames.specular
    hit = (frames.instance_id >= 0)[:, None]
    torch.testing.assert_close(
        torch.where(hit, made, 0), torch.where(hit, frames.rgb * 2.0**14, 0), rtol=1e-5, atol=1e-5
    )
    bright = fs.render(batch.replace(light_shadow=None), SIZE, ("irradiance",)).irradiance
    assert ((bright - frames.irradiance).amax(1) > 0.1).sum() > 0.01 * hit.sum()  # where the light does not come
    ids = fs.render(batch, SIZE, ("triangle_id", "instance_id"))
    composed = fs.compose(batch, SIZE, ids.triangle_id, ids.instance_id, ("irradiance", "specular"))
    for name, value in composed.items():
        assert (value - getattr(frames, name)).abs().mean() < 1e-4, name
