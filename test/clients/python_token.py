"""Makes a token with PyJWT, as a team's own service would. Usage: python_token.py <secret>; prints it."""
import sys
import time

import jwt

claims = {"sub": "python", "exp": int(time.time()) + 60, "data": {"permissions": ["model:*:predict", "model:*:read", "model:*:admin"]}}
print(jwt.encode(claims, sys.argv[1], algorithm="HS256"))
