"""The store of the cluster, as pods and as this machine reach it."""

import json

from bed.layout import MINIO_IP

KEYS = {"AWS_ACCESS_KEY_ID": "spica", "AWS_SECRET_ACCESS_KEY": "spica-secret", "AWS_REGION": "us-east-1"}
INSIDE, OUTSIDE = "http://minio.spica-storage.svc:9000", f"http://{MINIO_IP}:9000"


def storage_secret(name: str, **changes: str) -> str:
    """The storage's secret as the install guide has it."""
    annotations = {
        "serving.kserve.io/s3-endpoint": INSIDE.removeprefix("http://"),
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-region": "us-east-1",
    }
    data = KEYS | {"AWS_ENDPOINT_URL_S3": INSIDE} | changes
    metadata = {"name": name, "annotations": annotations}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
