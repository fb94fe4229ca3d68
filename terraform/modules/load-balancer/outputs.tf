# SPDX-License-Identifier: Apache-2.0

output "endpoint" {
  description = "URL of the API, without a slash at the end."
  value       = var.https == null ? "http://${aws_lb.this.dns_name}" : "https://${var.https.domain_name}"
}

output "dns_name" {
  description = "Name of the load balancer itself: what a DNS record of https.domain_name points to."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of that name, for an alias record in Route 53."
  value       = aws_lb.this.zone_id
}

# ECS refuses a service whose target group has no listener yet.
output "target_group_arn" {
  description = "Target group of the backend, once a listener forwards to it."
  value       = aws_lb_target_group.backend.arn

  depends_on = [aws_lb_listener.http, aws_lb_listener.https]
}
