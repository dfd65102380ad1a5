"""Writes WAV files by Python's own writers, and what they hold: python wav_files.py FOLDER

Each file has a JSON file beside it: its mean of channels from -1 to 1, and the same at 16 kHz by scipy.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

folder = Path(sys.argv[1])
TARGET = 16000


def sound(rate, channels, seconds=0.05):
    time = np.arange(int(rate * seconds)) / rate
    return np.stack([0.6 * np.sin(2 * np.pi * (300 + 170 * each) * time + each) for each in range(channels)], axis=1)


def integers(values, bits):
    """The numbers of a size, and what they are from -1 to 1."""
    top = 2 ** (bits - 1)
    numbers = np.clip(np.round(values * top), -top, top - 1).astype(np.int64)
    return numbers, numbers / top


def expected(path, rate, values):
    mean = values.astype(np.float64).mean(axis=1)
    divisor = np.gcd(rate, TARGET)
    at_target = resample_poly(mean, TARGET // divisor, rate // divisor)
    path.with_suffix(".json").write_text(json.dumps({"rate": rate, "samples": mean.tolist(), "resampled": at_target.tolist()}))


for bits, rate, channels in ((8, 44100, 1), (8, 8000, 2), (16, 44100, 2), (24, 48000, 1), (24, 44100, 3), (32, 22050, 2)):
    numbers, values = integers(sound(rate, channels), bits)
    path = folder / f"wave-{bits}-{rate}-{channels}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        # 8 bits are unsigned; the others little-endian, of which the low bytes count.
        flat = (numbers + 128 if bits == 8 else numbers).reshape(-1)
        file.writeframes(b"".join(int(each).to_bytes(bits // 8, "little", signed=bits != 8) for each in flat))
    expected(path, rate, values)

for kind, rate, channels in ((np.float32, 44100, 2), (np.float64, 32000, 1)):
    values = sound(rate, channels).astype(kind)
    path = folder / f"scipy-{np.dtype(kind).name}-{rate}-{channels}.wav"
    wavfile.write(path, rate, values)
    expected(path, rate, values)
