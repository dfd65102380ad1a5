"""InferenceClient of huggingface_hub: the model is an address."""

import os

from huggingface_hub import InferenceClient
from seen import BASE, BUSY, OTHER, TOKEN, WRONG, failure, tell


PICTURE = os.environ["PICTURE"]


def model(name, base=BASE, token=TOKEN):
    return InferenceClient(model=f"{base}/models/{name}", token=token)


def labels(elements):
    return [[each.label, round(each.score, 4)] for each in elements]


def entities(text, **more):
    return model("names").token_classification(text, **more)


def best(elements):
    return elements[0].label


def boxes(elements):
    return [[each.label, each.box.xmin, each.box.ymin, each.box.xmax, each.box.ymax] for each in elements]


def areas(elements):
    """The client opens each mask with Pillow."""
    return sorted([each.label, *each.mask.size] for each in elements)


tell(
    {
        "features": list(model("minilm").feature_extraction("good").shape),
        "raw": [round(float(each), 4) for each in model("minilm").feature_extraction("good", normalize=False)[0]],
        "prompt": model("minilm").feature_extraction("bad", prompt_name="passage").tolist()
        == model("minilm").feature_extraction("good bad").tolist(),
        "similarity": [round(each, 4) for each in model("minilm").sentence_similarity("good", other_sentences=["good", "bad"])],
        "classes": labels(model("mood").text_classification("bad")),
        "top": labels(model("mood").text_classification("bad", top_k=1, function_to_apply="none")),
        "entities": [[each.entity_group, each.word, each.start, each.end] for each in entities("😀 ada is paris")],
        "tokens": [[each.entity, each.word] for each in entities("adas", aggregation_strategy="none")],
        "topics": labels(model("topics").zero_shot_classification("alpha", ["good", "film"])),
        "multi": labels(model("topics").zero_shot_classification("alpha", ["film"], multi_label=True)),
        "filled": [[each.token_str, each.sequence] for each in model("gaps").fill_mask("good [MASK]", top_k=1)],
        # Without parameters the picture is the body, and with one it is base64 in JSON.
        "colours": [best(model("colours").image_classification(PICTURE, **more)) for more in ({}, {"top_k": 1})],
        "things": [boxes(model("things").object_detection(PICTURE, **more)) for more in ({}, {"threshold": 0.5})],
        "areas": [areas(model("areas").image_segmentation(PICTURE, **more)) for more in ({}, {"subtask": "semantic"})],
        "no picture": failure(lambda: model("colours").image_classification(b"no picture")),
        "wrong": failure(lambda: model("mood", token=WRONG).text_classification("bad")),
        "none": failure(lambda: model("mood", token=None).text_classification("bad")),
        "other": failure(lambda: model("mood", token=OTHER).text_classification("bad")),
        "unknown": failure(lambda: model("nothing").text_classification("bad")),
        "task": failure(lambda: model("plain").text_classification("bad")),
        "busy": failure(lambda: model("mood", base=BUSY).text_classification("bad")),
    }
)
