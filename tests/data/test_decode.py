"""One image of a file: upright, square, eight bits, RGB; whatever kind of file it is."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scalesearch.data.decode import ORIENTATION, decode, shorter_side
from tests.data.files import noise


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_the_middle_square_in_rgb() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = (10, 200, 30)
    decoded = decode(file_of(Image.fromarray(wide)), 10)
    assert decoded.shape == (10, 10, 3) and (decoded == (10, 200, 30)).all()
    assert (decode(file_of(Image.fromarray(wide[:, :, 1].T.copy())), 4) == 200).all()
    large = file_of(Image.new("RGB", (1600, 800), (90, 90, 90)), "JPEG")
    assert abs(decode(large, 32).astype(int) - 90).max() <= 1
    assert shorter_side(large) == 800


def test_exif_turns_an_image_upright() -> None:
    upright = Image.fromarray(noise(8, 8, 3))
    stored = {1: upright, 3: upright.rotate(180), 6: upright.rotate(90), 8: upright.rotate(-90)}
    for number, image in stored.items():
        exif = Image.Exif()
        exif[ORIENTATION] = number
        assert (decode(file_of(image, exif=exif), 8) == np.asarray(upright)).all(), number


def test_sixteen_bits_are_read_by_their_upper_eight() -> None:
    deep = np.array([[0, 255], [256, 65535]], np.uint16)
    assert decode(file_of(Image.fromarray(deep)), 2)[:, :, 0].tolist() == [[0, 0], [1, 255]]
    with pytest.raises(ValueError, match="at most 16 bits, got mode F"):
        decode(file_of(Image.new("F", (4, 4)), "TIFF"), 4)


def test_palettes_cmyk_and_the_first_frame_of_an_animation() -> None:
    red = Image.new("RGB", (6, 6), (255, 0, 0))
    palette = red.quantize(4)
    assert (decode(file_of(palette, transparency=1), 3) == (255, 0, 0)).all()
    assert (decode(file_of(red.convert("CMYK"), "TIFF"), 3) == (255, 0, 0)).all()
    blue = Image.new("RGB", (6, 6), (0, 0, 255))
    animated = file_of(red, "GIF", save_all=True, append_images=[blue])
    assert (decode(animated, 3) == (255, 0, 0)).all()


def test_other_formats_are_never_opened() -> None:
    # an EPS would be handed to Ghostscript, whatever its name
    with pytest.raises(ValueError, match="must be one of BMP, GIF"):
        decode(file_of(Image.new("RGB", (8, 8)), "EPS"), 8)
