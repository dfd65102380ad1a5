"""A client that signs in, renews its token before it ends, and tries again where the answer says when."""
import os
import time

import requests


class Vestal:
    def __init__(self, base, name, password):
        self.base = base
        self.http = requests.Session()
        self._keep(self._post("/auth/", {"name": name, "password": password, "session": "token"}))

    def predict(self, model, rows, tries=4):
        """Rows in, rows out. A 429 or 503 brings Retry-After and has computed nothing that lasts, so it is safe to ask again."""
        for left in range(tries - 1, -1, -1):
            if time.monotonic() > self.renew_at:
                self._keep(self._post("/auth/refresh/", {"refresh_token": self.refresh_token}))
            answer = self.http.post(f"{self.base}/models/{model}/predict/", json={"input": rows}, timeout=30)
            if answer.status_code not in (429, 503) or left == 0:
                return self._read(answer)["output"]
            time.sleep(float(answer.headers.get("Retry-After", 1)))

    def _keep(self, tokens):
        self.refresh_token = tokens["refresh_token"]
        self.renew_at = time.monotonic() + tokens["expires_in"] * 0.8
        self.http.headers["Authorization"] = f"Bearer {tokens['token']}"

    def _post(self, path, body):
        return self._read(self.http.post(self.base + path, json=body, timeout=10))

    def _read(self, answer):
        if not answer.ok:
            raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.json()['detail']}")
        return answer.json()


if __name__ == "__main__":
    client = Vestal(os.environ.get("VESTAL_URL", "http://127.0.0.1:8000"), os.environ["VESTAL_NAME"], os.environ["VESTAL_PASSWORD"])
    for row in client.predict("iris", [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]):
        print(row["label"])
