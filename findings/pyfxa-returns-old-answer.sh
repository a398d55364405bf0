#!/usr/bin/env bash
# PyFxA 0.9.0 (with requests 2.34.2, urllib3 2.8.0) returns an old answer in place of a new one after a Retry-After.
#
# One would expect the call that follows an answer 500 with `Retry-After: 60` to raise, or to be sent. It does neither:
# it sends nothing and returns the old answer, a bare `requests.Response` where a dict is promised, so the caller fails
# with TypeError at its first member. The 500 itself was raised properly (ServerError). It holds for every route of the
# same client until the time is over.
#
# Foxden sends Retry-After with 429 and 503 alone, never with 500, and keeps it short where it can.
#
# Seen:
#   500: ServerError, then Response instead of dict, after 1 request
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    PyFxA==0.9.0 requests==2.34.2 urllib3==2.8.0 cryptography==50.0.2 PyJWT==2.15.1

cat > "$folder/run.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from fxa.core import Client
from fxa.errors import ServerError

seen = []


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        seen.append(self.path)
        status, wait = self.server.says
        body = json.dumps({"code": status, "errno": 114, "error": "x", "message": "x", "retryAfter": wait}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", str(wait))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

server.says = (500, 60)
client = Client(url)
try:
    client.login("ann@example.org", "a password")
    raised = "nothing"
except ServerError:
    raised = "ServerError"
found = client.apiclient.post("/get_random_bytes")
print(f"500: {raised}, then {type(found).__name__} instead of dict, after {len(seen)} request")
assert raised == "ServerError" and isinstance(found, requests.Response) and len(seen) == 1
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
