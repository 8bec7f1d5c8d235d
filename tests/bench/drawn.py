"""Pictures and questions made by seed, of the kinds that training sets and benchmarks hold.

The short questions of a kind are alike on thousands of rows, and so are the layouts of its pictures.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spica.miniature.pictures import render
from spica.miniature.world import sample_problem

Random = np.random.Generator

WORDS = "blue quick paper window river seven marble orange silent garden copper yellow bridge candle".split()
_COLOURS = ((173, 35, 35), (42, 75, 215), (29, 105, 20), (129, 74, 25), (129, 38, 192), (41, 208, 208))


def diagram(rng: Random) -> Image.Image:
    """Points, the segments between them, maybe a circle."""
    size = int(rng.integers(200, 700)), int(rng.integers(150, 500))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    points = [
        tuple(int(rng.integers(20, side - 20)) for side in size) for _ in range(int(rng.integers(3, 7)))
    ]
    for i, point in enumerate(points):
        for other in points[:i]:
            if rng.random() < 0.7:
                draw.line([point, other], fill="black", width=int(rng.integers(1, 3)))
        draw.text((point[0] + 3, point[1] + 3), "ABCDEFG"[i], fill="black")
    if rng.random() < 0.4:
        (x, y), r = points[0], int(rng.integers(20, 80))
        draw.ellipse([x - r, y - r, x + r, y + r], outline="black")
    return picture


def chart(rng: Random) -> Image.Image:
    """Bars with their values."""
    width, height = int(rng.integers(400, 800)), int(rng.integers(300, 550))
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    num = int(rng.integers(3, 9))
    step = (width - 80) // num
    colour = tuple(int(value) for value in rng.integers(0, 220, 3))
    draw.line([(40, 20), (40, height - 40), (width - 20, height - 40)], fill="black", width=2)
    for i in range(num):
        top, left = height - 40 - int(rng.integers(20, height - 80)), 45 + i * step
        draw.rectangle([left, top, left + step - 15, height - 41], fill=colour)
        draw.text((left, height - 35), str(int(rng.integers(1990, 2024))), fill="black")
        draw.text((left, top - 14), str(height - top), fill="black")
    return picture


def table(rng: Random) -> Image.Image:
    """Words and numbers in a grid whose columns are as wide as they need be."""
    num_rows, widths = int(rng.integers(3, 9)), rng.integers(60, 160, int(rng.integers(2, 5)))
    edges = np.concatenate([[10], 10 + np.cumsum(widths)])
    picture = Image.new("RGB", (int(edges[-1]) + 10, num_rows * 28 + 20), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(num_rows + 1):
        draw.line([(10, 10 + i * 28), (int(edges[-1]), 10 + i * 28)], fill="gray")
    for edge in edges:
        draw.line([(int(edge), 10), (int(edge), 10 + num_rows * 28)], fill="gray")
    for i in range(num_rows):
        for edge in edges[:-1]:
            text = str(rng.choice(WORDS)) if rng.random() < 0.3 else str(int(rng.integers(0, 9999)))
            draw.text((int(edge) + 6, 17 + i * 28), text, fill="black")
    return picture


def scene(rng: Random) -> Image.Image:
    """Coloured bodies on a grey floor."""
    height, width = 320, 480
    floor = np.linspace(150, 110, height)[:, None, None] * np.ones((1, width, 3))
    picture = Image.fromarray(floor.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 9))):
        r, x, y = int(rng.integers(15, 45)), int(rng.integers(40, 440)), int(rng.integers(80, 280))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape([x - r, y - r, x + r, y + r], fill=_COLOURS[int(rng.integers(len(_COLOURS)))])
    return picture


def plot(rng: Random) -> Image.Image:
    """One to three curves over a grid with axes."""
    width, height = int(rng.integers(300, 640)), int(rng.integers(240, 480))
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    for k in range(1, 8):
        draw.line([(k * width // 8, 0), (k * width // 8, height)], fill=(225, 225, 225))
        draw.line([(0, k * height // 8), (width, k * height // 8)], fill=(225, 225, 225))
        draw.text((k * width // 8, height // 2 + 2), str(k - 4), fill="black")
    draw.line([(0, height // 2), (width, height // 2)], fill="black", width=2)
    draw.line([(width // 2, 0), (width // 2, height)], fill="black", width=2)
    x = np.linspace(-1, 1, 160)
    for _ in range(int(rng.integers(1, 4))):
        y = np.polyval(rng.normal(0, 0.8, int(rng.integers(2, 5))), x)
        y += rng.normal(0, 0.4) * np.sin(float(rng.uniform(1, 9)) * x)
        y *= rng.uniform(0.3, 0.95) / np.abs(y).max()
        points = [((a + 1) / 2 * width, (1 - b) / 2 * height) for a, b in zip(x, y, strict=True)]
        draw.line(points, fill=_COLOURS[int(rng.integers(len(_COLOURS)))], width=2)
    return picture


def photo(rng: Random) -> Image.Image:
    """Noise of all scales, blotches and a gradient of light, as of a camera."""
    width, height = int(rng.integers(320, 640)), int(rng.integers(240, 480))
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 60), (7, 35), (20, 18), (60, 8)):
        noise = rng.normal(0, weight, (cells, cells, 3)).astype(np.float32)
        noise = 0.7 * noise.mean(axis=2, keepdims=True) + 0.3 * noise
        planes = [
            Image.fromarray(noise[:, :, c]).resize((width, height), Image.Resampling.BICUBIC)
            for c in range(3)
        ]
        total += np.stack([np.asarray(plane) for plane in planes], axis=2)
    total += np.linspace(40, -40, height, dtype=np.float32)[:, None, None] + 125
    total += rng.normal(0, 3, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def page(rng: Random) -> Image.Image:
    """Lines of printed text, as of a scanned problem."""
    size = int(rng.integers(13, 22))
    font = ImageFont.load_default(size)
    num_lines, width = int(rng.integers(4, 14)), int(rng.integers(360, 720))
    picture = Image.new("RGB", (width, num_lines * (size + 8) + 24), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(num_lines):
        words = [str(word) for word in rng.choice(WORDS, 14)]
        words[int(rng.integers(14))] = str(int(rng.integers(2, 999)))
        line = " ".join(words)
        while draw.textlength(line, font) > width - 24:
            line = line.rsplit(" ", 1)[0]
        if i == num_lines - 1:
            line = line[: len(line) // 2]
        draw.text((12, 12 + i * (size + 8)), line, fill="black", font=font)
    return picture


def cells(rng: Random) -> Image.Image:
    """A picture of the miniature: eight labelled digits as numbers, pips or bars."""
    return render(sample_problem(rng, 3).scene, rng, "heldout" if rng.random() < 0.5 else "train")


KINDS: dict[str, Callable[[Random], Image.Image]] = {
    "diagram": diagram, "chart": chart, "table": table, "scene": scene, "plot": plot, "photo": photo,
    "page": page, "cells": cells,
}  # fmt: skip


def question(rng: Random, kind: str) -> str:
    """A question from a template; the short ones are alike on thousands of rows."""
    n, m, k = (int(value) for value in rng.integers(2, 99, 3))
    a, b, c, d = rng.permutation(list("ABCDEFGH"))[:4]
    word, other = rng.choice(WORDS, 2, replace=False)
    templates = {
        "diagram": (
            "Find x.",
            f"Find the length of {a}{b}.",
            f"In triangle {a}{b}{c}, angle {a} is {n} degrees and angle {b} is {m} degrees."
            f" What is angle {c}?",
            f"As shown in the figure, {a}{b} is parallel to {c}{d}, {a}{b} = {n} and {c}{d} = {m}."
            f" If the area of the trapezoid is {k * 10}, then its height is ()",
        ),
        "chart": (
            "What is the largest value?",
            f"What is the difference between the {word} bar and the {other} bar?",
            f"How many {word} items were sold in {1990 + n % 30} according to the chart,"
            f" if each bar counts {m} items?",
        ),
        "table": (
            f"How much do {n} {word} items cost?",
            f"The {word} shop kept a list of its sales of {other} paint over {n} days."
            f" What was the mean of the numbers, rounded to {m % 5} places?",
        ),
        "scene": (
            "How many objects are there?",
            "How many things have the same shape as the large ball?",
            f"Subtract all {word} cubes. Subtract {n} {other} balls. How many objects are left?",
        ),
        "plot": ("Which function is shown?", f"What is the value of the {word} curve at x = {n % 4}?"),
        "photo": ("What is in the picture?", f"Is the {word} thing left of the {other} thing?"),
        "page": ("Solve the problem in the picture.", "Read the text and answer the question."),
        "cells": (f"{a}+{b}-{c}=?".lower(), f"{a}-{b}=?".lower()),
    }
    return str(rng.choice(templates[kind]))


def problem(rng: Random) -> str:
    """A long question in words, formulas and numbers, as of a competition."""
    words = [str(word) for word in rng.choice(WORDS, int(rng.integers(20, 60)))]
    for place in rng.choice(len(words), len(words) // 5, replace=False):
        words[place] = f"${rng.choice(list('xyzuvw'))}_{int(rng.integers(1, 9))}={int(rng.integers(2, 999))}$"
    return "Let " + " ".join(words) + ". Determine all possible values."
