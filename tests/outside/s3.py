"""Another S3 client for the tests: s3.py fetch|store|make|remove ENDPOINT REGION BUCKET PREFIX [FOLDER].

Credentials in S3_KEY and S3_SECRET. fetch empties a prefix into FOLDER, store puts the files of FOLDER there,
remove deletes the object PREFIX. `s3.py serve ENDPOINT REGION` does many, for starting takes long: each line of the
input is an action with its words, tabs between them, and is answered by a line when it is done.
"""
import os
import sys
import boto3
from botocore.config import Config

action, endpoint, region = sys.argv[1:4]
s3 = boto3.client(
    "s3", endpoint_url=endpoint, region_name=region,
    aws_access_key_id=os.environ["S3_KEY"], aws_secret_access_key=os.environ["S3_SECRET"],
    config=Config(s3={"addressing_style": "path"}, proxies={}),
)


def act(action, bucket, prefix, folder=None):
    if action == "make":
        s3.create_bucket(Bucket=bucket)
    elif action == "remove":
        s3.delete_object(Bucket=bucket, Key=prefix)
    elif action == "store":
        for root, _, names in os.walk(folder):
            for name in sorted(names):
                path = os.path.join(root, name)
                with open(path, "rb") as body:
                    s3.put_object(Bucket=bucket, Key=prefix + os.path.relpath(path, folder), Body=body)
    elif action == "fetch":
        os.makedirs(folder, exist_ok=True)
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                data = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                assert len(data) == item["Size"], item
                with open(os.path.join(folder, item["Key"][len(prefix):]), "wb") as out:
                    out.write(data)
    else:
        sys.exit("unknown action " + action)


if action == "serve":
    for line in sys.stdin:
        act(*line.rstrip("\n").split("\t"))
        print("done", flush=True)
else:
    act(action, *sys.argv[4:])
