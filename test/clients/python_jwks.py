"""Checks access tokens with PyJWT and the published keys, as a team's own service would. Usage: python_jwks.py <address of the key set> <issuer> <token>…"""
import json
import sys

import jwt

url, issuer, *tokens = sys.argv[1:]
keys = jwt.PyJWKClient(url)
seen = []
for token in tokens:
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["ES256", "EdDSA", "RS256"], issuer=issuer, audience="vestal", options={"require": ["exp", "iat", "jti", "sub", "client_id"]})
        seen.append([jwt.get_unverified_header(token)["typ"], claims["sub"]])
    except jwt.PyJWTError as error:
        seen.append(type(error).__name__)
print(json.dumps(seen))
