"""Generated images: mountains, seas, nights and patterns, from a seeded random source."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Size = tuple[int, int]
Colour = tuple[int, int, int]
Scene = Callable[[Size, Random], Image.Image]

# Upper sky, lower sky, haze, foreground, by time of day.
PALETTES: Sequence[tuple[Colour, Colour, Colour, Colour]] = (
    ((38, 70, 120), (250, 190, 140), (214, 150, 140), (30, 34, 58)),
    ((86, 150, 205), (226, 240, 246), (168, 198, 214), (28, 62, 74)),
    ((60, 40, 92), (255, 140, 96), (196, 96, 110), (34, 20, 46)),
    ((22, 44, 84), (120, 160, 190), (92, 128, 158), (12, 26, 44)),
    ((120, 120, 160), (255, 224, 190), (222, 190, 186), (66, 60, 84)),
    ((20, 90, 104), (240, 226, 170), (150, 186, 160), (14, 50, 54)),
)


def mountains(size: Size, random: Random) -> Image.Image:
    """Mountain ridges, paler with distance, under a low sun."""
    above, below, haze, front = random.choice(PALETTES)
    picture = _gradient(size, above, below)
    _glow(picture, random.uniform(0.2, 0.8), random.uniform(0.3, 0.5), 0.5, (255, 236, 200))
    layers = random.randint(4, 6)
    for layer in range(layers):
        depth = layer / (layers - 1)
        base = 0.42 + 0.42 * depth
        _ridge(picture, random, base, 0.2 - 0.08 * depth, 0.55 + 0.1 * depth, _mix(haze, front, depth))
    return picture


def sea(size: Size, random: Random) -> Image.Image:
    """A sun over water, with its reflection."""
    above, below, _, front = random.choice(PALETTES)
    picture = _gradient(size, above, below)
    width, height = size
    horizon, sun = random.uniform(0.5, 0.62), random.uniform(0.3, 0.7)
    _glow(picture, sun, horizon - 0.1, 0.45, (255, 230, 190))
    _disc(picture, sun, horizon - 0.1, 0.035, (255, 246, 226))
    water = _gradient((width, height - int(height * horizon)), _mix(below, front, 0.45), front)
    picture.paste(water, (0, int(height * horizon)))
    light = Image.new("L", size, 0)
    draw = ImageDraw.Draw(light)
    for _ in range(260):
        depth = random.random() ** 1.5
        y = height * (horizon + (1 - horizon) * depth)
        reach = width * (0.015 + 0.1 * depth) * random.uniform(0.3, 1)
        x = width * sun + random.gauss(0, width * (0.01 + 0.07 * depth))
        draw.line((x - reach, y, x + reach, y), fill=random.randint(60, 200), width=max(1, height // 400))
    picture.paste((255, 238, 206), mask=light.filter(ImageFilter.GaussianBlur(max(1, height / 700))))
    return picture


def night(size: Size, random: Random) -> Image.Image:
    """Stars and a moon over a dark ridge."""
    top, bottom = random.choice(
        (((8, 10, 30), (40, 62, 110)), ((10, 8, 34), (96, 54, 112)), ((4, 18, 34), (24, 96, 104)))
    )
    picture = _gradient(size, top, bottom)
    width, height = size
    draw = ImageDraw.Draw(picture)
    for _ in range(int(260 * math.sqrt(width * height / 1e6))):
        x, y = random.uniform(0, width), height * random.random() ** 1.4 * 0.85
        radius = random.choice((0.4, 0.5, 0.6, 0.9, 1.4)) * max(1, height / 900)
        shade = random.randint(150, 255)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(shade, shade, 255))
    moon_x, moon_y = random.uniform(0.15, 0.85), random.uniform(0.12, 0.35)
    _glow(picture, moon_x, moon_y, 0.35, (210, 220, 255))
    _disc(picture, moon_x, moon_y, 0.05, (244, 244, 232))
    for depth in (0.0, 1.0):
        _ridge(picture, random, 0.74 + 0.1 * depth, 0.12, 0.55, _mix(bottom, (6, 8, 18), 0.6 + 0.35 * depth))
    return picture


def circles(size: Size, random: Random) -> Image.Image:
    """Soft discs of light over a gradient."""
    above, below, haze, front = random.choice(PALETTES)
    picture = _gradient(size, _mix(above, front, 0.3), below)
    for _ in range(14):
        _glow(
            picture,
            random.random(),
            random.random(),
            random.uniform(0.2, 0.7),
            random.choice((above, below, haze, (255, 250, 240))),
        )
    return picture


def waves(size: Size, random: Random) -> Image.Image:
    """Layers of paper-cut waves."""
    above, below, haze, front = random.choice(PALETTES)
    picture = Image.new("RGB", size, below)
    width, height = size
    draw = ImageDraw.Draw(picture)
    bands = 9
    for band in range(bands):
        phase, pitch = random.uniform(0, 6.3), random.uniform(1.2, 2.6)
        base, swell = height * (band + 0.6) / bands, height * 0.045
        points = [
            (x, base + swell * math.sin(phase + pitch * 6.3 * x / width)) for x in range(0, width + 8, 8)
        ]
        colour = _mix(haze, front, band / bands) if band % 2 else _mix(above, front, band / bands)
        draw.polygon([*points, (width, height), (0, height)], fill=colour)
    return picture


def tiles(size: Size, random: Random) -> Image.Image:
    """Quarter circles in tiles of a few colours."""
    colours = [*random.choice(PALETTES), (246, 238, 222)]
    width, height = size
    side = max(40, round(min(size) / random.choice((4, 5, 6))))
    picture = Image.new("RGB", size, colours[-1])
    draw = ImageDraw.Draw(picture)
    for x in range(0, width, side):
        for y in range(0, height, side):
            first, second = random.sample(colours, 2)
            draw.rectangle((x, y, x + side, y + side), fill=first)
            quadrant = random.randrange(4)
            corner_x, corner_y = x + side * (quadrant in (1, 2)), y + side * (quadrant >= 2)  # noqa: PLR2004
            box = (corner_x - side, corner_y - side, corner_x + side, corner_y + side)
            draw.pieslice(box, 90 * ((0, 1, 2, 3)[quadrant]), 90 * (quadrant + 1), fill=second)
    return picture


def badge(side: int, random: Random) -> Image.Image:
    """A flower on a transparent background."""
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    petals, colour = random.randint(6, 11), _mix(random.choice(PALETTES)[1], (255, 255, 255), 0.15)
    middle, reach, heart = side / 2, side * 0.19, side * 0.15
    for petal in range(petals):
        angle = 2 * math.pi * petal / petals
        x, y = middle + side * 0.26 * math.cos(angle), middle + side * 0.26 * math.sin(angle)
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*colour, 210))
    draw.ellipse((middle - heart, middle - heart, middle + heart, middle + heart), fill=(250, 200, 90, 255))
    return picture


def _gradient(size: Size, above: Colour, below: Colour) -> Image.Image:
    return ImageOps.colorize(Image.linear_gradient("L").resize(size), above, below)


def _glow(picture: Image.Image, x: float, y: float, reach: float, colour: Colour) -> None:
    """Add light around a point; coordinates and reach are fractions of the image's size."""
    radius = int(max(picture.size) * reach / 2)
    light = ImageChops.invert(Image.radial_gradient("L")).resize((radius * 2, radius * 2))
    mask = light.point(lambda value: max(0, value - 75) * 0.85)
    corner = int(picture.width * x) - radius, int(picture.height * y) - radius
    picture.paste(colour, (*corner, corner[0] + radius * 2, corner[1] + radius * 2), mask)


def _disc(picture: Image.Image, x: float, y: float, radius: float, colour: Colour) -> None:
    reach = min(picture.size) * radius
    cx, cy = picture.width * x, picture.height * y
    side = int(reach * 8) + 8
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((4, 4, side - 4, side - 4), fill=255)
    small = mask.resize((side // 4, side // 4), Image.Resampling.BOX)
    picture.paste(colour, (int(cx) - side // 8, int(cy) - side // 8), small)


def _ridge(
    picture: Image.Image, random: Random, base: float, height: float, rough: float, colour: Colour
) -> None:
    """Draw a ridge by midpoint displacement, filled down to the lower edge."""
    line = [random.uniform(-1, 1), random.uniform(-1, 1)]
    swing = 1.0
    while len(line) < 257:  # noqa: PLR2004 - eight halvings
        line = [
            value
            for left, right in pairwise(line)
            for value in (left, (left + right) / 2 + random.uniform(-swing, swing))
        ] + line[-1:]
        swing *= rough
    width, tall = picture.size
    points = [(width * step / 256, tall * (base + height * value * 0.6)) for step, value in enumerate(line)]
    ImageDraw.Draw(picture).polygon([*points, (width, tall), (0, tall)], fill=colour)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
