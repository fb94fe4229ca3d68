# SPDX-License-Identifier: Apache-2.0

# A role is given out once it has its policy: a task that starts earlier is refused by AWS and counts as a failed start.

output "execution_role_arn" {
  description = "Role with which ECS starts tasks."
  value       = aws_iam_role.this["execution"].arn

  depends_on = [aws_iam_role_policy.this]
}

output "backend_role_arn" {
  description = "Role of the backend's tasks."
  value       = aws_iam_role.this["backend"].arn

  depends_on = [aws_iam_role_policy.this]
}

output "worker_role_arn" {
  description = "Role of the workers."
  value       = aws_iam_role.this["worker"].arn

  depends_on = [aws_iam_role_policy.this]
}

output "flow_log_role_arn" {
  description = "Role with which VPC flow logs are written; null without them."
  value       = try(aws_iam_role.this["flow-log"].arn, null)

  depends_on = [aws_iam_role_policy.this]
}
