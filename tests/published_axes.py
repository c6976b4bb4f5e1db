"""What each published system randomizes, and what proves that its recipe does.

    python tests/published_axes.py    # writes docs/reference/published_axes.md

A cell holds proofs, with "; " between them, which `test_published_axes.py` checks:

    objects.0.count 1 to 12    this value of `batch.params`, or each of a pattern, differs between images, keeps to the
                               range and reaches its ends; "±30°" is a range of angles drawn in radians
    objects.0.choice 36 values it has so many; also behind a range and a comma
    without noise              with this axis of the recipe off, pictures are others
    label depth                an output of `render`, or the recipe's own, another one for each image
    missing: why               the recipe does not do it, or not all of it
    anything else              a row of its TESTS or PROPERTIES
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "published_axes.md"
COLUMNS = {
    "drive": "matrix_drive",
    "table": "tobin_tabletop",
    "cars": "tremblay_cars",
    "saved": "annotation_saved",
    "paste": "cut_paste",
    "eyes": "unity_eyes",
    "vending": "vending_fisheye",
    "uav": "rozantsev_uav",
}

CUT_OFF = "a limit on targets"

# By axis and marks, one a column: ● the publication says so, ○ it is implied, - it does not.
SCENE = {
    ("How many targets", "●○●●●-●○"): dict(
        drive="objects.0.count 1 to 12",
        table="one target",
        cars="objects.0.count 1 to 14",
        saved="as many as find room",
        paste="objects.count 1 to 4",
        vending="objects.0.count 4 to 10",
        uav="one drone",
    ),
    ("Which model", "●●●●●●●●"): dict(
        drive="objects.0.choice 40 values",
        table="any of 8 solids",
        cars="objects.0.choice 36 values",
        saved="objects.0.choice 64 values",
        paste="33 products in 2 views",
        eyes="objects.skin 20 values",
        vending="objects.0.choice 24 values",
        uav="any of `assets`",
    ),
    ("Every class as often", "---●○-○-"): dict(
        saved="each object in each pose", paste="classes evenly", vending="classes evenly"
    ),
    ("Place", "●●●●●-●●"): dict(
        drive="objects.0.along 5 to 95",
        table="objects.0.position.spot ±0.25",
        cars="objects.0.position.distance 5 to 30; objects.0.position.bearing ±42°",
        saved="anywhere in the picture",
        paste="anywhere in the picture",
        vending="objects.0.position.spot ±0.25",
        uav="objects.position",
    ),
    ("Side that is seen", "○○●●●●●●"): dict(
        drive="objects.0.turn ±2.5°",
        table="objects.0.rotation 0 to 360°",
        cars="objects.0.rotation 0 to 360°",
        saved="each object in each pose",
        paste="33 products in 2 views",
        eyes="objects.gaze.* ±30°; camera.azimuth -130 to -50°; camera.elevation ±20°",
        vending="up to 44° aslant; objects.0.side 5 values; without lying; lying on all sides",
        uav="objects.rotation",
    ),
    ("Turn in the picture", "--●●●-●●"): dict(
        cars="camera.1.roll ±30°",
        saved="each object in each pose",
        paste="objects.angle ±30°, 61 values",
        vending="objects.0.rotation 0 to 360°",
        uav="objects.rotation",
    ),
    ("Size or distance", "○○○●●-○-"): dict(
        drive="objects.0.along 5 to 95",
        table="camera.0.eye; objects.0.position.spot ±0.25",
        cars="objects.0.position.distance 5 to 30",
        saved="objects.0.position.depth 4 values; steps of equal area",
        paste="objects.scale 0.25 to 0.6",
        vending="objects.0.scale 0.72 to 0.9",
    ),
    ("A curriculum without chance", "---●----"): dict(saved="each object in each pose; near before far"),
    ("Shape by a linear model", "-----●--"): dict(
        eyes="region.*.coefficient; 20 components; another face than the mean"
    ),
    ("Free deformation", "-----●●-"): dict(
        eyes="lids follow the gaze", vending="deformation.*; without deformation; soft packages bend"
    ),
    ("Apart, or on a surface", "●●---●●-"): dict(
        drive="apart on lanes", table="apart on the table", eyes="lids on the eyeball", vending="apart on the shelf"
    ),
    ("Where it is at home", "●-----○-"): dict(drive="apart on lanes", vending="apart on the shelf"),
    ("Shapes that distract", "-●●-----"): dict(
        table="objects.0.count 1 to 11; one target; without distractors",
        cars="objects.1.count 0 to 20; objects.1.position.depth 4 to 30; without distractors",
    ),
    ("Other objects that distract", "●●●○●---"): dict(
        drive="objects.[234].count; without buildings",
        table="apart on the table",
        cars="objects.1.choice 8 values",
        saved="models without labels",
        paste="objects.distractors 2 to 4; without distractors",
    ),
    ("Things in front", "○-○●○---"): dict(
        drive="without occluders",
        cars="distractors hide cars",
        saved="objects.2.size 0.2 to 0.3; without occluders; a layer in front",
        paste="without occlusion",
    ),
    ("Limit of overlap", "-○-●●-○-"): dict(
        table="apart on the table", saved="overlap up to 0.3", paste="overlap up to 0.75", vending="apart on the shelf"
    ),
    ("Limit of what the border cuts off", "○-○●●---"): dict(
        drive=CUT_OFF, cars=CUT_OFF, saved="half of it", paste="a quarter of it; without truncation"
    ),
    ("Photographs behind", "--●○●--●"): dict(
        cars="background.photo 0 to 39",
        saved="photographs in place of models",
        paste="background.photo 24 values",
        uav="each with its fit",
    ),
    ("Models behind, everywhere", "---●----"): dict(saved="every pixel covered"),
    ("A place that is built", "●●---○●-"): dict(
        drive="camera.roads.street 6 values; without place; without buildings",
        table="table, floor, walls, robot; without robot",
        eyes="light.1.choice 18 values",
        vending="a closed cabinet",
    ),
    ("Size of what is behind", "---●----"): dict(saved="objects.3.size 0.9 to 1.5"),
    ("Ground or none", "--●-----"): dict(cars="objects.2.present 0 to 1; without ground"),
    ("Time of day, weather", "●-------"): dict(
        drive="light.0.color.row 4 values; light.0.intensity.row 4 values; without time; without weather; its own light"
    ),
}

APPEARANCE = {
    ("Flat, gradient, checker", "-●------"): dict(
        table="materials.pattern.kind 3 values; materials.pattern.color 0 to 1; without textures"
    ),
    ("Pictures on objects", "--●--●●-"): dict(
        cars="materials.1.texture 40 values; without textures",
        eyes="objects.skin 20 values",
        vending="labels on all packages",
    ),
    ("Other hues", "○--●----"): dict(
        drive="materials.part.color; without paint", saved="materials.part.hue 0 to 360°; without hue"
    ),
    ("So many textures, no more", "-●●-----"): dict(
        table="a pool of ten", cars="without half_textures; half the photographs"
    ),
    ("Diffuse part", "-------●"): dict(uav="each with its fit; without material"),
    ("Highlights", "○●---●○-"): dict(
        drive="wetness.wet 0 to 1; rain wets everything",
        table="light.0.gloss 0 to 2; gloss.exponent 4 to 64",
        eyes="a wet eyeball",
        vending="glossy packages",
    ),
    ("Refraction", "-----●--"): dict(eyes="index 1.3; other than with index 1"),
    ("Bumps", "-----●--"): dict(
        eyes="region.deformers.0.relief 0.7 to 1.3; without bumps; each skin's own displacement"
    ),
    ("How many lights", "-●●●-○○-"): dict(
        table="light.0.count 1 to 4",
        cars="light.0.count 1 to 12",
        saved="light.1.count 1 to 3",
        eyes="one, and a panorama",
        vending="one strip",
    ),
    ("Where lights are", "○●●●-●○●"): dict(
        drive="light.0.azimuth 0 to 360°; light.0.elevation 1 to 75°",
        table="light.0.position; without light",
        cars="light.0.position; without light",
        saved="light.1.position; without light_place",
        eyes="light.0.direction; ranges of the generator",
        vending="light.0.place 0.1 to 0.2",
        uav="light.1.direction",
    ),
    ("Colour of lights", "○--●-●--"): dict(
        drive="light.0.color", saved="light.1.color 0.1 to 1; without light_color", eyes="light.0.color 0.65 to 1"
    ),
    ("Strength of lights", "○-○○-●--"): dict(
        drive="light.0.intensity 0.03 to 1",
        cars="light.0.intensity 0.05 to 0.6",
        saved="light.1.intensity",
        eyes="light.0.intensity 0.6 to 1.2",
    ),
    ("Light from all around", "○-●--●○-"): dict(
        drive="background.0.light 0.55 to 1",
        cars="light.1.sky 0.05 to 0.25",
        eyes="light.1.ambient 0.8 to 1.2",
        vending="light.1.intensity 0.22 to 0.4",
    ),
    ("Panoramas", "○----●--"): dict(
        drive="32 skies; light.0.azimuth 0 to 360°; the glow where the sun is",
        eyes="light.1.choice 18 values; light.1.rotation 0 to 360°; ranges of the generator",
    ),
    ("Shadows", "●○○--●○-"): dict(
        drive="without shadows",
        table="without shadows",
        cars="without shadows",
        eyes="soft shadows",
        vending="without shadows",
    ),
    ("Place of the camera", "●●●--●○-"): dict(
        drive="camera.height 1.2 to 1.8; camera.along 0 to 30; without camera",
        table="a box of 10 x 5 x 10 cm; without camera",
        cars="camera.0.azimuth 0 to 360°; camera.0.elevation 5 to 30°",
        eyes="camera.azimuth -130 to -50°; camera.elevation ±20°",
        vending="camera.1.shift",
    ),
    ("Turn of the camera", "○●●-----"): dict(
        drive="camera.pan ±4°; camera.tilt -5 to 1°", table="camera.1.[ptr]* ±0.1", cars="camera.1.* ±30°"
    ),
    ("Field of view", "-●-●----"): dict(
        table="camera.1.fov 0.95 to 1.05", saved="camera.fov 38 to 42°; without focal_length"
    ),
    ("Fisheye", "------●-"): dict(vending="a fisheye's equation; a closed cabinet"),
    ("Calibrated intrinsics", "-----○●-"): dict(
        eyes="one for all images", vending="camera.0.lens.distortion; without calibration"
    ),
}

IMAGE = {
    ("Noise everywhere", "-●●●----"): dict(
        table="noise.kind 3 values; without noise",
        cars="noise.sigma 0 to 0.04; without noise",
        saved="noise.sigma 0 to 0.02; without noise",
    ),
    ("Noise on the object", "-------●"): dict(uav="without noise; grey, and noise on the object"),
    ("Blur everywhere", "---●----"): dict(saved="sensor.blur 0 to 0.0033; without blur"),
    ("Blur of outlines", "----●--●"): dict(
        paste="blend.kind 5 values; all of five blends", uav="without boundary_blur; each with its fit"
    ),
    ("Motion blur of the object", "-------●"): dict(uav="without motion_blur; each with its fit"),
    ("Motion blur of the picture", "----●---"): dict(
        paste="blend.length 3 to 9, 4 values; blend.angle 0 to 360°; blend.begin 3 values; all of five blends"
    ),
    ("Poisson blending", "----●---"): dict(paste="blend.kind 5 values; all of five blends"),
    ("A scene with every blend", "----●---"): dict(paste="all of five blends; without blend"),
    ("Brightness, contrast", "--●-----"): dict(
        cars="photometric.brightness ±0.12; photometric.contrast 0.75 to 1.3; without brightness_contrast"
    ),
    ("Flips, crops, sizes, wrong boxes", "--●-●---"): dict(
        cars="affine.scale 0.9 to 1.15; crop.scale 0.75 to 1; half are flipped; boxes a little wrong",
        paste="objects.angle ±30°, 61 values; without rotation",
    ),
    ("Exposure, fog, rain", "●----●--"): dict(
        drive="background.0.ev -0.35 to 1.5; fog.extinction 0.0006 to 0.05; rain.drops 0 to 0.006",
        eyes="light.1.exposure -1 to -0.737; ranges of the generator",
    ),
    ("Grey pictures", "-----○-●"): dict(eyes="grey with `gray`", uav="grey, and noise on the object"),
    ("All layers alike", "---●----"): dict(saved="the same noise on all layers"),
}

LABELS = {
    ("Tight boxes", "●-●●●○●●"): {name: "label boxes_2d_tight; exact" for name in COLUMNS if name != "table"},
    ("Masks", "●-○●●○●●"): {name: "label instance_id; exact" for name in COLUMNS if name != "table"},
    ("Depth, classes of pixels", "●--○-○--"): dict(
        drive="label depth; label stencil", saved="label depth", eyes="landmarks with depth"
    ),
    ("Place or pose", "-●-○-●-○"): dict(
        table="label centre", saved="objects.0.rotation; objects.0.position.depth", eyes="label head", uav="label pose"
    ),
    ("Landmarks, gaze", "-----●--"): dict(eyes="label margin; label caruncle; label iris; label gaze"),
    ("All parameters", "-----●-●"): dict(eyes="all draws", uav="capture.fit; label pose"),
}

TABLES = {"Scene": SCENE, "Appearance, light and camera": APPEARANCE, "Image formation": IMAGE, "Labels": LABELS}

INTRODUCTION = """# Published axes

