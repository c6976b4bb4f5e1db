"""Steps after drawing: their order, what they see, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs

SIZE = (24, 32)


class Scale(fs.effects.Effect):
    """Multiplies the picture."""

    def __init__(self, factor):
        super().__init__()
        self.factor = fs.random.as_distribution(factor)

    def sample(self, batch, noise):
        return {"factor": self.factor.sample(noise)}

    @staticmethod
    def change(image, canvas, factor):
        return image * factor[:, None, None, None]


class Light(Scale):
    stage = "light"


class Add(fs.effects.Effect):
    @staticmethod
    def change(image, canvas):
        return image + 0.125


class Erase(fs.effects.Effect):
    """Shows what lies behind the objects."""

    needs = ("instance_id",)

    @staticmethod
    def change(image, canvas):
        assert canvas.instance_id.shape == (image.shape[0], *SIZE)
        return canvas.backdrop()


def scene(**others):
    return fs.Scene(
        fs.Objects(fs.procedural.primitives(), count=3),
        background=fs.GradientBackground(0.6, 0.1),
        sensor=fs.Sensor(exposure=fs.Uniform(-0.5, 0.5), noise=0.01),
        **others,
    )


def test_in_the_order_of_the_scene_and_by_stage():
    plain = fs.render(scene().sample(3, seed=2), SIZE)
    both = fs.render(scene(add=Add(), scale=Scale(0.5)).sample(3, seed=2), SIZE)
    assert torch.equal(both.rgb, (plain.rgb + 0.125) * 0.5)
    assert sorted(both.outputs) == sorted(plain.outputs) and torch.equal(both.depth, plain.depth)
    # Linear light comes first whatever the order in the scene: half of it is one EV less. The noise follows.
    dark = fs.render(scene(add=Add(), light=Light(0.5)).sample(3, seed=2).replace(noise=None), SIZE).rgb
    batch = scene().sample(3, seed=2)
    want = fs.render(batch.replace(exposure=batch.exposure - 1, noise=None), SIZE).rgb + 0.125
    assert (dark - want).abs().max() < 1e-6


def test_bytes_are_rounded_at_the_end():
    batch = scene(add=Add()).sample(2)
    as_bytes = fs.render(batch, SIZE, rgb_dtype=torch.uint8).rgb
    want = (fs.render(batch, SIZE).rgb * 255 + 0.5).clamp(0, 255).to(torch.uint8)
    assert as_bytes.dtype == torch.uint8 and torch.equal(as_bytes, want)


@pytest.mark.parametrize("stage", ["light", "picture"])
def test_the_backdrop_is_the_scene_without_objects(stage):
    class Erased(Erase):
        pass

    Erased.stage = stage
    batch = scene(erase=Erased()).sample(3)
    empty = batch.replace(effects=(), mesh_id=torch.full_like(batch.mesh_id, -1))
    drawn = fs.render(batch, SIZE, ("rgb", "instance_id"))
    assert (drawn.instance_id >= 0).any()
    assert torch.equal(drawn.rgb, fs.render(empty, SIZE, ("rgb",)).rgb)


def test_some_instances_stay_in_the_backdrop():
    class First(Erase):
        @staticmethod
        def change(image, canvas):
            hidden = torch.zeros_like(canvas.batch.mesh_id, dtype=torch.bool)
            hidden[:, 0] = True
            return canvas.backdrop(hidden)

    batch = scene(erase=First()).sample(3)
    mesh = batch.mesh_id.clone()
    mesh[:, 0] = -1
    assert torch.equal(fs.render(batch, SIZE).rgb, fs.render(batch.replace(effects=(), mesh_id=mesh), SIZE).rgb)


def test_gradients_pass_through_and_reach_the_values():
    made = scene(light=Light(0.7), scale=Scale(0.5))
    made.learn("light.factor", "scale.factor", "sensor.exposure")
    fs.render(made.sample(2), SIZE).rgb.sum().backward()
    for parameter in made.learnable():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_rows_and_devices_take_the_steps_along():
    batch = scene(scale=Scale(fs.Uniform(0.2, 1.0))).sample(4)
    whole = fs.render(batch, SIZE).rgb
    assert torch.equal(fs.render(batch[2:3], SIZE).rgb, whole[2:3])
    assert torch.equal(fs.render(batch.to("cpu"), SIZE).rgb, whole)
    assert torch.equal(batch.params["scale.factor"], batch.effects[0].values["factor"])


def test_what_is_missing_is_said():
    class Greedy(fs.effects.Effect):
        @staticmethod
        def change(image, canvas):
            return image * canvas.depth[:, None]

    with pytest.raises(AttributeError, match="`needs` of the step"):
        fs.render(scene(greedy=Greedy()).sample(1), SIZE)
    with pytest.raises(ValueError, match=r"`stage` must be one of \('light', 'picture'\)"):
        fs.Step(Add.change, {}, stage="film")
