"""LlamaIndex with Text Embeddings Inference, which never looks at the status."""

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from seen import BASE, OTHER, TOKEN, failure, tell


def embedding(token=TOKEN):
    return TextEmbeddingsInference(model_name="minilm", base_url=BASE + "/models/minilm", auth_token=token)


tell(
    {
        "text": len(embedding().get_text_embedding("good")),
        "query": len(embedding().get_query_embedding("good")),
        "many": len(embedding().get_text_embedding_batch(["good"] * 33)),
        "none": failure(lambda: embedding(None).get_text_embedding("good"))[0],
        "other": failure(lambda: embedding(OTHER).get_text_embedding("good"))[0],
    }
)
