"""Gradients of smooth statistics of the picture against central differences, for all that can be learned of a scene."""

from __future__ import annotations

import pytest
from gradient_scenes import SCENES
from gradient_table import PARAMETERS, agreement, by_differences, by_kernel

FULL = ("occluder over a textured plane", "two surfaces that intersect", "plane that cuts a surface")


@pytest.mark.parametrize(("scene", "parameter"), [(scene, parameter) for scene in SCENES for parameter in PARAMETERS])
def test_gradients_are_those_of_differences(scene, parameter):
    given, wanted = (derivative(SCENES[scene], parameter) for derivative in (by_kernel, by_differences))
    if parameter == "background" and scene in FULL:
        assert not given.any() and not wanted.any()
        return
    found = agreement(given, wanted)
    moves = PARAMETERS[parameter].moves
    assert found.cosine >= (0.95 if moves else 0.99), found
    assert abs(found.length - 1) <= (0.2 if moves else 0.01), found
