"""Backblaze's own B2 simulator (b2sdk RawSimulator) as an HTTP server on the loopback interface, for tests.

    adapter.py          prints "listening HOST:PORT"; ends when its standard input is closed

The simulator keeps buckets, files, versions and large files; this file adds what it lacks: HTTP, tokens and their end, the
rights of a key, listing with a delimiter, ranges, and the shapes of every version of the log-in. Besides the API:

    POST /test/set    {"fail_uploads": 0.3, "seed": 1, "expire_every": 20, "cap": true, ...}   see SETTINGS
    POST /test/key    {"bucket": NAME or null, "prefix": TEXT or null, "capabilities": [...]}  -> {"id", "key"}
    POST /test/fill   {"bucket", "prefix", "suffix", "files", "versions"}                      many small files
    GET  /test/state  calls by name, versions by file name, large files without an end
"""

import base64
import hashlib
import http.server
import inspect
import io
import itertools
import json
import random
import re
import sys
import threading
import urllib.parse

from b2sdk._internal import exception as e
from b2sdk._internal.raw_api import ALL_CAPABILITIES
from b2sdk._internal.raw_simulator import BucketSimulator, RawSimulator

SETTINGS = {
    "fail_uploads": 0.0,  # part of the uploads that is refused with 503
    "seed": 1,
    "expire_every": 0,  # calls that a token is good for, 0 = no end
    "cap": False,  # every upload URL is refused: the storage cap is reached
    "part_size": 100_000_000,
    "part_min": 5_000_000,
    "login": 4,  # newest version of the log-in that is known
    "sha1_none": False,  # downloads do not tell their SHA-1
}

NEEDED = {
    "b2_list_buckets": "listBuckets", "b2_create_bucket": "writeBuckets",
    "b2_list_file_names": "listFiles", "b2_list_file_versions": "listFiles",
    "b2_list_unfinished_large_files": "listFiles", "b2_list_parts": "writeFiles",
    "b2_get_file_info": "readFiles", "b2_download_file_by_id": "readFiles",
    "b2_delete_file_version": "deleteFiles", "b2_delete_bucket": "deleteBuckets",
}

# The simulator numbers 9999 files, 200 upload URLs and 5000 seconds a bucket.
FIRST_ID = 99_999_999
BucketSimulator.FIRST_FILE_NUMBER = FIRST_ID
BucketSimulator.FIRST_FILE_ID = str(FIRST_ID)


