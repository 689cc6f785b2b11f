"""Clients of providers, by the providers: cloud_clients.py gcs|swift fetch|store ADDRESS BUCKET PREFIX FOLDER.

gcs: Google's own, with the access token in TOKEN; swift: OpenStack's own, by log-in v1 of the tests' server.
fetch copies what lies below a prefix into FOLDER, store puts the files of FOLDER there, the digest of each checked on the way.
"""
import hashlib
import os
import sys

service, action, address, bucket, prefix, folder = sys.argv[1:7]


class Gcs:
    def __init__(self):
        from google.cloud import storage
        from google.oauth2.credentials import Credentials
        login = Credentials(token=os.environ["TOKEN"])
        client = storage.Client(project="p", credentials=login, client_options={"api_endpoint": address})
        self.bucket = client.bucket(bucket)

    def names(self):
        return [blob.name for blob in self.bucket.list_blobs(prefix=prefix)]

    def get(self, name):
        return self.bucket.blob(name).download_as_bytes(checksum="md5")

    def put(self, name, path):
        self.bucket.blob(name, chunk_size=1 << 20).upload_from_filename(path, checksum="md5")


class Swift:
    def __init__(self):
        from swiftclient.client import Connection
        self.connection = Connection(authurl=address, user="test:tester", key="testing", auth_version="1", retries=1)
        self.connection.put_container(bucket)

    def names(self):
        return [item["name"] for item in self.connection.get_container(bucket, prefix=prefix, full_listing=True)[1]]

    def get(self, name):
        head, data = self.connection.get_object(bucket, name)
        assert hashlib.md5(data).hexdigest() == head["etag"], name
        return data

    def put(self, name, path):
        with open(path, "rb") as body:
            data = body.read()
        etag = self.connection.put_object(bucket, name, data, etag=hashlib.md5(data).hexdigest())
        assert etag == hashlib.md5(data).hexdigest(), name


client = {"gcs": Gcs, "swift": Swift}[service]()
if action == "store":
    for name in sorted(os.listdir(folder)):
        client.put(prefix + name, os.path.join(folder, name))
elif action == "fetch":
    os.makedirs(folder, exist_ok=True)
    for name in client.names():
        with open(os.path.join(folder, name[len(prefix):]), "wb") as out:
            out.write(client.get(name))
else:
    sys.exit("unknown action " + action)
