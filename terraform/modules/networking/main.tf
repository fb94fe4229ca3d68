# SPDX-License-Identifier: Apache-2.0

data "aws_availability_zones" "this" {
  # checkov:skip=CKV_AWS_394: only the first two names are taken, and availability_zones pins others
  state = "available"

  # No local or wavelength zones: Fargate is not there.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones = (
    length(var.availability_zones) > 0 ? var.availability_zones :
    slice(data.aws_availability_zones.this.names, 0, min(2, length(data.aws_availability_zones.this.names)))
  )

  # Public subnets in the lower half of the VPC, private ones in the upper, room for 8 zones.
  cidrs = var.subnet_cidrs != null ? var.subnet_cidrs : {
    public  = [for index, zone in local.zones : cidrsubnet(var.vpc_cidr, 4, index)]
    private = [for index, zone in local.zones : cidrsubnet(var.vpc_cidr, 4, index + 8)]
  }

  public_subnets  = try(zipmap(local.zones, local.cidrs.public), {})
  private_subnets = try(zipmap(local.zones, local.cidrs.private), {})

  # First address of each range as a number, and how many there are.
  ranges = {
    for cidr in distinct(concat([var.vpc_cidr], local.cidrs.public, local.cidrs.private)) : cidr => {
      first = sum([for index, octet in split(".", cidrhost(cidr, 0)) : tonumber(octet) * pow(256, 3 - index)])
      size  = pow(2, 32 - tonumber(split("/", cidr)[1]))
    }
  }

  subnet_list = concat(local.cidrs.public, local.cidrs.private)

  overlaps = distinct(flatten([
    for i, a in local.subnet_list : [
      for j, b in local.subnet_list : "${a} and ${b}"
      if i < j && local.ranges[a].first < local.ranges[b].first + local.ranges[b].size && local.ranges[b].first < local.ranges[a].first + local.ranges[a].size
    ]
  ]))

  outside = [
    for cidr in local.subnet_list : cidr
    if local.ranges[cidr].first < local.ranges[var.vpc_cidr].first || local.ranges[cidr].first + local.ranges[cidr].size > local.ranges[var.vpc_cidr].first + local.ranges[var.vpc_cidr].size
  ]

  # One NAT gateway for all zones, one in each, or none.
  nat_zones = {
    interface_endpoints  = []
    nat_gateway          = slice(local.zones, 0, min(1, length(local.zones)))
    nat_gateway_per_zone = local.zones
  }[var.egress]

  # What tasks and the platform call, beyond S3 and DynamoDB.
  interface_services = var.egress == "interface_endpoints" ? toset(["ecr.api", "ecr.dkr", "logs", "sqs"]) : toset([])
  gateway_services   = toset(["s3", "dynamodb"])
}

################################################################################
# VPC and subnets
################################################################################

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # private names of the interface endpoints

  tags = { Name = var.name }

  lifecycle {
    precondition {
      condition     = length(local.zones) >= 2
      error_message = "${var.region} offers ${length(local.zones)} availability zone to this account; a load balancer needs two at least."
    }

    precondition {
      condition     = length(local.cidrs.public) == length(local.zones) && length(local.cidrs.private) == length(local.zones)
      error_message = "subnet_cidrs names ${length(local.cidrs.public)} public and ${length(local.cidrs.private)} private ranges for ${length(local.zones)} zones; one of each a zone is needed."
    }

    precondition {
      condition     = length(local.overlaps) == 0
      error_message = "subnet_cidrs overlap: ${join("; ", local.overlaps)}."
    }

    precondition {
      condition     = length(local.outside) == 0
      error_message = "subnet_cidrs outside of vpc_cidr ${var.vpc_cidr}: ${join(", ", local.outside)}."
    }
  }
}

# The group that a resource without a group of its own would get: it lets nothing in or out.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = local.public_subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.private_subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-private-${each.key}" }
}

################################################################################
# Routes
################################################################################

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = aws_subnet.private

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_eip" "nat" {
  # checkov:skip=CKV2_AWS_19: it is a NAT gateway's
  for_each = toset(local.nat_zones)

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = aws_eip.nat

  allocation_id = each.value.id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_route.internet]
}

resource "aws_route" "nat" {
  for_each = length(local.nat_zones) > 0 ? local.private_subnets : {}

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = try(aws_nat_gateway.this[each.key], aws_nat_gateway.this[local.nat_zones[0]]).id
}

################################################################################
# Endpoints
################################################################################

