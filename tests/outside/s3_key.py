"""A key that may list, read and write, and may not delete: s3_key.py HOST:PORT BUCKET USER SECRET, on a server with MinIO's
way of managing keys, whose first key is in S3_KEY and S3_SECRET. Makes the bucket."""
import json
import os
import sys
import tempfile
from minio import Minio
from minio.credentials import StaticProvider
from minio.minioadmin import MinioAdmin

place, bucket, user, secret = sys.argv[1:5]
key, first = os.environ["S3_KEY"], os.environ["S3_SECRET"]
server = Minio(endpoint=place, access_key=key, secret_key=first, secure=False, region="us-east-1")
if not server.bucket_exists(bucket_name=bucket):
    server.make_bucket(bucket_name=bucket)
rights = ["GetObject", "PutObject", "ListBucket", "GetBucketLocation", "ListMultipartUploadParts"]
policy = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Action": ["s3:" + right for right in rights],
        "Resource": ["arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"],
    }],
}
admin = MinioAdmin(endpoint=place, credentials=StaticProvider(key, first), secure=False)
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    json.dump(policy, file)
    file.flush()
    admin.policy_add(policy_name="adds", policy_file=file.name)
admin.user_add(access_key=user, secret_key=secret)
admin.policy_set(policy_name="adds", user=user)
