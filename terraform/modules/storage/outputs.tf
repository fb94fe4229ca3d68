# SPDX-License-Identifier: Apache-2.0

output "image_bucket" {
  description = "Name of the bucket of the clients' images."
  value       = aws_s3_bucket.this["images"].bucket
}

output "image_bucket_arn" {
  description = "ARN of the bucket of the clients' images."
  value       = aws_s3_bucket.this["images"].arn
}

output "result_bucket" {
  description = "Name of the bucket of manifests and results."
  value       = aws_s3_bucket.this["results"].bucket
}

output "result_bucket_arn" {
  description = "ARN of the bucket of manifests and results."
  value       = aws_s3_bucket.this["results"].arn
}

output "access_log_bucket" {
  description = "Name of the bucket of access logs, once it takes them; null without access logs."
  value       = one(aws_s3_bucket.log[*].bucket)

  depends_on = [aws_s3_bucket_policy.log, aws_s3_bucket_server_side_encryption_configuration.log]
}

output "job_table" {
  description = "Name of the table of the jobs."
  value       = aws_dynamodb_table.job.name
}

output "job_table_arn" {
  description = "ARN of the table of the jobs."
  value       = aws_dynamodb_table.job.arn
}
