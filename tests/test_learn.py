"""Learning the parameters of distributions: what it leaves alone, what it keeps in order, and densities."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle

import pytest
import torch
from scipy import integrate

import fastsynth as fs
from fastsynth.random.learned import parameters_of

PARTS = fs.procedural.primitives()


def scene():
    """Every distribution that can be learned, each somewhere."""
    return fs.Scene(
        fs.Objects(
            PARTS,
            count=fs.Choice(range(1, 4)),
            scale=fs.TruncatedNormal(1.0, 0.3, 0.5, 2.0),
            position=fs.Uniform((-0.3, -0.3, 0.0), (0.3, 0.3, 0.0)),
        ),
        fs.Camera(distance=fs.Uniform(2.0, 3.0), elevation=fs.Triangular(0.1, 0.3, 0.9), roll=fs.Normal(0.0, 0.2)),
        light=[fs.DirectionalLight(intensity=fs.LogUniform(0.5, 8.0), color=fs.Uniform((0, 0, 0), (1, 1, 1)))],
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.5), noise=fs.LogNormal(-3.0, 0.4)),
    )


def different(a, b):
    """Fields of two batches that are not the same to the last bit."""
    fields = {field.name: getattr(a, field.name) for field in dataclasses.fields(a)}
    tensors = {name: value for name, value in fields.items() if isinstance(value, torch.Tensor)}
    return [name for name, value in tensors.items() if not torch.equal(value, getattr(b, name))]


class Holder(fs.random.Learnable):
    """Distributions without a scene."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


# --- learning by itself changes nothing


def test_learning_and_freezing_change_no_bit():
    plain, learned = scene(), scene().learn("*")
    whole = plain.sample(32, seed=3)
    assert different(whole, learned.sample(32, seed=3)) == []
    assert learned.to_json() == plain.to_json()
    assert len(learned.learnable()) == len(list(learned.parameters())) > 10
    learned.freeze()
    assert different(whole, learned.sample(32, seed=3)) == []
    assert list(learned.parameters()) == [] and list(learned.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in learned.state_dict().items())
    assert [type(part) for part in learned.modules()] == [type(part) for part in plain.modules()]


def test_what_is_not_learned_is_untouched():
    plain = scene()
    before = {path: (type(part), dict(part.named_buffers())) for path, part in plain.distributions().items()}
    plain.learn("camera.distance")
    for path, part in plain.distributions().items():
        if path != "camera.distance":
            kind, buffers = before[path]
            assert type(part) is kind and all(getattr(part, name) is buffer for name, buffer in buffers.items())


