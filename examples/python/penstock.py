"""Asks one question and a small batch of them, with nothing but the standard library."""

import json
import os
import urllib.request
import uuid

BASE = os.environ.get("PENSTOCK_URL", "http://127.0.0.1:8080")


def ask(prompt):
    return {"model": "default", "messages": [{"role": "user", "content": prompt}]}


def call(method, path, body=None, **headers):
    """Makes a request. What is refused is a urllib.error.HTTPError whose body says why."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": "application/json", **headers}, method=method)
    return urllib.request.urlopen(request, timeout=90)


def submit(path, body):
    # Keep the key, and the submission can be repeated without being made twice.
    return json.load(call("POST", path, body, **{"Idempotency-Key": str(uuid.uuid4())}))


def wait(path, ended):
    while True:
        thing = json.load(call("GET", path + "?wait=60s"))
        if thing["status"] in ended:
            return thing


def text(result):
    return result["choices"][0]["message"]["content"]


job = submit("/v1/jobs", {"request": ask("Name three rivers.")})
job = wait("/v1/jobs/" + job["id"], ("succeeded", "failed", "cancelled", "expired"))
if job["error"]:
    raise SystemExit(job["error"]["message"])
print("chat:", text(job["result"]))

batch = submit("/v1/job-batches", {"requests": [
    {"custom_id": "lake", "request": ask("Name a lake.")},
    {"custom_id": "sea", "request": ask("Name a sea.")},
]})
batch = wait("/v1/job-batches/" + batch["id"], ("completed", "failed", "cancelled", "expired"))
print("batch:", batch["status"], batch["counts"]["succeeded"], "of", batch["counts"]["total"])
with call("GET", "/v1/job-batches/" + batch["id"] + "/results") as lines:
    for line in map(json.loads, lines):
        print(line["custom_id"] + ":", line["error"] or text(line["result"]))
