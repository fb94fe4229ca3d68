# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                = "photos-dev"
  region              = "us-east-1"
  vpc_cidr            = "10.0.0.0/16"
  egress              = "nat_gateway"
  allowed_cidr_blocks = ["203.0.113.0/24"]
  https_enabled       = false
  backend_port        = 8080
  flow_logs_enabled   = false
  flow_log_role_arn   = null
  flow_log_group_name = "/aws/vpc/photos-dev/flow-logs"
  log_retention_days  = 365
}

run "two_zones_with_a_public_and_a_private_subnet_each" {
  command = plan

  module {
    source = "./modules/networking"
  }

  assert {
    condition     = keys(aws_subnet.public) == ["us-east-1a", "us-east-1b"] && keys(aws_subnet.private) == ["us-east-1a", "us-east-1b"]
    error_message = "the region's first two zones are expected"
  }

  assert {
    condition     = aws_subnet.public["us-east-1a"].cidr_block == "10.0.0.0/20" && aws_subnet.private["us-east-1b"].cidr_block == "10.0.144.0/20"
    error_message = "public subnets in the lower half of the VPC, private ones in the upper"
  }

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : !subnet.map_public_ip_on_launch])
    error_message = "nothing gets a public address by itself"
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.gateway)) == toset(["dynamodb", "s3"])
    error_message = "S3 and DynamoDB are reached through gateway endpoints"
  }
}

run "one_nat_gateway_serves_all_zones" {
  command = plan

  module {
    source = "./modules/networking"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2 && length(aws_vpc_endpoint.interface) == 0
    error_message = "one gateway, a route in each zone, no interface endpoint"
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.task_to_nat : rule.from_port == 443 && rule.to_port == 443])
    error_message = "tasks reach port 443 only"
  }
}

run "a_nat_gateway_in_each_zone" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    egress = "nat_gateway_per_zone"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 2 && length(aws_route.nat) == 2
    error_message = "a gateway in each zone"
  }
}

run "interface_endpoints_leave_no_way_to_the_internet" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    egress = "interface_endpoints"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0 && length(aws_vpc_security_group_egress_rule.task_to_nat) == 0
    error_message = "no NAT gateway and no rule for one"
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["ecr.api", "ecr.dkr", "logs", "sqs"])
    error_message = "ECR, logs and SQS have endpoints"
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.task_to_endpoint) == 2 && length(aws_vpc_security_group_egress_rule.task_to_gateway) == 4
    error_message = "both kinds of task reach the endpoints, S3 and DynamoDB"
  }
}

run "only_the_load_balancer_reaches_the_backend_and_nobody_a_worker" {
  command = apply

  module {
    source = "./modules/networking"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.backend_from_load_balancer.referenced_security_group_id == aws_security_group.load_balancer.id && aws_vpc_security_group_ingress_rule.backend_from_load_balancer.from_port == 8080 && aws_vpc_security_group_ingress_rule.backend_from_load_balancer.to_port == 8080
    error_message = "the backend takes its port from the load balancer"
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.client), values(aws_vpc_security_group_ingress_rule.endpoint_from_task), [aws_vpc_security_group_ingress_rule.backend_from_load_balancer]) : rule.security_group_id != aws_security_group.worker.id])
    error_message = "a worker has no ingress rule"
  }

  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "the default group lets nothing through"
  }
}

run "clients_reach_port_80_and_with_a_certificate_443" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    https_enabled       = true
    allowed_cidr_blocks = ["203.0.113.0/24", "198.51.100.7/32"]
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_ingress_rule.client)) == toset(["443 198.51.100.7/32", "443 203.0.113.0/24", "80 198.51.100.7/32", "80 203.0.113.0/24"])
    error_message = "each range on each port"
  }
}

run "flow_logs_when_asked_for" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    flow_logs_enabled = true
    flow_log_role_arn = "arn:aws:iam::111122223333:role/flow"
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "REJECT" && aws_cloudwatch_log_group.flow[0].name == "/aws/vpc/photos-dev/flow-logs"
    error_message = "what was refused is logged"
  }
}

run "own_subnets_are_taken" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    availability_zones = ["us-east-1b", "us-east-1c"]
    subnet_cidrs       = { public = ["10.0.0.0/24", "10.0.1.0/24"], private = ["10.0.2.0/24", "10.0.255.0/24"] }
  }

  assert {
    condition     = aws_subnet.private["us-east-1c"].cidr_block == "10.0.255.0/24"
    error_message = "in the order of the zones"
  }
}

run "overlapping_subnets_are_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    subnet_cidrs = { public = ["10.0.0.0/24", "10.0.1.0/24"], private = ["10.0.2.0/24", "10.0.1.128/25"] }
  }

  expect_failures = [aws_vpc.this]
}

run "the_same_subnet_twice_is_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    subnet_cidrs = { public = ["10.0.0.0/24", "10.0.1.0/24"], private = ["10.0.2.0/24", "10.0.0.0/24"] }
  }

  expect_failures = [aws_vpc.this]
}

run "subnets_outside_of_the_vpc_are_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    subnet_cidrs = { public = ["10.0.0.0/24", "10.0.1.0/24"], private = ["10.0.2.0/24", "10.1.0.0/24"] }
  }

  expect_failures = [aws_vpc.this]
}

run "fewer_subnets_than_zones_are_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    subnet_cidrs = { public = ["10.0.0.0/24"], private = ["10.0.2.0/24"] }
  }

  expect_failures = [aws_vpc.this]
}

run "what_is_no_range_is_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    subnet_cidrs = { public = ["10.0.0.0/24", "10.0.1.0/33"], private = ["10.0.2.0/24", "10.0.3.0/24"] }
  }

  expect_failures = [var.subnet_cidrs]
}

run "one_zone_is_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  variables {
    availability_zones = ["us-east-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "a_region_with_one_zone_is_refused" {
  command = plan

  module {
    source = "./modules/networking"
  }

  override_data {
    target = data.aws_availability_zones.this
    values = { names = ["xx-only-1a"] }
  }

  expect_failures = [aws_vpc.this]
}