def test_numbers_that_are_drawn_stay_the_same():
    """Common random numbers: a moved bound moves the value of each image, and which uniform number it had stays."""
    moved = scene().learn("camera.distance")
    with torch.no_grad():
        moved.camera.distance.learned.centre += 1.0
    a = fs.geometry.invert_rigid(scene().sample(8).camera_from_world)[:, :3, 3].norm(dim=1)
    b = fs.geometry.invert_rigid(moved.sample(8).camera_from_world)[:, :3, 3].norm(dim=1)
    torch.testing.assert_close(b - a, torch.ones(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["deepcopy", "pickle"])
def test_a_learned_scene_can_be_copied(copied):
    learned = scene().learn("*")
    with torch.no_grad():
        for coordinate in learned.learnable():
            coordinate += 0.3
    other = copied(learned)
    assert different(learned.sample(8), other.sample(8)) == []
    assert isinstance(other.camera.distance, fs.Uniform)
    assert other.freeze().to_json() == learned.to_json()


def test_state_dict_of_a_learned_scene():
    learned, other = scene().learn("*"), scene().learn("*")
    with torch.no_grad():
        for coordinate in learned.learnable():
            coordinate -= 0.2
    assert {"camera.distance.learned.width", "camera.distance.learned.start_low"} <= set(learned.state_dict())
    other.load_state_dict(learned.state_dict())
    assert different(learned.sample(8), other.sample(8)) == []


# --- the rules are kept, whatever the coordinates

KINDS = {
    "uniform": (lambda: fs.Uniform(1.0, 2.0), (0.5, 4.0)),
    "uniform, full": (lambda: fs.Uniform(1.0, 2.0), (1.0, 2.0)),
    "uniform, no width": (lambda: fs.Uniform(1.0, 1.0), (0.5, 4.0)),
    "log uniform": (lambda: fs.LogUniform(1.0, 2.0), (0.5, 4.0)),
    "normal": (lambda: fs.Normal(1.0, 0.3), (0.5, 4.0)),
    "log normal": (lambda: fs.LogNormal(0.1, 0.3), (0.5, 4.0)),
    "truncated normal": (lambda: fs.TruncatedNormal(1.0, 2.0, 0.0, 2.0), (0.5, 4.0)),
    "triangular": (lambda: fs.Triangular(1.0, 1.0, 2.0), (0.5, 4.0)),
    "constant": (lambda: fs.Constant((1.0, 2.0)), (0.5, 4.0)),
    "choice": (lambda: fs.Choice([1.0, 5.0, 7.0], weights=(1.0, 0.0, 3.0)), None),
}


@pytest.mark.parametrize("limited", [False, True], ids=["free", "within"])
@pytest.mark.parametrize("name", KINDS)
def test_rules_hold_for_any_coordinates(name, limited):
    make, within = KINDS[name]
    if limited and within is None or not limited and name == "uniform, no width":
        pytest.skip("does not apply")
    holder = Holder(part=make())
    before = holder.to_json()
    holder.learn("part", within=within if limited else None)
    assert holder.to_json() == before
    generator = torch.Generator().manual_seed(0)
    # Without limits, a number of widths that leaves float32 is nobody's rule to keep.
    for size in (0.1, 1.0, 8.0) if limited or name == "choice" else (0.1, 1.0):
        for _ in range(20):
            with torch.no_grad():
                for coordinate in holder.learnable():
                    coordinate.copy_(size * torch.randn(coordinate.shape, generator=generator))
            holder.part.check()
            if limited:
                for parameter, value in parameters_of(holder.part).items():
                    if parameter == "std" or name == "truncated normal" and parameter != "mean":
                        continue
                    value = value.exp() if name == "log normal" else value
                    low, high = within if name != "truncated normal" else (0.5, 2.0)
                    assert (value >= low * (1 - 1e-6)).all() and (value <= high * (1 + 1e-6)).all(), parameter


@pytest.mark.parametrize("name", KINDS)
def test_coordinates_get_gradients(name):
    make, within = KINDS[name]
    holder = Holder(part=make()).learn("part", within=within)
    total = sum((value * (1 + place)).sum() for place, value in enumerate(holder.part.learned.values().values()))
    weighted = total if name != "choice" else (holder.part.log_weights() * torch.tensor([1.0, 0.0, 2.0])).sum()
    for coordinate, gradient in zip(
        holder.named_learnable(), torch.autograd.grad(weighted, holder.learnable()), strict=True
    ):
        stuck = name == "uniform, full" and coordinate == "part.centre"  # what fills its limits has nowhere to go
        assert gradient.isfinite().all() and (stuck or gradient.abs().max() > 1e-3), coordinate


def test_a_bound_on_its_limit_can_come_back():
    holder = Holder(part=fs.Uniform(1.0, 2.0)).learn("part", within=(1.0, 2.0))
    optimizer = torch.optim.Adam(holder.learnable(), lr=0.2)
    for target in (5.0, 1.5):  # far outside first
        for _ in range(200):
            optimizer.zero_grad()
            ((holder.part.low + holder.part.high) / 2 - target).square().backward()
            optimizer.step()
    assert ((holder.part.low + holder.part.high) / 2).item() == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("limited", [False, True], ids=["free", "within"])
@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("constant", "uniform, no width")])
def test_entropy_floor(name, limited):
    make, within = KINDS[name]
    if limited and within is None:
        pytest.skip("does not apply")
    holder = Holder(part=make()).learn("part", within=within if limited else None)
    with torch.no_grad():
        for coordinate in holder.learnable():
            coordinate -= torch.linspace(5, 50, max(coordinate.numel(), 1)).view_as(coordinate)
    holder.part.learned.keep_entropy_(-0.25)
    assert holder.part.learned.entropy_change().item() >= -0.25 - 0.02
    if name == "choice":
        weights = holder.part.weights / holder.part.weights.sum()
        assert weights[1] == 0
    untouched = Holder(part=make()).learn("part", within=within if limited else None)
    untouched.part.learned.keep_entropy_(-0.25)
    assert all((coordinate == 0).all() for coordinate in untouched.learnable())