class Refusal(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class Account:
    """The state of the one account, used under one lock: the simulator is not made for threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sim = RawSimulator()
        self.id, self.key = self.sim.create_account()
        self.inner = self.sim.authorize_account("", self.id, self.key)["authorizationToken"]
        self.set = dict(SETTINGS)
        self.random = random.Random(1)
        self.tokens = {}  # token -> [key, calls left]
        self.slots = {}  # upload token -> (simulator's URL, account token)
        self.count = 0
        self.calls = {}
        self.sent = 0

    def note(self, name):
        self.calls[name] = self.calls.get(name, 0) + 1

    def log_in(self, version, key_id, key):
        self.note("b2_authorize_account")
        if version > self.set["login"]:
            raise Refusal(400, "bad_request", "invalid version number in path")
        reply = self.sim.authorize_account("", key_id, key)
        self.count += 1
        token = f"token_{self.count}_{random.getrandbits(64):x}"
        self.tokens[token] = [self.sim.key_id_to_key[key_id], self.set["expire_every"] or -1]
        storage = reply["apiInfo"]["storageApi"]
        allowed = storage["allowed"]
        allowed["capabilities"] = sorted(allowed["capabilities"])
        buckets = allowed.get("buckets") or []
        flat = {
            "capabilities": allowed["capabilities"],
            "bucketId": buckets[0]["id"] if buckets else None,
            "bucketName": buckets[0]["name"] if buckets else None,
            "namePrefix": allowed["namePrefix"],
        }
        sizes = {
            "recommendedPartSize": self.set["part_size"],
            "absoluteMinimumPartSize": self.set["part_min"],
            "apiUrl": self.url, "downloadUrl": self.url, "s3ApiUrl": self.url,
        }
        head = {"accountId": reply["accountId"], "authorizationToken": token}
        if version >= 4:
            return head | {"apiInfo": {"storageApi": sizes | {"allowed": allowed}}}
        if version == 3:
            return head | {"apiInfo": {"storageApi": sizes | flat}}
        return head | sizes | {"allowed": flat, "minimumPartSize": self.set["part_size"]}

    def spend(self, token):
        """The key of an account token that is still good."""
        if not token:
            raise Refusal(401, "unauthorized", "no authorization")
        entry = self.tokens.get(token)
        if entry is None:
            raise Refusal(401, "bad_auth_token", "Invalid authorization token")
        if entry[1] == 0:
            raise Refusal(401, "expired_auth_token", "Authorization token has expired")
        entry[1] -= entry[1] > 0
        return entry[0]

    def allow(self, key, right, bucket_id=None, name=None):
        if right not in key.capabilities:
            raise Refusal(401, "unauthorized", f"unauthorized: {right}")
        if key.buckets_or_none and bucket_id not in [b["id"] for b in key.buckets_or_none]:
            raise Refusal(401, "unauthorized", "not this bucket")
        if key.name_prefix_or_none and name is not None:
            if not name.startswith(key.name_prefix_or_none):
                raise Refusal(401, "unauthorized", "not this prefix")

    def bucket_of(self, q):
        if "bucketId" in q:
            return q["bucketId"]
        if "fileId" in q:
            return self.sim.file_id_to_bucket_id.get(q["fileId"])
        if "bucketName" in q and q["bucketName"] in self.sim.bucket_name_to_bucket:
            return self.sim.bucket_name_to_bucket[q["bucketName"]].bucket_id
        return None

    def call(self, name, token, q):
        key = self.spend(token)
        self.note(name)
        files = name.startswith("b2_list_file_")
        who = q.get("prefix", "") if files else q.get("fileName")
        self.allow(key, NEEDED.get(name, "writeFiles"), self.bucket_of(q), who)
        if name == "b2_get_upload_url" and self.set["cap"]:
            raise Refusal(403, "storage_cap_exceeded", "Cannot upload files, storage cap exceeded")
        if files:
            return self.listing(name, q)
        method = {"b2_get_file_info": "get_file_info_by_id"}.get(name, name[3:])
        method = getattr(self.sim, method, None)
        if method is None:
            raise Refusal(400, "bad_request", f"unknown call {name}")
        given = {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), k): v for k, v in q.items()}
        given |= {"api_url": self.sim.API_URL, "account_auth_token": self.inner, "account_id": self.id}
        known = inspect.signature(method).parameters
        try:
            reply = method(**{k: v for k, v in given.items() if k in known})
        except KeyError:
            raise Refusal(404, "not_found", "file or bucket not found") from None
        if name == "b2_create_bucket":
            bucket = self.sim.bucket_id_to_bucket[reply["bucketId"]]
            bucket.upload_url_counter = itertools.count()
            bucket.upload_timestamp_counter = itertools.count(1_700_000_000_000, 1000)
        if "uploadUrl" in reply:
            self.count += 1
            slot = f"slot_{self.count}_{random.getrandbits(64):x}"
            self.slots[slot] = (reply["uploadUrl"], token)
            part = "part" if name == "b2_get_upload_part_url" else "file"
            reply |= {"uploadUrl": f"{self.url}/upload/{part}/{self.count}", "authorizationToken": slot}
        return reply

    def listing(self, name, q):
        """Pages with folders: the simulator knows no delimiter, and stops at the first name before the prefix."""
        prefix, delimiter = q.get("prefix") or "", q.get("delimiter") or ""
        most = min(q.get("maxFileCount") or 100, 10000)
        start, start_id = q.get("startFileName") or "", q.get("startFileId")
        if start < prefix:
            start, start_id = prefix, None
        out, done = [], not start.startswith(prefix)
        while not done and len(out) < most:
            args = [self.sim.API_URL, self.inner, q["bucketId"], start]
            if name == "b2_list_file_versions":
                page = self.sim.list_file_versions(*args, start_id, most - len(out), prefix)
            else:
                page = self.sim.list_file_names(*args, most - len(out), prefix)
            start, start_id = page["nextFileName"], page.get("nextFileId")
            done = start is None
            for f in page["files"]:
                rest = f["fileName"][len(prefix):]
                if delimiter and delimiter in rest:
                    folder = prefix + rest[: rest.index(delimiter) + 1]
                    if not out or out[-1]["fileName"] != folder:
                        out.append({"fileName": folder, "action": "folder", "fileId": None, "contentLength": 0})
                    if not done and start.startswith(folder):
                        start, start_id = folder + "\uffff", None
                else:
                    out.append(f | {"size": f["contentLength"]})
        reply = {"files": out, "nextFileName": None if done else start}
        if name == "b2_list_file_versions":
            reply["nextFileId"] = None if done else start_id
        return reply

    def upload(self, token, headers, data):
        self.note("b2_upload_part" if "X-Bz-Part-Number" in headers else "b2_upload_file")
        slot = self.slots.get(token)
        if slot is None:
            raise Refusal(401, "bad_auth_token", "Invalid upload token")
        url, account = slot
        self.spend(account)
        if self.random.random() < self.set["fail_uploads"]:
            self.note("refused uploads")
            del self.slots[token]
            raise Refusal(503, "service_unavailable", "no tomes available")
        sha1 = headers["X-Bz-Content-Sha1"]
        if sha1 == "do_not_verify":
            sha1 = hashlib.sha1(data).hexdigest()
        stream = io.BytesIO(data)
        if "X-Bz-Part-Number" in headers:
            return self.sim.upload_part(url, url, int(headers["X-Bz-Part-Number"]), len(data), sha1, stream)
        info = {k[10:]: urllib.parse.unquote(v) for k, v in headers.items() if k.lower().startswith("x-bz-info-")}
        name = urllib.parse.unquote(headers["X-Bz-File-Name"].replace("+", " "))
        key = self.tokens[account][0]
        self.allow(key, "writeFiles", url.split("/")[3], name)
        kind = headers.get("Content-Type", "b2/x-auto")
        return self.sim.upload_file(url, url, name, len(data), kind, sha1, info, stream)

    def download(self, token, path, query):
        key = self.spend(token)
        if path.startswith("/file/"):
            self.note("b2_download_file_by_name")
            bucket, name = path[6:].split("/", 1)
            bucket, name = urllib.parse.unquote(bucket), urllib.parse.unquote(name.replace("+", " "))
            if bucket not in self.sim.bucket_name_to_bucket:
                raise Refusal(404, "not_found", f"Bucket {bucket} does not exist")
            self.allow(key, "readFiles", self.sim.bucket_name_to_bucket[bucket].bucket_id, name)
            url = self.sim.get_download_url_by_name(self.sim.DOWNLOAD_URL, bucket, name)
        else:
            self.note("b2_download_file_by_id")
            (file_id,) = urllib.parse.parse_qs(query)["fileId"]
            self.allow(key, "readFiles", self.sim.file_id_to_bucket_id.get(file_id))
            url = self.sim.get_download_url_by_id(self.sim.DOWNLOAD_URL, file_id)
        try:
            with self.sim.download_file_from_url(self.inner, url) as reply:
                headers, data = dict(reply.headers), bytes(reply.data_bytes)
        except (KeyError, e.FileNotPresent):
            raise Refusal(404, "not_found", "File does not exist") from None
        if self.set["sha1_none"]:
            headers["x-bz-content-sha1"] = "none"
        headers.pop("content-length", None)
        return headers, data

    def test(self, what, q):
        if what == "set":
            self.set |= q
            self.random = random.Random(self.set["seed"])
            return {}
        if what == "key":
            bucket = self.sim.bucket_name_to_bucket.get(q.get("bucket"))
            made = self.sim.create_key(
                self.sim.API_URL, self.inner, self.id, q.get("capabilities") or sorted(ALL_CAPABILITIES),
                f"key-{self.count}", None, [bucket.bucket_id] if bucket else None, q.get("prefix"))
            return {"id": made["applicationKeyId"], "key": made["applicationKey"]}
        if what == "fill":
            bucket = self.sim.bucket_name_to_bucket[q["bucket"]]
            url = bucket.get_upload_url(self.inner)["uploadUrl"]
            for n in range(q["files"]):
                for v in range(q["versions"]):
                    data = b"%d" % v
                    sha1 = hashlib.sha1(data).hexdigest()
                    self.sim.upload_file(
                        url, url, f"{q['prefix']}{n:032x}{q['suffix']}", len(data), "x/y", sha1, {}, io.BytesIO(data))
            return {}
        versions, unfinished = {}, 0
        for bucket in self.sim.bucket_name_to_bucket.values():
            for (name, _), f in sorted(bucket.file_name_and_id_to_file.items()):
                versions.setdefault(f"{bucket.bucket_name}/{name}", []).append(f.action)
                unfinished += f.action == "start"
        return {"calls": self.calls, "sent": self.sent, "versions": versions, "unfinished": unfinished}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    account = None

    def log_message(self, *args):
        pass

    def body(self):
        left = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(left) if left else b""

    def reply(self, status, headers, data):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.account.sent += len(data)
            self.wfile.write(data)

    def file(self, headers, data):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            return self.reply(200, headers, data)
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self.reply(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self.reply(206, headers, data[first : last + 1])

    def serve(self):
        data, account = self.body(), self.account
        path, _, query = self.path.partition("?")
        token = self.headers.get("Authorization") or ""
        api = re.fullmatch(r"/b2api/v(\d)/(b2_\w+)", path)
        try:
            with account.lock:
                if path.startswith("/test/"):
                    out = account.test(path[6:], json.loads(data or b"{}"))
                elif api and api[2] == "b2_authorize_account":
                    key_id, _, key = base64.b64decode(token[6:]).decode().partition(":")
                    out = account.log_in(int(api[1]), key_id, key)
                elif path.startswith("/upload/"):
                    out = account.upload(token, self.headers, data)
                elif path.startswith("/file/") or (api and api[2] == "b2_download_file_by_id"):
                    token = token or dict(urllib.parse.parse_qsl(query)).get("Authorization", "")
                    if api and data:
                        query = urllib.parse.urlencode(json.loads(data))
                    return self.file(*account.download(token, path, query))
                elif api:
                    out = account.call(api[2], token, json.loads(data or b"{}"))
                else:
                    raise Refusal(404, "not_found", path)
            status = 200
        except Refusal as r:
            status, out = r.status, {"status": r.status, "code": r.code, "message": r.message}
        except e.B2Error as b:
            status, code = next((s for c, s in ERRORS if isinstance(b, c)), (400, "bad_request"))
            out = {"status": status, "code": code, "message": str(b)}
        text = json.dumps(out, default=lambda o: sorted(o) if isinstance(o, (set, frozenset)) else str(o))
        self.reply(status, {"Content-Type": "application/json;charset=utf-8"}, text.encode())

    do_GET = do_POST = do_HEAD = serve


ERRORS = [
    (e.FileSha1Mismatch, (400, "bad_request")), (e.PartSha1Mismatch, (400, "bad_request")),
    (e.InvalidAuthToken, (401, "unauthorized")), (e.Unauthorized, (401, "unauthorized")),
    (e.AccessDenied, (403, "access_denied")), (e.NonExistentBucket, (400, "bad_bucket_id")),
    (e.DuplicateBucketName, (400, "duplicate_bucket_name")), (e.FileNotPresent, (400, "file_not_present")),
    (e.ResourceNotFound, (404, "not_found")),
]


def main():
    account = Account()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"account": account}))
    server.daemon_threads = True
    host, port = server.server_address
    # Clients are told to come by this address, such as that of a proxy, if it is named.
    account.url = sys.argv[1] if len(sys.argv) > 1 else f"http://{host}:{port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening {host}:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
