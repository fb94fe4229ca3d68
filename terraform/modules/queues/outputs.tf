# SPDX-License-Identifier: Apache-2.0

output "job_queue_url" {
  description = "URL of the queue of the work."
  value       = aws_sqs_queue.job.url
}

output "job_queue_arn" {
  description = "ARN of the queue of the work."
  value       = aws_sqs_queue.job.arn
}

output "dead_letter_queue_url" {
  description = "URL of its dead-letter queue."
  value       = aws_sqs_queue.dead_letter.url
}

output "dead_letter_queue_arn" {
  description = "ARN of its dead-letter queue."
  value       = aws_sqs_queue.dead_letter.arn
}
