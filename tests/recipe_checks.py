"""What is asked of recipes: labels, targets, and where gradients go."""

from __future__ import annotations

from label_checks import labels_of, problems

import fastsynth as fs


def check_labels(recipe, size, images=256, chunk=64, seed=3):
    """Labels hold exactly what the ids show; how many objects were seen."""
    objects = 0
    for first in range(0, images, chunk):
        batch = recipe.sample(range(first, first + chunk), seed=seed, aspect=size[1] / size[0])
        frames = fs.render(batch, size, labels_of(batch))
        assert not problems(frames)
        objects += int((frames.visible_pixels > 0).sum())
    return objects


def check_targets(recipe, size, images=8):
    """A dataset lists objects of the classes that the system detects, and gives the system's own labels."""
    data = fs.SyntheticDataset(recipe, images, size=size, annotations=("params",))
    names = recipe.assets.class_names
    own = recipe.labels(fs.render(recipe.sample(1), size, ("rgb", *recipe.label_outputs)))
    assert "distractor" not in (recipe.target_classes or ())
    listed = 0
    for image, target in data.__getitems__(list(range(images))):
        assert image.shape == (3, *size) and set(own) <= set(target)
        found = {names[label - 1] for label in target["labels"].tolist()}
        listed += len(target["labels"])
        assert recipe.target_classes is None or found <= set(recipe.target_classes)
    assert listed


def check_learns(recipe, size, *paths, images=2):
    """The picture's gradient reaches parameters by their paths."""
    recipe.learn(*paths)
    fs.render(recipe.sample(images), size, ("rgb",)).rgb.square().sum().backward()
    for parameter in recipe.learnable():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0
