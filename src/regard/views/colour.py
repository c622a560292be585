"""Two colour ramps of even perceived lightness, from a few control points in OKLCh.

Equal steps of weight look like equal steps of brightness, which rainbow maps do not give. OKLab and its matrices:
Ottosson 2020, "A perceptual color space for image processing".
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RampName = Literal["ember", "paper"]
Colour = tuple[int, int, int]

# lightness 0…1, chroma, hue in degrees; hues may pass 360 so that they interpolate the short way round
_CONTROL_POINTS: dict[RampName, tuple[tuple[float, float, float], ...]] = {
    # on photos: night, plum, red, orange, pale yellow
    "ember": (
        (0.14, 0.03, 290),
        (0.32, 0.13, 315),
        (0.50, 0.19, 370),
        (0.67, 0.20, 400),
        (0.83, 0.16, 435),
        (0.96, 0.10, 465),
    ),
    # on white: paper, apricot, rust, oxblood
    "paper": ((0.985, 0.006, 75), (0.84, 0.10, 65), (0.66, 0.17, 45), (0.47, 0.155, 30), (0.30, 0.10, 20)),
}

_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_LINEAR_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def ramp(name: RampName, steps: int = 256) -> NDArray[np.uint8]:
    """The ramp as ``steps`` sRGB colours, uint8 [steps, 3], from weight 0 to weight 1."""
    points = np.array(_CONTROL_POINTS[name])
    at = np.linspace(0, len(points) - 1, steps)
    lightness, chroma, hue = (np.interp(at, np.arange(len(points)), points[:, k]) for k in range(3))
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_LINEAR_RGB.T, 0, 1)
    # the sRGB transfer curve, IEC 61966-2-1
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    colours.flags.writeable = False  # cached: shared by all callers
    return colours


def colour_at(name: RampName, value: float) -> Colour:
    """The colour of ``value`` in 0…1."""
    red, green, blue = ramp(name)[round(min(max(value, 0.0), 1.0) * 255)].tolist()
    return red, green, blue
