"""Records what Pillow makes of pictures, in pillow.json beside this file: `python pillow.py` writes it, `python pillow.py --check` compares."""

import hashlib
import json
import pathlib
import sys

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
]


def picture(width: int, height: int, channels: int) -> bytes:
    """Noise beside hard edges and slopes; picture.ts has the same."""
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
    colours = Image.frombytes("RGB", (64, 48), picture(64, 48, 3))
    grey = hashlib.sha256(colours.convert("L").tobytes()).hexdigest()[:32]
    return {"resized": cases, "grey": grey}


path = pathlib.Path(__file__).with_suffix(".json")
found = record()
if "--check" in sys.argv:
    same = {k: v for k, v in json.loads(path.read_text()).items() if k != "pillow"} == found
    print("equal" if same else "different", f"by Pillow {__version__}")
    sys.exit(0 if same else 1)
path.write_text(json.dumps({"pillow": __version__, **found}, indent=2) + "\n")
