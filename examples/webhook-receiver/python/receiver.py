"""Takes what Penstock sends to a webhook endpoint, verifies it and prints a line for
each event: its id, its type, and the job's id and status. Python 3.9 or later, and
nothing else.

    PENSTOCK_WEBHOOK_SECRET=whsec_… python3 receiver.py [--addr 127.0.0.1:8090] [--remember 10000]

It verifies v1, by shared secrets. Python's standard library has no ed25519, so v1a, by
public keys (whpk_…), takes a package such as `cryptography` and is not shown here.

parse_secrets and verify are what an application copies: everything down to the line.
"""

import argparse
import base64
import hmac
import http.server
import json
import os
import re
import sys
import threading
import time

TOLERANCE = 5 * 60  # seconds, both ways


class Refused(Exception):
    """What is wrong with a request, and the status to answer with."""

    def __init__(self, status, word):
        super().__init__(word)
        self.status = status


def parse_secrets(text):
    """Reads secrets, whsec_…, separated by spaces. There are two while an endpoint's
    secret is being rotated."""
    secrets = [parse_secret(secret) for secret in text.split()]
    if not secrets:
        raise ValueError("no secret: put the endpoint's whsec_… into PENSTOCK_WEBHOOK_SECRET")
    return secrets


def parse_secret(text):
    if text.startswith("whpk_"):
        raise ValueError("a public key, whpk_…, is of no use here: this receiver verifies by whsec_… alone")
    try:
        secret = base64.b64decode(text[len("whsec_"):])
    except ValueError:
        secret = b""
    if text != "whsec_" + base64.b64encode(secret).decode() or not 24 <= len(secret) <= 64:
        raise ValueError("a secret is not whsec_ and base64 of the right length")
    return secret


def verify(headers, body, secrets, now=None):
    """Returns the event's id if one of the signatures was made over the body by one of
    the secrets, within five minutes of now; raises Refused otherwise. headers is what
    web frameworks call so: the case of names must not count. body is the bytes that
    came, as they came: parsing and printing them again breaks the signature."""
    event_id = headers.get("webhook-id") or ""
    timestamp = headers.get("webhook-timestamp") or ""
    signatures = (headers.get("webhook-signature") or "").split()
    # An id is visible ASCII without a dot: dots separate the parts of what is signed.
    formed = re.fullmatch(r"[!-\-/-~]{1,255}", event_id) and re.fullmatch(r"[0-9]{1,12}", timestamp)
    if not formed or not 1 <= len(signatures) <= 16:
        raise Refused(400, "malformed headers")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE:
        raise Refused(401, "stale timestamp")
    message = f"{event_id}.{timestamp}.".encode() + body
    for secret in secrets:
        want = b"v1," + base64.b64encode(hmac.digest(secret, message, "sha256"))
        for signature in signatures:
            if hmac.compare_digest(signature.encode(), want):
                return event_id
    raise Refused(401, "wrong signature")


# -----------------------------------------------------------------------------------

MAX_BODY = 1 << 20  # bytes; an event with its result has at most some 300 KB


def parse_event(body):
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Refused(400, "not an event")
    return event


def handle(event_id, event):
    """Does what there is to do for an event."""
    data = event.get("data")
    if not isinstance(data, dict):
        data = {}
    print(event_id, event["type"], data.get("id") or "-", data.get("status") or "-", flush=True)


class Receiver(http.server.ThreadingHTTPServer):
    """Takes events. Its answers tell the sender what to do: 2xx is delivered, all else
    comes again."""

    daemon_threads = True

    def __init__(self, address, secrets, remember):
        super().__init__(address, Handler)
        self.secrets = secrets
        self.remember = remember
        self.seen = {}  # ids, the oldest first
        self.lock = threading.Lock()

    def once(self, event_id, event):
        """Handles an event that was not handled before. Events come at least once,
        always with the same id. An application keeps ids in its database, and this one
        in the transaction of what it does with the event; what takes longer than a few
        seconds it does after the answer."""
        with self.lock:
            if event_id in self.seen:
                return
            handle(event_id, event)
            self.seen[event_id] = True
            if len(self.seen) > self.remember:
                del self.seen[next(iter(self.seen))]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 15  # seconds without a byte

    def do_POST(self):
        try:
            body = self.read_body()
            event_id = verify(self.headers, body, self.server.secrets)
            self.server.once(event_id, parse_event(body))
        except Refused as refused:
            self.answer(refused.status, str(refused))
        else:
            self.answer(204)

    def do_GET(self):
        self.answer(405, "events are posted", {"Allow": "POST"})

    def read_body(self):
        length = self.headers.get("Content-Length") or ""
        if not re.fullmatch(r"[0-9]{1,18}", length):
            self.close_connection = True
            raise Refused(411, "length required")
        if int(length) > MAX_BODY:
            self.drop(min(int(length), 16 * MAX_BODY))
            raise Refused(413, "body too large")
        return self.rfile.read(int(length))

    def drop(self, left):
        """Reads what is not wanted, so that its sender gets the answer."""
        self.close_connection = True
        while left > 0 and self.rfile.read(min(left, 1 << 16)):
            left -= 1 << 16

    def answer(self, status, word="", headers=()):
        text = f"{word}\n".encode() if word else b""
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if word:
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass  # a line for each event is enough


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--addr", default="127.0.0.1:8090")
    parser.add_argument("--remember", type=int, default=10_000)
    options = parser.parse_args()
    try:
        secrets = parse_secrets(os.environ.get("PENSTOCK_WEBHOOK_SECRET", ""))
    except ValueError as error:
        print(f"receiver.py: {error}", file=sys.stderr)
        sys.exit(2)
    host, _, port = options.addr.rpartition(":")
    server = Receiver((host, int(port)), secrets, options.remember)
    print(f"listening on http://{host}:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