# Free of charge, whatever egress is: images and ledger never pass a NAT gateway.
resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_services

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_services

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoint[0].id]

  tags = { Name = "${var.name}-${each.key}" }
}

################################################################################
# Security groups. Names and addresses: Amazon's DNS, credentials and task metadata endpoints pass no security group.
################################################################################

locals {
  # Tasks, by name: what may leave them is the same, what may enter is not.
  task_groups = {
    backend = aws_security_group.backend.id
    worker  = aws_security_group.worker.id
  }

  # Listening port of the load balancer => why.
  listening = var.https_enabled ? { 443 = "HTTPS", 80 = "HTTP, redirected to HTTPS" } : { 80 = "HTTP" }
}

resource "aws_security_group" "load_balancer" {
  # checkov:skip=CKV2_AWS_5: attached in the module load-balancer
  name        = "${var.name}-load-balancer"
  description = "Load balancer: clients in, backend out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-load-balancer" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  # checkov:skip=CKV_AWS_260: port 80 redirects when there is a certificate; without one a check warns of an open allowed_cidr_blocks
  for_each = {
    for pair in setproduct(keys(local.listening), distinct(var.allowed_cidr_blocks)) :
    "${pair[0]} ${pair[1]}" => { port = tonumber(pair[0]), cidr = pair[1] }
  }

  security_group_id = aws_security_group.load_balancer.id
  description       = local.listening[each.value.port]
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_backend" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Backend"
  referenced_security_group_id = aws_security_group.backend.id
  ip_protocol                  = "tcp"
  from_port                    = var.backend_port
  to_port                      = var.backend_port
}

resource "aws_security_group" "backend" {
  # checkov:skip=CKV2_AWS_5: attached in the module ecs-cluster
  name        = "${var.name}-backend"
  description = "Backend tasks: load balancer in, AWS out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-backend" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "backend_from_load_balancer" {
  security_group_id            = aws_security_group.backend.id
  description                  = "Load balancer"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = var.backend_port
  to_port                      = var.backend_port
}

# No ingress rule: workers take nothing in.
resource "aws_security_group" "worker" {
  # checkov:skip=CKV2_AWS_5: attached in the module ecs-cluster
  name        = "${var.name}-worker"
  description = "Worker tasks: nothing in, AWS out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-worker" }

  lifecycle {
    create_before_destroy = true
  }
}

# With a NAT gateway the rule for it covers these too.
resource "aws_vpc_security_group_egress_rule" "task_to_gateway" {
  for_each = {
    for pair in setproduct(keys(local.task_groups), local.gateway_services) :
    "${pair[0]} ${pair[1]}" => { group = pair[0], service = pair[1] } if length(local.nat_zones) == 0
  }

  security_group_id = local.task_groups[each.value.group]
  description       = each.value.service
  prefix_list_id    = aws_vpc_endpoint.gateway[each.value.service].prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "task_to_endpoint" {
  for_each = { for name, group in local.task_groups : name => group if length(local.interface_services) > 0 }

  security_group_id            = each.value
  description                  = "ECR, CloudWatch Logs and SQS"
  referenced_security_group_id = aws_security_group.endpoint[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "task_to_nat" {
  for_each = { for name, group in local.task_groups : name => group if length(local.nat_zones) > 0 }

  security_group_id = each.value
  description       = "AWS, through gateway endpoints and NAT gateway"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "endpoint" {
  count = length(local.interface_services) > 0 ? 1 : 0

  name        = "${var.name}-endpoint"
  description = "Interface endpoints: tasks in"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-endpoint" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoint_from_task" {
  for_each = { for name, group in local.task_groups : name => group if length(local.interface_services) > 0 }

  security_group_id            = aws_security_group.endpoint[0].id
  description                  = "Tasks (${each.key})"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

################################################################################
# Flow logs: what was refused
################################################################################

resource "aws_cloudwatch_log_group" "flow" {
  count = var.flow_logs_enabled ? 1 : 0

  # checkov:skip=CKV_AWS_158: kms_key_arn sets a customer's key; without one CloudWatch's own encrypts
  name              = var.flow_log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_flow_log" "this" {
  count = var.flow_logs_enabled ? 1 : 0

  vpc_id          = aws_vpc.this.id
  traffic_type    = "REJECT"
  iam_role_arn    = var.flow_log_role_arn
  log_destination = aws_cloudwatch_log_group.flow[0].arn

  tags = { Name = var.name }
}
