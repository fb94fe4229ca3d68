# SPDX-License-Identifier: Apache-2.0

output "alb_endpoint" {
  description = "URL of the API, as curl takes it."
  value       = module.load_balancer.endpoint
}

output "alb_dns_name" {
  description = "Name of the load balancer; what the DNS record of https.domain_name points to."
  value       = module.load_balancer.dns_name
}

output "image_bucket" {
  description = "Bucket of the images that jobs name."
  value       = module.storage.image_bucket
}

output "result_bucket" {
  description = "Bucket of manifests and results."
  value       = module.storage.result_bucket
}

output "job_queue_url" {
  description = "Queue of the work."
  value       = module.queues.job_queue_url
}

output "dead_letter_queue_url" {
  description = "Its dead-letter queue."
  value       = module.queues.dead_letter_queue_url
}

output "job_table" {
  description = "Table of the jobs."
  value       = module.storage.job_table
}

output "image_digests" {
  description = "Digests of the images that run, by service."
  value       = module.container_registry.image_digests
}

output "image_tags" {
  description = "Tags of these images, hashes of their sources, by service."
  value       = module.container_registry.image_tags
}

output "cluster_name" {
  description = "ECS cluster."
  value       = module.ecs_cluster.cluster_name
}

output "service_names" {
  description = "ECS services."
  value       = module.ecs_cluster.service_names
}

output "log_groups" {
  description = "CloudWatch log groups, by service."
  value       = module.ecs_cluster.log_group_names
}

output "example" {
  description = "Commands that classify a photo, to be pasted into a shell."
  value       = <<-EOT
    aws s3 cp image.jpg s3://${module.storage.image_bucket}/test/image.jpg --region ${var.aws_region}
    curl -sS -X POST ${module.load_balancer.endpoint}/submit -H 'Content-Type: application/json' \
      -d '{"job_type":"image_classification","s3_keys":["test/image.jpg"],"top_k":5,"confidence_threshold":0.5}'
    curl -sS -H 'Prefer: wait=30' ${module.load_balancer.endpoint}/status/JOB_ID
    curl -sS ${module.load_balancer.endpoint}/result/JOB_ID
  EOT
}
