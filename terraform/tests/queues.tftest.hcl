# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                       = "photos-dev"
  visibility_timeout_seconds = 120
}

run "ten_deliveries_then_the_dead_letter_queue" {
  command = apply

  module {
    source = "./modules/queues"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.job.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.dead_letter.arn, maxReceiveCount = 10 }
    error_message = "redrive of the job queue"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letter.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.job.arn] }
    error_message = "only the job queue fills the dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.dead_letter.message_retention_seconds > aws_sqs_queue.job.message_retention_seconds && aws_sqs_queue.dead_letter.message_retention_seconds == 1209600
    error_message = "a message keeps its age when it moves"
  }
}

run "both_poll_long_are_encrypted_and_for_tls_only" {
  command = plan

  module {
    source = "./modules/queues"
  }

  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.job, aws_sqs_queue.dead_letter] : queue.receive_wait_time_seconds == 20 && queue.sqs_managed_sse_enabled && queue.visibility_timeout_seconds == 120 && queue.fifo_queue != true])
    error_message = "standard queues with long polling and encryption"
  }

  assert {
    condition     = alltrue([for document in data.aws_iam_policy_document.queue : one(document.statement).effect == "Deny" && one(one(document.statement).condition).variable == "aws:SecureTransport"])
    error_message = "without TLS everything is refused"
  }
}

run "a_customers_key_encrypts_messages" {
  command = plan

  module {
    source = "./modules/queues"
  }

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = aws_sqs_queue.job.kms_master_key_id == var.kms_key_arn && aws_sqs_queue.dead_letter.kms_master_key_id == var.kms_key_arn
    error_message = "both queues"
  }
}

run "visibility_beyond_what_sqs_takes_is_refused" {
  command = plan

  module {
    source = "./modules/queues"
  }

  variables {
    visibility_timeout_seconds = 43201
  }

  expect_failures = [var.visibility_timeout_seconds]
}
