"""InferenceClient of huggingface_hub: the model is an address."""

from huggingface_hub import InferenceClient
from seen import BASE, BUSY, OTHER, TOKEN, WRONG, failure, tell


def model(name, base=BASE, token=TOKEN):
    return InferenceClient(model=f"{base}/models/{name}", token=token)


def labels(elements):
    return [[each.label, round(each.score, 4)] for each in elements]


tell(
    {
        "features": list(model("minilm").feature_extraction("good").shape),
        "raw": [round(float(each), 4) for each in model("minilm").feature_extraction("good", normalize=False)[0]],
        "prompt": model("minilm").feature_extraction("bad", prompt_name="passage").tolist()
        == model("minilm").feature_extraction("good bad").tolist(),
        "similarity": [round(each, 4) for each in model("minilm").sentence_similarity("good", other_sentences=["good", "bad"])],
        "classes": labels(model("mood").text_classification("bad")),
        "top": labels(model("mood").text_classification("bad", top_k=1, function_to_apply="none")),
        "wrong": failure(lambda: model("mood", token=WRONG).text_classification("bad")),
        "none": failure(lambda: model("mood", token=None).text_classification("bad")),
        "other": failure(lambda: model("mood", token=OTHER).text_classification("bad")),
        "unknown": failure(lambda: model("nothing").text_classification("bad")),
        "task": failure(lambda: model("plain").text_classification("bad")),
        "busy": failure(lambda: model("mood", base=BUSY).text_classification("bad")),
    }
)
