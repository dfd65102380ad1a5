"""Records what Pillow and OpenCV make of pictures, in golden.json beside this file: `python golden.py` writes it, `--check` compares."""

import hashlib
import json
import pathlib
import sys

import cv2
import numpy
from PIL import Image, __version__

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
# Shrinking, enlarging, one side alone, both, to one pixel and from one.
SIZES = [
    (160, 120, 37, 28),
    (53, 37, 112, 96),
    (100, 80, 100, 40),
    (100, 80, 50, 80),
    (1, 1, 8, 8),
    (64, 48, 1, 1),
    (33, 77, 80, 30),
    (8, 8, 3, 3),
    (5, 1, 17, 9),
    # Rows before columns, and just not.
    (60, 90, 50, 69),
    (60, 90, 50, 70),
    (60, 90, 70, 89),
    (60, 40, 90, 41),
    (40, 300, 12, 9),
    # Halved, for which OpenCV has a way of its own.
    (60, 44, 30, 22),
    # A weight of hamming differs where its constants are no floats of 32 bits.
    (46, 90, 93, 61),
]


def picture(width: int, height: int, channels: int) -> bytes:
    """Noise beside hard edges and slopes; test/support/pictures.ts has the same."""
    state = 12345
    values = bytearray()
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                noise = state >> 16 & 255
                kind = (x // 9 + y // 7) % 3
                values.append(noise if kind == 0 else (255 * ((x + channel) % 2) if kind == 1 else (x * 5 + y * 3 + channel * 40) & 255))
    return bytes(values)


def record() -> dict:
    cases = []
    for width, height, to_width, to_height in SIZES:
        for channels in (1, 3):
            image = Image.frombytes("L" if channels == 1 else "RGB", (width, height), picture(width, height, channels))
            for name, number in FILTERS.items():
                resized = image.resize((to_width, to_height), number).tobytes()
                digest = hashlib.sha256(resized).hexdigest()[:32]
                cases.append(f"{width} {height} {to_width} {to_height} {channels} {name} {digest}")
            array = numpy.frombuffer(picture(width, height, channels), numpy.uint8).reshape(height, width, channels)
            resized = cv2.resize(array, (to_width, to_height), interpolation=cv2.INTER_LINEAR).tobytes()
            digest = hashlib.sha256(resized).hexdigest()[:32]
            cases.append(f"{width} {height} {to_width} {to_height} {channels} opencv-linear {digest}")
    colours = Image.frombytes("RGB", (64, 48), picture(64, 48, 3))
    grey = hashlib.sha256(colours.convert("L").tobytes()).hexdigest()[:32]
    return {"resized": cases, "grey": grey}


path = pathlib.Path(__file__).with_suffix(".json")
found = record()
if "--check" in sys.argv:
    same = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("pillow", "opencv")} == found
    print("equal" if same else "different", f"by Pillow {__version__} and OpenCV {cv2.__version__}")
    sys.exit(0 if same else 1)
path.write_text(json.dumps({"pillow": __version__, "opencv": cv2.__version__, **found}, indent=2) + "\n")
