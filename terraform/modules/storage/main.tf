# SPDX-License-Identifier: Apache-2.0

################################################################################
# Buckets
################################################################################

locals {
  # Clients name images in the first bucket; no request can name a key of the second.
  buckets = {
    images  = "${var.name}-images-${var.account_id}-${var.region}"
    results = "${var.name}-results-${var.account_id}-${var.region}"
  }
  log_bucket = "${var.name}-logs-${var.account_id}-${var.region}"
  log_count  = var.access_logs_enabled ? 1 : 0

  bucket_arns = { for key, bucket in aws_s3_bucket.this : key => bucket.arn }
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV2_AWS_61: the two lifecycles differ and are below
  # checkov:skip=CKV_AWS_144: a copy in a second region doubles the price, and results can be made again from the images
  # checkov:skip=CKV2_AWS_62: nothing listens for events; jobs are submitted over HTTP
  for_each = local.buckets

  bucket        = each.value
  force_destroy = !var.deletion_protection_enabled

  lifecycle {
    precondition {
      condition     = length(each.value) <= 63
      error_message = "the bucket name ${each.value} has ${length(each.value)} characters, S3 allows 63: shorten project_name or environment."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  # checkov:skip=CKV_AWS_145: kms_key_arn sets a customer's key; S3's own costs nothing a request
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    # A bucket key makes one call of KMS serve many objects.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "images" {
  bucket = aws_s3_bucket.this["images"].id

  # The images themselves are the owner's and stay.
  rule {
    id     = "unfinished-and-replaced"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  # A lifecycle over versions is taken only once versioning is on.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "results" {
  bucket = aws_s3_bucket.this["results"].id

  # results/, manifests/, keys/, labels/ and dlq/ (docs/protocol.md): all there is.
  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }

    expiration {
      days = var.retention_days + var.result_grace_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }
  }

  # S3 does not take this together with days.
  rule {
    id     = "delete-markers"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

# Browsers put images to presigned URLs, whose headers are those of POST /uploads.
resource "aws_s3_bucket_cors_configuration" "images" {
  bucket = aws_s3_bucket.this["images"].id

  cors_rule {
    allowed_headers = ["content-type", "if-none-match"]
    allowed_methods = ["PUT"]
    allowed_origins = var.upload_origins
    expose_headers  = ["ETag"]
    max_age_seconds = 3600
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = aws_s3_bucket.this

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # S3 refuses two changes of a bucket's access at one moment.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_logging" "this" {
  for_each = var.access_logs_enabled ? aws_s3_bucket.this : {}

  bucket        = each.value.id
  target_bucket = aws_s3_bucket.log[0].id
  target_prefix = "s3/${each.key}/"

  # Logs are delivered once the policy allows it.
  depends_on = [aws_s3_bucket_policy.log]
}

################################################################################
# Access logs
################################################################################

resource "aws_s3_bucket" "log" {
  # checkov:skip=CKV_AWS_18: a bucket that logs to itself never comes to rest
  # checkov:skip=CKV_AWS_21: log objects are written once; versions would only keep what has expired
  # checkov:skip=CKV_AWS_144: logs of one region's load balancer and buckets
  # checkov:skip=CKV_AWS_145: load balancers write to buckets with S3's own key only
  # checkov:skip=CKV2_AWS_62: nothing listens for events
  count = local.log_count

  bucket        = local.log_bucket
  force_destroy = !var.deletion_protection_enabled
}

resource "aws_s3_bucket_public_access_block" "log" {
  count = local.log_count

  bucket                  = aws_s3_bucket.log[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "log" {
  count = local.log_count

  bucket = aws_s3_bucket.log[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Load balancers write to buckets with S3's own key only.
resource "aws_s3_bucket_server_side_encryption_configuration" "log" {
  count = local.log_count

  bucket = aws_s3_bucket.log[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "log" {
  count = local.log_count

  bucket = aws_s3_bucket.log[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }

    expiration {
      days = var.access_log_retention_days
    }
  }
}

data "aws_iam_policy_document" "log" {
  count = local.log_count

  statement {
    sid       = "LoadBalancerWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.log[0].arn}/load-balancer/*"]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }

  statement {
    sid       = "BucketsWrite"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.log[0].arn}/s3/*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = values(local.bucket_arns)
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.log[0].arn, "${aws_s3_bucket.log[0].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "log" {
  count = local.log_count

  bucket = aws_s3_bucket.log[0].id
  policy = data.aws_iam_policy_document.log[0].json

  depends_on = [aws_s3_bucket_public_access_block.log]
}

################################################################################
# Table of the jobs
################################################################################

# Its items: docs/protocol.md.
resource "aws_dynamodb_table" "job" {
  # checkov:skip=CKV_AWS_119: kms_key_arn sets a customer's key; AWS's own encrypts at no price
  name                        = "${var.name}-jobs"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  deletion_protection_enabled = var.deletion_protection_enabled

  dynamic "attribute" {
    for_each = { pk = "S", obs = "N", obd = "N", lst = "S", crt = "S" }

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  # When to look at a live job next.
  global_secondary_index {
    name            = "outbox"
    projection_type = "KEYS_ONLY"

    key_schema {
      attribute_name = "obs"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "obd"
      key_type       = "RANGE"
    }
  }

  # GET /jobs, newest first.
  global_secondary_index {
    name               = "listing"
    projection_type    = "INCLUDE"
    non_key_attributes = ["st"]

    key_schema {
      attribute_name = "lst"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "crt"
      key_type       = "RANGE"
    }
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}
