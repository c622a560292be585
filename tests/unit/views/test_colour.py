import numpy as np
import pytest

from regard.views.colour import colour_at, ramp


def _lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* from sRGB, an independent measure of brightness."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


@pytest.mark.parametrize(("name", "sign"), [("ember", 1), ("paper", -1)])
def test_brightness_runs_one_way_in_even_steps(name, sign) -> None:
    steps = sign * np.diff(_lightness(ramp(name, 17) / 255))
    assert steps.min() > 0
    assert steps.max() < 3.5 * steps.min()


def test_values_beside_the_range_take_the_ends() -> None:
    assert colour_at("paper", -1) == tuple(ramp("paper")[0])
    assert colour_at("paper", 2) == tuple(ramp("paper")[-1])
    assert colour_at("ember", 0.5) == tuple(ramp("ember")[128])


def test_the_shared_ramp_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ramp("ember")[0] = 0
