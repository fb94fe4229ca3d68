# SPDX-License-Identifier: Apache-2.0

locals {
  # Giving a chunk back at the end of a task counts as a delivery too: hence 10, and not 3.
  max_receive_count = 10

  long_poll_seconds = 20 # the longest
  day               = 24 * 3600

  queues = {
    job         = aws_sqs_queue.job
    dead_letter = aws_sqs_queue.dead_letter
  }
}

resource "aws_sqs_queue" "job" {
  name                       = "${var.name}-jobs"
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = local.long_poll_seconds
  message_retention_seconds  = 7 * local.day
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = local.max_receive_count
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                       = "${var.name}-jobs-dlq"
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = local.long_poll_seconds
  # A message keeps the time at which it was first sent: it must live longer here than in the job queue.
  message_retention_seconds = 14 * local.day
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.job.arn]
  })
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queues

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]

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

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = each.value.url
  policy    = data.aws_iam_policy_document.queue[each.key].json
}
