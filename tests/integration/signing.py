# SPDX-License-Identifier: Apache-2.0
"""Signature Version 4 for any time, by botocore's signers, which sign for now only."""
import datetime

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

REGION = "us-east-1"
FORMAT = "%Y%m%dT%H%M%SZ"


def signed(method, url, service, credentials, when=None, headers=None, body=b""):
    """An AWSRequest whose headers hold Authorization, X-Amz-Date and what else is signed."""
    request = AWSRequest(method, url, data=body, headers=headers or {})
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(
        BotoCredentials(*credentials), service, REGION)
    stamp = (when or datetime.datetime.now(datetime.timezone.utc)).strftime(FORMAT)
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    if credentials[2]:
        request.headers["X-Amz-Security-Token"] = credentials[2]
    if service == "s3":
        request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
                                        f"SignedHeaders={names}, Signature={signature}")
    return request
