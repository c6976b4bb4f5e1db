"""Sixteen pictures of the recipe `unity_eyes`; in the lower half with their landmarks and the gaze.

Red: 16 of the lids' margin. Yellow: 7 of the caruncle. Green: 32 of the iris, hidden ones as dots. Blue: the gaze.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

import fastsynth as fs

SIZE = HEIGHT, WIDTH = 168, 224
COLORS = {"margin": (255, 70, 60), "caruncle": (255, 215, 0), "iris": (70, 255, 70)}

recipe = fs.recipes.unity_eyes()
batch = recipe.sample(16, seed=1, aspect=WIDTH / HEIGHT)
frames = fs.render(batch, SIZE, ("rgb", *recipe.label_outputs), samples=4)
labels = recipe.labels(frames)

sheet = Image.new("RGB", (4 * (WIDTH + 4) - 4, 4 * (HEIGHT + 4) - 4), "white")
for i in range(16):
    picture = Image.fromarray((frames.rgb[i] * 255).round().byte().permute(1, 2, 0).numpy())
    draw = ImageDraw.Draw(picture)
    if i >= 8:
        for name, color in COLORS.items():
            for (x, y, _), seen in zip(labels[name][i].tolist(), labels[f"{name}_seen"][i].tolist(), strict=True):
                r = 1.5 if seen else 0.0
                draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
        x, y = labels["iris"][i, :, :2].mean(0).tolist()
        right, down, _ = labels["gaze"][i].tolist()
        draw.line((x, y, x + 50 * right, y + 50 * down), fill=(90, 160, 255), width=3)
    sheet.paste(picture, (i % 4 * (WIDTH + 4), i // 4 * (HEIGHT + 4)))
sheet.save("eyes.png", optimize=True)
