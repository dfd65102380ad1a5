"""Says what Silero VAD hears in two voices, frame by frame: python silero_frames.py MODEL

Each frame has the 64 samples before it in front, and the state that the one before it gave, as the model's own package does it.
"""

import base64
import json
import sys

import numpy as np
import onnxruntime

RATE, FRAME, CONTEXT = 16000, 512, 64
FORMANTS = ((700, 90), (1220, 110), (2600, 160))


def voice(pitch, seconds=1.5):
    """Pulses of a throat through the formants of a vowel that moves, with pauses and a little noise."""
    count = int(RATE * seconds)
    time = np.arange(count) / RATE
    phase = np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / RATE
    pulses = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    total = np.zeros(count)
    for index, (hertz, width) in enumerate(FORMANTS):
        radius = np.exp(-np.pi * width / RATE)
        moving = hertz * (1 + 0.25 * np.sin(2 * np.pi * (1.5 + index * 0.4) * time))
        feedback = 2 * radius * np.cos(2 * np.pi * moving / RATE)
        before, last = 0.0, 0.0
        for at in range(count):
            before, last = last, pulses[at] + feedback[at] * last - radius * radius * before
            total[at] += last
    speaks = np.sin(2 * np.pi * 2 * time) > -0.4
    noise = np.random.default_rng(pitch).normal(0, 0.002, count)
    return (total * speaks / np.abs(total).max() * 0.6 + noise).astype(np.float32)


def heard(session, samples):
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros((1, CONTEXT), np.float32)
    probabilities = []
    for begin in range(0, len(samples) - FRAME + 1, FRAME):
        frame = np.concatenate([context, samples[None, begin : begin + FRAME]], axis=1)
        output, state = session.run(None, {"input": frame, "state": state, "sr": np.array(RATE, np.int64)})
        context = frame[:, -CONTEXT:]
        probabilities.append(float(output[0, 0]))
    return probabilities


session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
voices = [voice(120), voice(210)]
print(
    json.dumps(
        [{"samples": base64.b64encode(samples.tobytes()).decode(), "probabilities": heard(session, samples)} for samples in voices]
    )
)
