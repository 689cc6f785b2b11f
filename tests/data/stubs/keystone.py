#!/usr/bin/env python3
"""Keystone v2.0 and v3 in front of a Swift server with TempAuth, after the public description of OpenStack's Identity API.

Strict: a body with other fields than the documented ones is refused. The catalogue has three regions, several interfaces and other
services; only the public address of the region `Middle` is the true one. Tokens are those of Swift, so that it takes them; with
--life they are said to end after so many seconds. `GET /counts` tells how many log-ins there were.

    keystone.py SWIFT-ADDRESS [--life SECONDS]

Prints `listening on HOST:PORT` to standard error.
"""

import argparse
import datetime
import http.server
import json
import sys
import urllib.request

USER, PASSWORD, PROJECT, DOMAIN, KEY = "tester", "testing", "test", "Default", "api-key/+"
CREDENTIAL = {"id": "cred-id", "secret": "cred/secret+"}
counts = {"logins": 0, "refused": 0}


def swift_token():
    ask = urllib.request.Request(
        f"http://{args.swift}/auth/v1.0",
        headers={"X-Auth-User": f"{PROJECT}:{USER}", "X-Auth-Key": PASSWORD},
    )
    with urllib.request.urlopen(ask) as reply:
        return reply.headers["X-Auth-Token"], reply.headers["X-Storage-Url"]


def expires():
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=args.life)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Vary", "X-Auth-Token")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, title, message):
        counts["refused"] += 1
        self.answer(status, {"error": {"code": status, "message": message, "title": title}})

    def do_GET(self):
        if self.path == "/counts":
            return self.answer(200, counts)
        if self.path == "/":
            return self.answer(300, {"versions": {"values": []}})
        self.refuse(404, "Not Found", "The resource could not be found.")

    def do_POST(self):
        length = self.headers.get("Content-Length")
        if length is None:
            return self.refuse(411, "Length Required", "no length")
        text = self.rfile.read(int(length))
        if self.headers.get("Content-Type") != "application/json":
            return self.refuse(415, "Unsupported Media Type", "not application/json")
        try:
            body = json.loads(text)
        except ValueError:
            return self.refuse(400, "Bad Request", "Could not parse JSON.")
        if self.path == "/v3/auth/tokens":
            return self.version3(body)
        if self.path == "/v2.0/tokens":
            return self.version2(body)
        self.refuse(404, "Not Found", "The resource could not be found.")

    def version3(self, body):
        domain = {"name": DOMAIN}
        user = {"name": USER, "password": PASSWORD, "domain": domain}
        by_password = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": PROJECT, "domain": domain}},
        }
        by_credential = {
            "identity": {"methods": ["application_credential"], "application_credential": CREDENTIAL}
        }
        if body not in ({"auth": by_password}, {"auth": by_credential}):
            return self.refuse(401, "Unauthorized", "The request you have made requires authentication.")
        counts["logins"] += 1
        token, storage = swift_token()
        wrong = "http://127.0.0.1:1/v1/AUTH_wrong"
        endpoint = lambda interface, region, url: {
            "id": interface + region, "interface": interface, "region": region, "region_id": region, "url": url
        }
        catalog = [
            {"endpoints": [endpoint("public", "Middle", wrong)], "id": "c", "type": "compute", "name": "nova"},
            {
                "endpoints": [
                    endpoint("admin", "Middle", wrong),
                    endpoint("internal", "Middle", wrong),
                    endpoint("internal", "East", wrong),
                    endpoint("public", "Middle", storage),
                    endpoint("public", "East", wrong),
                    endpoint("public", "West", wrong),
                ],
                "id": "s", "type": "object-store", "name": "swift",
            },
        ]
        reply = {"token": {"methods": body["auth"]["identity"]["methods"], "expires_at": expires(), "catalog": catalog}}
        self.answer(201, reply, [("X-Subject-Token", token)])

    def version2(self, body):
        by_password = {"tenantName": PROJECT, "passwordCredentials": {"username": USER, "password": PASSWORD}}
        by_key = {"RAX-KSKEY:apiKeyCredentials": {"username": USER, "apiKey": KEY}}
        if body not in ({"auth": by_password}, {"auth": by_key}):
            return self.answer(401, {"unauthorized": {"code": 401, "message": "Unable to authenticate user."}})
        counts["logins"] += 1
        token, storage = swift_token()
        wrong = "http://127.0.0.1:1/v1/AUTH_wrong"
        catalog = [
            {"name": "queues", "type": "rax:queues", "endpoints": [{"region": "Middle", "publicURL": wrong}]},
            {
                "name": "swift", "type": "object-store",
                "endpoints": [
                    {"region": "East", "publicURL": wrong, "internalURL": wrong, "tenantId": PROJECT},
                    {"region": "Middle", "internalURL": wrong, "publicURL": storage, "tenantId": PROJECT},
                ],
            },
        ]
        self.answer(200, {"access": {"token": {"id": token, "expires": expires()}, "serviceCatalog": catalog}})


parser = argparse.ArgumentParser()
parser.add_argument("swift")
parser.add_argument("--life", type=int, default=3600)
args = parser.parse_args()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
