"""Verifies what Penstock sends to a webhook endpoint: Standard Webhooks, v1. Python 3.9 or
later, and nothing else. Copy it.

Python's standard library has no ed25519: v1a, by public keys (whpk_…), takes a package
such as `cryptography` and is not done here.
"""

import base64
import hmac
import re
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
        raise ValueError("a public key, whpk_…, is of no use here: whsec_… is what verifies here")
    try:
        secret = base64.b64decode(text[len("whsec_"):])
    except ValueError:
        secret = b""
    if text != "whsec_" + base64.b64encode(secret).decode() or not 24 <= len(secret) <= 64:
        raise ValueError("a secret is not whsec_ and base64 of the right length")
    return secret


def verify(headers, body, secrets, now=None):
    """Returns the webhook-id if one of the signatures was made over the body by one of
    the secrets, within five minutes of now; raises Refused otherwise. headers is what
    web frameworks call so: the case of names must not count. body is the bytes that
    came, as they came: parsing and printing them again breaks the signature."""
    webhook_id = headers.get("webhook-id") or ""
    timestamp = headers.get("webhook-timestamp") or ""
    signatures = (headers.get("webhook-signature") or "").split()
    # An id is visible ASCII without a dot: dots separate the parts of what is signed.
    formed = re.fullmatch(r"[!-\-/-~]{1,255}", webhook_id) and re.fullmatch(r"[0-9]{1,12}", timestamp)
    if not formed or not 1 <= len(signatures) <= 16:
        raise Refused(400, "malformed headers")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE:
        raise Refused(401, "stale timestamp")
    message = f"{webhook_id}.{timestamp}.".encode() + body
    for secret in secrets:
        want = b"v1," + base64.b64encode(hmac.digest(secret, message, "sha256"))
        for signature in signatures:
            if hmac.compare_digest(signature.encode(), want):
                return webhook_id
    raise Refused(401, "wrong signature")