What each published system randomizes, and what proves that its [recipe](recipes.md) does: ● the publication says so,
○ it is implied. In a cell stand

- a value of `batch.params` that differs between images, with the range that it fills or how many values it has;
- an axis, *without* which pictures are others, or a *label*, which the recipe or `render` gives;
- in other words what a test shows or what is true of drawn images, see `tests/test_published_axes.py`.

Numbers of models and photographs are those of the drawn stand-ins for what is not ours to give. Rows about learning
(refiners, adaptation, fits, mixtures, sizes of data sets) are left out.
"""


def cell(proofs: str) -> str:
    """As the page has it."""
    words = []
    for proof in proofs.split("; "):
        first, _, rest = proof.partition(" ")
        if first == "missing:":
            words.append("**in part**" if words else "**missing**")
        elif first in ("without", "label"):
            words.append(f"{first} `{rest}`")
        else:
            words.append(f"`{first}` {rest}".rstrip() if "." in first else proof)
    return ", ".join(words)


def page() -> str:
    """The tables as the documentation has them."""
    lines, lacks = [INTRODUCTION], {}
    for title, axes in TABLES.items():
        lines += [f"## {title}\n", f"| | {' | '.join(f'`{name}`' for name in COLUMNS.values())} |"]
        lines.append("| --- " * (1 + len(COLUMNS)) + "|")
        for (axis, marks), cells in axes.items():
            row = [f"{mark} {cell(cells[name])}" if name in cells else "–" for name, mark in zip(COLUMNS, marks)]
            lines.append(f"| {axis} | {' | '.join(row)} |")
            for name, proofs in cells.items():
                if reason := proofs.partition("missing: ")[2]:
                    lacks.setdefault((axis, reason), []).append(f"`{COLUMNS[name]}`")
        lines.append("")
    lines.append("## What is missing\n")
    lines += [f"- {axis}, {', '.join(names)}: {reason}" for (axis, reason), names in lacks.items()] or ["Nothing."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
