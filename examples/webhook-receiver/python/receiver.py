"""Takes what Penstock sends to a webhook endpoint, verifies it and prints a line for each
event: its webhook-id, its type, and the job's id and status. Python 3.9 or later, and
nothing else; by shared secrets (v1) alone, see verify.py.

    PENSTOCK_WEBHOOK_SECRET=whsec_… python3 receiver.py [--addr 127.0.0.1:8090] [--remember 10000]
"""

import argparse
import http.server
import json
import os
import re
import sys
import threading

from verify import Refused, parse_secrets, verify

MAX_BODY = 1 << 20  # bytes; an event with its result has at most some 300 KB


def parse_event(body):
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Refused(400, "not an event")
    return event


def handle(webhook_id, event):
    """Does what there is to do for an event."""
    data = event.get("data")
    if not isinstance(data, dict):
        data = {}
    print(webhook_id, event["type"], data.get("id") or "-", data.get("status") or "-", flush=True)


class Receiver(http.server.ThreadingHTTPServer):
    """Takes events. Its answers tell the sender what to do: 2xx is delivered, all else
    comes again."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, secrets, remember):
        super().__init__(address, Handler)
        self.secrets = secrets
        self.remember = remember
        self.seen = {}  # ids, the oldest first
        self.lock = threading.Lock()

    def once(self, webhook_id, event):
        """Handles an event that was not handled before. Events come at least once,
        always with the same id. An application keeps ids in its database, and this one
        in the transaction of what it does with the event; what takes longer than a few
        seconds it does after the answer."""
        with self.lock:
            if webhook_id in self.seen:
                return
            handle(webhook_id, event)
            self.seen[webhook_id] = True
            if len(self.seen) > self.remember:
                del self.seen[next(iter(self.seen))]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 15  # seconds without a byte

    def do_POST(self):
        try:
            body = self.read_body()
            webhook_id = verify(self.headers, body, self.server.secrets)
            self.server.once(webhook_id, parse_event(body))
        except Refused as refused:
            self.answer(refused.status, str(refused))
        else:
            self.answer(204)

    def do_GET(self):
        self.close_connection = True
        self.answer(405, "events are posted", {"Allow": "POST"})

    def read_body(self):
        length = self.headers.get("Content-Length") or ""
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"[0-9]{1,18}", length):
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
