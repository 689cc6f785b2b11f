"""Microsoft's own client for the tests: azure_client.py fetch|store|make|snapshot|sas ENDPOINT CONTAINER PREFIX [FOLDER].

Key in AZURE_KEY. fetch empties a prefix into FOLDER, store puts the files of FOLDER there, snapshot makes one of every file,
sas prints a token of the container with the rights PREFIX; one that has run out when FOLDER is `expired`.
"""
import datetime
import os
import sys
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

action, endpoint, container, prefix = sys.argv[1:5]
folder = sys.argv[5] if len(sys.argv) > 5 else ""
account, key = endpoint.rsplit("/", 1)[1], os.environ["AZURE_KEY"]
client = ContainerClient(endpoint, container, credential={"account_name": account, "account_key": key}, api_version="2021-12-02")

if action == "make":
    client.create_container()
elif action == "store":
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(root, name)
            with open(path, "rb") as body:
                client.upload_blob(prefix + os.path.relpath(path, folder), body, overwrite=True)
elif action == "fetch":
    os.makedirs(folder, exist_ok=True)
    for item in client.list_blobs(name_starts_with=prefix):
        data = client.download_blob(item.name).readall()
        md5 = client.get_blob_client(item.name).get_blob_properties().content_settings.content_md5
        assert len(data) == item.size and md5, item
        with open(os.path.join(folder, item.name[len(prefix):]), "wb") as out:
            out.write(data)
elif action == "snapshot":
    for item in list(client.list_blobs(name_starts_with=prefix)):
        client.get_blob_client(item.name).create_snapshot()
elif action == "sas":
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now + datetime.timedelta(hours=-1 if folder == "expired" else 2)
    rights = ContainerSasPermissions.from_string(prefix)
    print(generate_container_sas(account, container, account_key=key, permission=rights, expiry=end))
else:
    sys.exit("unknown action " + action)