# --- patterns


def test_patterns():
    one = scene().learn("light.*")
    assert list(one.learned()) == ["light.0.intensity", "light.0.color"]
    one.learn("camera.distance", within=(1.0, 9.0)).learn("camera.*")
    assert one.camera.distance.learned.limited and not one.camera.elevation.learned.limited
    assert "camera.fov" not in one.learned()
    one.learn("camera.fov").freeze("camera.*", "light.0.color")
    assert list(one.learned()) == ["light.0.intensity"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.learn("camera.distanc"), "Did you mean 'camera.distance'"),
        (lambda s: s.learn("nothing.*"), "Available: .*camera.distance"),
        (lambda s: s.learn(), "say what to learn"),
        (lambda s: s.learn("light.0.direction"), "no parameters to learn"),
        (lambda s: s.learn("camera.f*"), "constants only: camera.fov"),
        (lambda s: s.learn("camera.distance", within=(2.5, 4.0)), "camera.distance: .*`within` must hold"),
        (lambda s: s.learn("camera.distance", within=(4.0, 2.0)), "a lower and a higher limit"),
        (lambda s: s.learn("objects.count", within=(0.0, 2.0)), "no `within`"),
        (lambda s: s.load_json({"camera.distance": {"low": 2.0, "high": 3.0, "mid": 1.0}}), "Available: low, high"),
        (lambda s: s.load_json({"camera.distanc": {"low": 2.0}}), "Did you mean 'camera.distance'"),
        (lambda s: s.load_json({"camera.distance": {"type": "Normal", "mean": 0.0}}), "is a Uniform here"),
        (lambda s: s.load_json({"camera.distance": {"low": [1.0, 2.0]}}), r"shape \[\]"),
        (lambda s: s.load_json({"camera.distance": {"low": 7.0}}), "low <= high"),
        (lambda s: s.load_json({"camera.distance": 7.0}), "mapping"),
    ],
)
def test_mistakes_are_explained(act, message):
    for one in (scene(), scene().learn("camera.roll")):
        before = one.to_json()
        with pytest.raises(ValueError, match=message):
            act(one)
        assert one.to_json() == before and len(one.learned()) <= 1


def test_nothing_to_stretch():
    with pytest.raises(ValueError, match="within="):
        Holder(part=fs.Uniform(1.0, 1.0)).learn("part")
    with pytest.raises(ValueError, match="standard deviation of 0"):
        Holder(part=fs.Normal(1.0, 0.0)).learn("part")
    with pytest.raises(RuntimeError, match="Call learn"):
        scene().learnable()


# --- to and from JSON


@pytest.mark.parametrize("learns", [False, True])
def test_json_round_trip(learns, tmp_path):
    found, fresh = scene().learn("*"), scene()
    with torch.no_grad():
        for coordinate in found.learnable():
            coordinate += 0.37
    (tmp_path / "found.json").write_text(json.dumps(found.to_json()))
    if learns:
        fresh.learn("*")
    fresh.load_json(tmp_path / "found.json")
    assert fresh.to_json() == found.to_json()
    assert different(fresh.sample(8), found.sample(8)) == []


def test_loading_is_all_or_nothing():
    one = scene()
    before = one.to_json()
    with pytest.raises(ValueError, match="std >= 0"):
        one.load_json({"camera.distance": {"low": 0.5}, "camera.roll": {"std": -1.0}})
    assert one.to_json() == before


