# SPDX-License-Identifier: Apache-2.0

locals {
  arn_prefix = "${var.partition}:logs:${var.region}:${var.account_id}:log-group"

  log_stream_arns = [for name in var.log_group_names : "arn:${local.arn_prefix}:${name}:log-stream:*"]
  flow_group_arn  = "arn:${local.arn_prefix}:${var.flow_log_group_name}"

  roles = merge({
    execution = { trust = data.aws_iam_policy_document.trust_tasks.json, policy = data.aws_iam_policy_document.execution.json }
    backend   = { trust = data.aws_iam_policy_document.trust_tasks.json, policy = data.aws_iam_policy_document.backend.json }
    worker    = { trust = data.aws_iam_policy_document.trust_tasks.json, policy = data.aws_iam_policy_document.worker.json }
    }, var.flow_logs_enabled ? {
    flow-log = { trust = data.aws_iam_policy_document.trust_flow_logs.json, policy = data.aws_iam_policy_document.flow_log.json }
  } : {})
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  # Roles are global: the region keeps two regions of one account apart.
  name               = "${var.name}-${each.key}-${var.region}"
  assume_role_policy = each.value.trust

  lifecycle {
    precondition {
      condition     = length("${var.name}-${each.key}-${var.region}") <= 64
      error_message = "the role name ${var.name}-${each.key}-${var.region} has more than IAM's 64 characters: shorten project_name or environment."
    }
  }
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = each.value.policy
}

################################################################################
# Who takes a role
################################################################################

# The conditions keep ECS from taking these roles for somebody else's tasks.
data "aws_iam_policy_document" "trust_tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${var.partition}:ecs:${var.region}:${var.account_id}:*"]
    }
  }
}

data "aws_iam_policy_document" "trust_flow_logs" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${var.partition}:ec2:${var.region}:${var.account_id}:vpc-flow-log/*"]
    }
  }
}

################################################################################
# Execution role: what ECS does to start a task
################################################################################

data "aws_iam_policy_document" "execution" {
  # checkov:skip=CKV_AWS_356: this action knows no resources
  statement {
    sid       = "RegistryLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # the only one that this action takes
  }

  statement {
    sid       = "PullImages"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = var.repository_arns
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = local.log_stream_arns
  }
}

################################################################################
# Task roles: docs/permissions.md
################################################################################

data "aws_iam_policy_document" "backend" {
  statement {
    sid       = "ReadImages"
    actions   = ["s3:GetObject"]
    resources = ["${var.image_bucket_arn}/*"]
  }

  # Presigned URLs of POST /uploads are signed with this.
  statement {
    sid       = "StoreUploads"
    actions   = ["s3:PutObject"]
    resources = ["${var.image_bucket_arn}/uploads/*"]
  }

  # Also makes a missing key a 404 instead of a 403.
  statement {
    sid       = "ListBuckets"
    actions   = ["s3:ListBucket"]
    resources = [var.image_bucket_arn, var.result_bucket_arn]
  }

  statement {
    sid       = "KeepResults"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    resources = ["${var.result_bucket_arn}/*"]
  }

  statement {
    sid       = "SendWork"
    actions   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
    resources = [var.job_queue_arn]
  }

  statement {
    sid       = "KeepJobs"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [var.job_table_arn]
  }

  statement {
    sid       = "FindJobs"
    actions   = ["dynamodb:Query"]
    resources = ["${var.job_table_arn}/index/listing", "${var.job_table_arn}/index/outbox"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn[*]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid       = "ReadImages"
    actions   = ["s3:GetObject"]
    resources = ["${var.image_bucket_arn}/*"]
  }

  statement {
    sid       = "ListBuckets"
    actions   = ["s3:ListBucket"]
    resources = [var.image_bucket_arn, var.result_bucket_arn]
  }

  statement {
    sid       = "KeepResults"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    resources = ["${var.result_bucket_arn}/*"]
  }

  statement {
    sid       = "SendWork"
    actions   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
    resources = [var.job_queue_arn]
  }

  statement {
    sid       = "TakeWork"
    actions   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"]
    resources = [var.job_queue_arn, var.dead_letter_queue_arn]
  }

  statement {
    sid       = "KeepJobs"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [var.job_table_arn]
  }

  # Asked for through the ECS agent, while there is work.
  statement {
    sid       = "ProtectTask"
    actions   = ["ecs:UpdateTaskProtection"]
    resources = ["arn:${var.partition}:ecs:${var.region}:${var.account_id}:task/${var.cluster_name}/*"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn[*]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

################################################################################
# VPC flow logs
################################################################################

data "aws_iam_policy_document" "flow_log" {
  statement {
    sid       = "WriteFlowLogs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [local.flow_group_arn, "${local.flow_group_arn}:*"]
  }
}
