"""One image from the bytes of a file: turned upright, cropped to a square, of 8 bits in RGB."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

# Pillow opens by content, not by name; only these, for some other formats run programs
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 2**26  # of one image, 8192 x 8192; of a JPEG file after it is decoded smaller


def decode(content: bytes, side: int) -> NDArray[np.uint8]:
    """The image in those bytes, turned as EXIF says, its middle square antialiased to (side, side,
    3). Of an animation it is the first frame; transparent pixels keep their colour.

    Raises whatever Pillow does; ValueError for pixels of more than 16 bits and for more of them
    than MOST_PIXELS.
    """
    with opened(content) as image:
        image.draft(None, (side, side))  # a JPEG far too large is decoded at a fraction of its size
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"it must have at most {MOST_PIXELS} pixels, got {width} x {height}")
        square = min(width, height)
        left, top = (width - square) // 2, (height - square) // 2
        cropped = image.crop((left, top, left + square, top + square))
        orientation = image.getexif().get(ORIENTATION, 1)
        small = coloured(cropped).resize((side, side), Image.Resampling.BILINEAR)
        return np.asarray(turned(small, orientation), dtype=np.uint8)


def shorter_side(content: bytes) -> int:
    """Pixels of the shorter side, as the header says. Raises whatever Pillow does."""
    with opened(content) as image:
        return min(image.size)


def opened(content: bytes) -> Image.Image:
    """The image in those bytes, of which Pillow has read the header.

    Raises ValueError for other files than FORMATS.
    """
    with warnings.catch_warnings():  # of many pixels, of which there is a limit here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:  # Pillow's own words name an object in memory
            raise ValueError(f"it must be one of {', '.join(FORMATS)}, got another file") from None


ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image upright, by EXIF's number of its orientation; 1 and unknown ones are upright."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def coloured(image: Image.Image) -> Image.Image:
    """The image in RGB, of whatever mode. Raises ValueError for pixels of more than 16 bits."""
    if image.mode.startswith("I;16"):  # Pillow would cut off all above 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"pixels must have at most 16 bits, got mode {image.mode}")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