def test_a_distribution_of_your_own():
    class Exponential(fs.Distribution):
        def __init__(self, mean):
            super().__init__()
            self.register_buffer("mean", torch.tensor(float(mean)))

        @property
        def event(self):
            return ()

        def from_uniform(self, u):
            return -self.mean * torch.log1p(-u)

    holder = Holder(part=Exponential(2.0)).learn("part")
    holder.part.sample(fs.Noise(0, torch.arange(100))).mean().backward()
    assert holder.part.learned.mean.grad.item() == pytest.approx(2.0, abs=0.6)
    with pytest.raises(NotImplementedError, match="defines no density"):
        holder.part.log_prob(torch.ones(1))


# --- densities

DENSITIES = {
    "uniform": (fs.Uniform(-1.0, 3.0), (-1, 3)),
    "log uniform": (fs.LogUniform(0.5, 8.0), (0.5, 8)),
    "normal": (fs.Normal(2.0, 0.5), (-math.inf, math.inf)),
    "log normal": (fs.LogNormal(0.3, 0.7), (0, math.inf)),
    "truncated normal": (fs.TruncatedNormal(1.0, 2.0, 0.0, 2.0), (0, 2)),
    "tail of a normal": (fs.TruncatedNormal(0.0, 1.0, 2.0, 4.0), (2, 4)),
    "triangular": (fs.Triangular(1.0, 1.5, 4.0), (1, 4)),
    "triangular, no rise": (fs.Triangular(1.0, 1.0, 4.0), (1, 4)),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_integrate_to_one(name):
    distribution, (low, high) = DENSITIES[name]

    def density(x):
        return math.exp(distribution.log_prob(torch.tensor(x, dtype=torch.float32)).item())

    total, _ = integrate.quad(density, low, high, epsabs=1e-4, limit=100)
    assert total == pytest.approx(1, abs=2e-3)
    for outside in (low - 1, high + 1):
        if math.isfinite(outside):
            assert distribution.log_prob(torch.tensor(outside)).item() == -math.inf


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_match_what_is_drawn(name):
    """The share of draws below a value is the integral of the density up to it."""
    distribution, (low, _) = DENSITIES[name]
    drawn = distribution.sample(fs.Noise(5, torch.arange(20_000)).child(name))
    for share in (0.2, 0.5, 0.8):
        value = drawn.quantile(share).item()
        below, _ = integrate.quad(
            lambda x: math.exp(distribution.log_prob(torch.tensor(x, dtype=torch.float32)).item()), low, value
        )
        assert below == pytest.approx(share, abs=0.02)


def test_density_of_a_vector_is_the_product():
    both = fs.Normal((0.0, 1.0), (1.0, 2.0))
    value = torch.tensor([[0.5, -1.0]])
    parts = fs.Normal(0.0, 1.0).log_prob(value[:, 0]) + fs.Normal(1.0, 2.0).log_prob(value[:, 1])
    torch.testing.assert_close(both.log_prob(value), parts)


def test_probability_of_a_choice():
    choice = fs.Choice([(0.0, 1.0), (2.0, 3.0), (0.0, 1.0)], weights=(1, 2, 1))
    drawn = torch.tensor([[0.0, 1.0], [2.0, 3.0], [9.0, 9.0]])
    assert choice.log_prob(drawn).exp().tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert fs.Choice([3, 5], weights=(1, 3)).log_prob(torch.tensor([[5, 3]])).exp().tolist() == [[0.75, 0.25]]


def test_choices_of_a_scene():
    one = fs.Scene(fs.Objects(PARTS, count=2, choice=fs.Choice([0, 1, 2], weights=(1, 2, 5))))
    assert one.log_prob(3).tolist() == [0.0] * 3  # nothing is learned
    one.learn("objects.choice")
    batch, log_prob = one.sample([4, 9, 2], seed=7), one.log_prob([4, 9, 2], seed=7)
    expected = torch.tensor([1 / 8, 2 / 8, 5 / 8]).log()[batch.mesh_id.long()].sum(1)
    torch.testing.assert_close(log_prob.detach(), expected)
    gradient = torch.autograd.grad(log_prob.sum(), one.learnable())[0]
    counts = torch.bincount(batch.mesh_id.flatten().long(), minlength=3)
    torch.testing.assert_close(gradient, counts - 6 * torch.tensor([1 / 8, 2 / 8, 5 / 8]))
