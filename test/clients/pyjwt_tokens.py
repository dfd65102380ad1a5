"""Signs and verifies tokens with PyJWT. Reads a list of questions as JSON from the standard input: the name of an algorithm, the private and
the public key (PEM, or the text of a secret), and a token to verify. Prints a token of its own and what the other token says, or why it is
refused."""
import json
import sys
import time

import jwt


def answer_to(asked):
    claims = {"sub": "python", "exp": int(time.time()) + 60, "iat": int(time.time())}
    token = jwt.encode(claims, asked["private"], algorithm=asked["algorithm"])
    try:
        options = {"require": ["exp"], "enforce_minimum_key_length": True}
        read = jwt.decode(asked["token"], asked["public"], algorithms=[asked["algorithm"]], options=options)
        return {"token": token, "subject": read["sub"], "refusal": ""}
    except jwt.InvalidTokenError as error:
        return {"token": token, "subject": "", "refusal": str(error)}


print(json.dumps([answer_to(asked) for asked in json.load(sys.stdin)]))
