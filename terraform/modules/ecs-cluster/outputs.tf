# SPDX-License-Identifier: Apache-2.0

output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn
}

output "service_names" {
  description = "Names of the services, by service."
  value       = { for key, service in aws_ecs_service.this : key => service.name }
}

output "task_definition_arns" {
  description = "Task definitions that the services run, by service."
  value       = { for key, service in aws_ecs_service.this : key => service.task_definition }
}

output "log_group_names" {
  description = "Log groups, by service."
  value       = { for key, group in aws_cloudwatch_log_group.service : key => group.name }
}
