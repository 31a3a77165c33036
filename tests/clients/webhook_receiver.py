"""Receives webhooks using only Python's standard library. docs/WEBHOOKS.md shows its functions.

It listens on a free port of this machine, prints the port, and then a line for each delivery: its id if the signature is
good, `refused` if not.
"""

import base64, hashlib, hmac, re, time
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer


def verify(secrets: list[str], headers, body: bytes) -> bool:
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,18}", timestamp) or abs(time.time() - int(timestamp)) > 300:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    given = [part[3:].encode() for part in headers.get("webhook-signature", "").split(" ") if part.startswith("v1,")]
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
        if any(hmac.compare_digest(expected, signature) for signature in given):
            return True
    return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        good = verify(os.environ["WEBHOOK_SECRETS"].split(), self.headers, body)
        print(self.headers["webhook-id"] if good else "refused", flush=True)
        self.send_response(204 if good else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_port, flush=True)
    sys.exit(server.serve_forever())
