"""langchain-openai, which sends texts where it is told not to count tokens itself."""

from langchain_openai import OpenAIEmbeddings
from seen import BASE, OTHER, TOKEN, WRONG, failure, tell


def embeddings(token=TOKEN):
    return OpenAIEmbeddings(
        model="minilm", base_url=BASE + "/v1", api_key=token, check_embedding_ctx_length=False, max_retries=0
    )


tell(
    {
        "query": len(embeddings().embed_query("good")),
        "documents": [len(each) for each in embeddings().embed_documents(["good", "bad"])],
        "wrong": failure(lambda: embeddings(WRONG).embed_query("good")),
        "other": failure(lambda: embeddings(OTHER).embed_query("good")),
    }
)
