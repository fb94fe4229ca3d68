# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                  = "photos-dev"
  partition             = "aws"
  region                = "us-east-1"
  account_id            = "111122223333"
  cluster_name          = "photos-dev"
  repository_arns       = ["arn:aws:ecr:us-east-1:111122223333:repository/photos-dev/backend"]
  log_group_names       = ["/ecs/photos/backend"]
  flow_logs_enabled     = false
  flow_log_group_name   = "/aws/vpc/photos-dev/flow-logs"
  image_bucket_arn      = "arn:aws:s3:::images"
  result_bucket_arn     = "arn:aws:s3:::results"
  job_queue_arn         = "arn:aws:sqs:us-east-1:111122223333:jobs"
  dead_letter_queue_arn = "arn:aws:sqs:us-east-1:111122223333:dead"
  job_table_arn         = "arn:aws:dynamodb:us-east-1:111122223333:table/jobs"
}

# docs/permissions.md, line by line.
run "the_backend_may_what_the_documentation_says_and_no_more" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.backend.statement : [for pair in setproduct(statement.actions, statement.resources) : join(" ", pair)]])) == toset([
      "dynamodb:BatchGetItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:PutItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:Query arn:aws:dynamodb:us-east-1:111122223333:table/jobs/index/listing",
      "dynamodb:Query arn:aws:dynamodb:us-east-1:111122223333:table/jobs/index/outbox",
      "dynamodb:UpdateItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "s3:AbortMultipartUpload arn:aws:s3:::results/*",
      "s3:GetObject arn:aws:s3:::images/*",
      "s3:GetObject arn:aws:s3:::results/*",
      "s3:ListBucket arn:aws:s3:::images",
      "s3:ListBucket arn:aws:s3:::results",
      "s3:PutObject arn:aws:s3:::images/uploads/*",
      "s3:PutObject arn:aws:s3:::results/*",
      "sqs:GetQueueAttributes arn:aws:sqs:us-east-1:111122223333:jobs",
      "sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:jobs",
    ])
    error_message = "the backend's actions and resources"
  }
}

run "a_worker_may_what_the_documentation_says_and_no_more" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.worker.statement : [for pair in setproduct(statement.actions, statement.resources) : join(" ", pair)]])) == toset([
      "dynamodb:BatchGetItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:GetItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:PutItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "dynamodb:UpdateItem arn:aws:dynamodb:us-east-1:111122223333:table/jobs",
      "ecs:UpdateTaskProtection arn:aws:ecs:us-east-1:111122223333:task/photos-dev/*",
      "s3:AbortMultipartUpload arn:aws:s3:::results/*",
      "s3:GetObject arn:aws:s3:::images/*",
      "s3:GetObject arn:aws:s3:::results/*",
      "s3:ListBucket arn:aws:s3:::images",
      "s3:ListBucket arn:aws:s3:::results",
      "s3:PutObject arn:aws:s3:::results/*",
      "sqs:ChangeMessageVisibility arn:aws:sqs:us-east-1:111122223333:dead",
      "sqs:ChangeMessageVisibility arn:aws:sqs:us-east-1:111122223333:jobs",
      "sqs:DeleteMessage arn:aws:sqs:us-east-1:111122223333:dead",
      "sqs:DeleteMessage arn:aws:sqs:us-east-1:111122223333:jobs",
      "sqs:GetQueueAttributes arn:aws:sqs:us-east-1:111122223333:jobs",
      "sqs:ReceiveMessage arn:aws:sqs:us-east-1:111122223333:dead",
      "sqs:ReceiveMessage arn:aws:sqs:us-east-1:111122223333:jobs",
      "sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:jobs",
    ])
    error_message = "the worker's actions and resources"
  }
}

run "ecs_may_pull_these_images_and_write_these_logs" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.execution.statement : [for pair in setproduct(statement.actions, statement.resources) : join(" ", pair)]])) == toset([
      "ecr:BatchCheckLayerAvailability arn:aws:ecr:us-east-1:111122223333:repository/photos-dev/backend",
      "ecr:BatchGetImage arn:aws:ecr:us-east-1:111122223333:repository/photos-dev/backend",
      "ecr:GetAuthorizationToken *",
      "ecr:GetDownloadUrlForLayer arn:aws:ecr:us-east-1:111122223333:repository/photos-dev/backend",
      "logs:CreateLogStream arn:aws:logs:us-east-1:111122223333:log-group:/ecs/photos/backend:log-stream:*",
      "logs:PutLogEvents arn:aws:logs:us-east-1:111122223333:log-group:/ecs/photos/backend:log-stream:*",
    ])
    error_message = "the execution role's actions and resources"
  }
}

run "only_tasks_of_this_account_and_region_take_the_roles" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition     = one(one(data.aws_iam_policy_document.trust_tasks.statement).principals).identifiers == toset(["ecs-tasks.amazonaws.com"])
    error_message = "ECS tasks"
  }

  assert {
    condition     = { for condition in one(data.aws_iam_policy_document.trust_tasks.statement).condition : condition.variable => one(condition.values) } == { "aws:SourceAccount" = "111122223333", "aws:SourceArn" = "arn:aws:ecs:us-east-1:111122223333:*" }
    error_message = "of this account and region"
  }

  assert {
    condition     = toset(keys(aws_iam_role.this)) == toset(["backend", "execution", "worker"]) && output.flow_log_role_arn == null
    error_message = "three roles, and none for flow logs"
  }
}

run "with_flow_logs_there_is_a_role_for_them" {
  command = apply

  module {
    source = "./modules/iam"
  }

  variables {
    flow_logs_enabled = true
  }

  assert {
    condition     = output.flow_log_role_arn == aws_iam_role.this["flow-log"].arn && alltrue([for resource in one(data.aws_iam_policy_document.flow_log.statement).resources : strcontains(resource, "/aws/vpc/photos-dev/flow-logs")])
    error_message = "a role for this log group"
  }
}

run "a_customers_key_may_be_used" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.backend, data.aws_iam_policy_document.worker] :
      one([for statement in document.statement : statement.actions if statement.resources == toset([var.kms_key_arn])]) == toset(["kms:Decrypt", "kms:GenerateDataKey"])
    ])
    error_message = "both task roles, this key"
  }
}

run "a_role_name_beyond_64_characters_is_refused" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    name = "a234567890123456789012345678901234567890123456"
  }

  expect_failures = [aws_iam_role.this]
}
