"""What each script of this folder needs: where the server is, its tokens, and what a client made of a failure."""

import json
import os

BASE, BUSY = os.environ["BASE"], os.environ["BUSY"]
TOKEN, OTHER = os.environ["TOKEN"], os.environ["OTHER"]
WRONG = "a.b.c"


def failure(work):
    """The class of what is thrown, and whether it has the server's text."""
    try:
        return ["no failure", str(work())[:200]]
    except Exception as error:  # noqa: BLE001: which class it is, is the question
        return [type(error).__name__, str(error)]


def tell(seen):
    print(json.dumps(seen))
