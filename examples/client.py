"""A photo described and a sentence translated from Python, with the standard library alone.

python examples/client.py photo.jpg [http://127.0.0.1:8000]
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def post(url: str, body: bytes, content_type: str) -> Any:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as refusal:
        problem = json.load(refusal)["error"]
        sys.exit(f"{problem['code']}: {problem['message']}")


photo = Path(sys.argv[1])
service = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"

caption = post(f"{service}/v1/caption?beam=5", photo.read_bytes(), "application/octet-stream")
print(caption["text"])
for word in caption["words"]:
    rows = word["weights"]
    peak = max((weight, row, column) for row, line in enumerate(rows) for column, weight in enumerate(line))
    print(f"  {word['word']}: {word['probability']:.0%} sure, most attention at row {peak[1]}, column {peak[2]}")

sentence = {"text": caption["text"].capitalize() + ".", "from": "en", "to": "de"}
translation = post(f"{service}/v1/translate", json.dumps(sentence).encode(), "application/json")
print(translation["text"])
