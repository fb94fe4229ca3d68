# SPDX-License-Identifier: Apache-2.0

output "vpc_id" {
  description = "VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer, once they reach the internet."
  value       = [for subnet in aws_subnet.public : subnet.id]

  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "Subnets of the tasks, once a task in them can fetch its image."
  value       = [for subnet in aws_subnet.private : subnet.id]

  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
  ]
}

output "load_balancer_security_group_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.load_balancer.id

  depends_on = [
    aws_vpc_security_group_egress_rule.load_balancer_to_backend,
    aws_vpc_security_group_ingress_rule.client,
  ]
}

output "backend_security_group_id" {
  description = "Security group of the backend's tasks, once its rules are there."
  value       = aws_security_group.backend.id

  depends_on = [
    aws_vpc_security_group_egress_rule.task_to_endpoint,
    aws_vpc_security_group_egress_rule.task_to_gateway,
    aws_vpc_security_group_egress_rule.task_to_nat,
    aws_vpc_security_group_ingress_rule.backend_from_load_balancer,
    aws_vpc_security_group_ingress_rule.endpoint_from_task,
  ]
}

output "worker_security_group_id" {
  description = "Security group of the workers, once its rules are there."
  value       = aws_security_group.worker.id

  depends_on = [
    aws_vpc_security_group_egress_rule.task_to_endpoint,
    aws_vpc_security_group_egress_rule.task_to_gateway,
    aws_vpc_security_group_egress_rule.task_to_nat,
    aws_vpc_security_group_ingress_rule.endpoint_from_task,
  ]
}
