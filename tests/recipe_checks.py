"""What every recipe owes, whatever it shows."""

from __future__ import annotations

import torch
from test_no_sync import fake_gpu, kinds, shapes

import fastsynth as fs

LABELS = ("instance_id", "semantic_id", "boxes_2d_tight", "boxes_2d_loose", "visible_pixels", "total_pixels")


def check_numbers(recipe):
    """No number of the table is there for show, and each says whose it is."""
    assert recipe.numbers.used == set(recipe.numbers)
    assert recipe.name in fs.recipes.RECIPES and recipe.source


def check_axes(make, images=64, **others):
    """Whatever is switched off, everything else that is drawn stays the same to the last bit."""
    whole = make().sample(images, seed=5, **others)
    axes = make().axes
    for axis in axes:
        plain = make(without=[axis]).sample(images, seed=5, **others)
        new = plain.params.keys() - whole.params.keys()
        same = [name for name in plain.params if name in whole.params and name not in axes[axis]]
        assert not new, (axis, new)
        for name in same:
            assert torch.equal(plain.params[name], whole.params[name]), (axis, name)


def check_alone(make, index=11, **others):
    """An image is the same alone as in a batch."""
    whole, alone = make().sample(16, seed=2, **others), make().sample([index], seed=2, **others)
    for name, value in alone.params.items():
        assert torch.equal(value, whole.params[name][index : index + 1]), name
    for name, value in alone.tensors().items():
        assert torch.equal(value, whole.tensors()[name][index : index + 1]), name


def check_labels(recipe, size, images=96, chunk=32):
    """Labels hold exactly what the ids show."""
    objects = 0
    for first in range(0, images, chunk):
        batch = recipe.sample(range(first, first + chunk), seed=3, aspect=size[1] / size[0])
        frames = fs.render(batch, size, LABELS)
        ids, present = frames.instance_id, batch.mesh_id >= 0
        masks = ids[:, None] == torch.arange(batch.instances)[None, :, None, None]
        assert torch.equal(masks.sum(1), (ids >= 0).int())  # a partition of what is covered
        count = masks.sum((2, 3))
        assert torch.equal(count, frames.visible_pixels.long())
        assert (frames.visible_pixels <= frames.total_pixels).all() and not count[~present].any()
        tight = extents(masks)
        assert torch.equal(frames.boxes_2d_tight, tight)
        seen = count > 0
        centres = tight[seen] + torch.tensor([0.5, 0.5, -0.5, -0.5])
        loose = frames.boxes_2d_loose[seen]
        assert (loose[:, :2] <= centres[:, :2] + 0.01).all() and (loose[:, 2:] >= centres[:, 2:] - 0.01).all()
        kind = batch.assets.mesh_class[batch.mesh_id.clamp(min=0).long()]
        wanted = torch.where(ids >= 0, kind.gather(1, ids.clamp(min=0).flatten(1).long()).view_as(ids), -1)
        assert torch.equal(frames.semantic_id, wanted)
        objects += int(seen.sum())
    return objects


def extents(masks):
    """Boxes around masks, xyxy, max exclusive; 0 where nothing is: bool [B, N, H, W] -> float32 [B, N, 4]."""
    sides = []
    for along in (2, 3):
        hit = masks.any(along)
        place = torch.arange(hit.shape[-1])
        sides.append((torch.where(hit, place, hit.shape[-1]).amin(-1), torch.where(hit, place + 1, 0).amax(-1)))
    (left, right), (top, bottom) = sides
    some = masks.flatten(2).any(-1)[..., None]
    return torch.where(some, torch.stack([left, top, right, bottom], -1), 0).float()


def check_targets(recipe, size, images=8):
    """A dataset lists objects of the classes that the system detects."""
    data = fs.SyntheticDataset(recipe, images, size=size, annotations=("params",))
    names = recipe.assets.class_names
    some = 0
    for image, target in data.__getitems__(list(range(images))):
        assert image.shape == (3, *size) and set(recipe.labels(fs.render(recipe.sample(1), size))) <= set(target)
        found = {names[label - 1] for label in target["labels"].tolist()}
        some += len(found)
        assert recipe.target_classes is None or found <= set(recipe.target_classes)
    assert some


def check_no_sync(make, size):
    """Sampling, drawing, effects, labels and targets wait for nothing."""

    def step(recipe):
        frames = fs.render(recipe.sample(3, aspect=size[1] / size[0]), size, ("rgb", *LABELS, *recipe.label_outputs))
        targets = frames.targets(padded=True, classes=recipe.target_classes)
        return {**frames.outputs, **recipe.labels(frames), **{f"target {k}": v for k, v in targets.items()}}

    expected = step(make())
    with fake_gpu(make()) as recipe:
        drawn = step(recipe)
    assert kinds(drawn) == {"cuda"} and shapes(drawn) == shapes(expected)


def check_learns(recipe, size, *paths):
    """The picture's gradient reaches parameters by their paths."""
    recipe.learn(*paths)
    fs.render(recipe.sample(2), size, ("rgb",)).rgb.square().sum().backward()
    for parameter in recipe.learnable():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0
