# SPDX-License-Identifier: Apache-2.0

locals {
  # The last thing that a service does within it is to give unfinished work back; it ends after 20 s by itself.
  stop_timeout_seconds = 30

  user = "65532:65532" # a number only: the images have no list of users

  # Written by Container Insights, by itself, into a group of this name.
  insights_log_group_name = "/aws/ecs/containerinsights/${var.name}/performance"

  # MiB of memory that Fargate offers with so many CPU units, from "Amazon ECS task definition parameters for Fargate",
  # "Task CPU and memory", in the Amazon ECS Developer Guide.
  memory_sizes = {
    256   = [512, 1024, 2048]
    512   = range(1024, 4097, 1024)
    1024  = range(2048, 8193, 1024)
    2048  = range(4096, 16385, 1024)
    4096  = range(8192, 30721, 1024)
    8192  = range(16384, 61441, 4096)
    16384 = range(32768, 122881, 8192)
  }
}

################################################################################
# Logs
################################################################################

resource "aws_cloudwatch_log_group" "service" {
  # checkov:skip=CKV_AWS_158: kms_key_arn sets a customer's key; without one CloudWatch's own encrypts
  for_each = var.services

  name              = each.value.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# Ours, and not left to Container Insights, which would make it without an end and leave it behind.
resource "aws_cloudwatch_log_group" "insights" {
  # checkov:skip=CKV_AWS_158: as above
  # checkov:skip=CKV_AWS_338: the metrics made of it are kept; these are their raw lines
  count = var.container_insights == "disabled" ? 0 : 1

  name              = local.insights_log_group_name
  retention_in_days = 7
  kms_key_id        = var.kms_key_arn
}

################################################################################
# Cluster
################################################################################

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65: container_insights, enabled by default
  name = var.name

  setting {
    name  = "containerInsights"
    value = var.container_insights
  }

  # Created before it and destroyed after it.
  depends_on = [aws_cloudwatch_log_group.insights]
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

################################################################################
# Services
################################################################################

resource "aws_ecs_task_definition" "this" {
  for_each = var.services

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = each.value.task_role_arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  container_definitions = jsonencode([{
    name                   = each.key
    image                  = each.value.image
    essential              = true
    user                   = local.user
    readonlyRootFilesystem = true
    stopTimeout            = local.stop_timeout_seconds

    # Sorted, as the provider compares.
    environment = [
      for name in sort(keys(each.value.environment)) : { name = name, value = each.value.environment[name] }
    ]

    linuxParameters = {
      capabilities = { drop = ["ALL"] }
    }

    portMappings = [
      for port in each.value.port[*] : { containerPort = port, hostPort = port, protocol = "tcp" }
    ]

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service[each.key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
        # A slow CloudWatch must not hold a service up: lines beyond the buffer are lost instead.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }
  }])

  # The old revision stays until the service runs the new one: a rollback needs it.
  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = contains(lookup(local.memory_sizes, each.value.cpu, []), each.value.memory)
      error_message = "${each.key}: Fargate has no task of ${each.value.cpu} CPU units and ${each.value.memory} MiB. With ${each.value.cpu} units it takes ${join(", ", lookup(local.memory_sizes, each.value.cpu, ["no memory at all: CPU units are 256, 512, 1024, 2048, 4096, 8192 or 16384; no"]))} MiB."
    }
  }
}

resource "aws_ecs_service" "this" {
  # checkov:skip=CKV_AWS_332: the platform version is the latest unless one is named
  for_each = var.services

  name                              = each.key
  cluster                           = aws_ecs_cluster.this.arn
  task_definition                   = aws_ecs_task_definition.this[each.key].arn
  desired_count                     = each.value.desired_count
  enable_ecs_managed_tags           = true
  propagate_tags                    = "SERVICE"
  force_new_deployment              = var.force_new_deployment
  health_check_grace_period_seconds = each.value.target_group_arn == null ? null : 30

  # New tasks first, old ones then: no less capacity at any time.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  # Apply ends when the new tasks run, and fails when they do not.
  wait_for_steady_state = true

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "capacity_provider_strategy" {
    for_each = {
      for provider, strategy in {
        FARGATE      = { base = each.value.capacity.fargate_base, weight = each.value.capacity.fargate_weight }
        FARGATE_SPOT = { base = 0, weight = each.value.capacity.fargate_spot_weight }
      } : provider => strategy if strategy.base + strategy.weight > 0
    }

    content {
      capacity_provider = capacity_provider_strategy.key
      base              = capacity_provider_strategy.value.base
      weight            = capacity_provider_strategy.value.weight
    }
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [each.value.security_group_id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.value.target_group_arn[*]

    content {
      target_group_arn = load_balancer.value
      container_name   = each.key
      container_port   = each.value.port
    }
  }

  timeouts {
    create = "${var.deployment_timeout_minutes}m"
    update = "${var.deployment_timeout_minutes}m"
    delete = "${var.deployment_timeout_minutes}m"
  }

  depends_on = [aws_ecs_cluster_capacity_providers.this]

  lifecycle {
    # A circuit breaker that goes back to the old version has reached a steady state too.
    postcondition {
      condition     = self.task_definition == aws_ecs_task_definition.this[each.key].arn
      error_message = "${each.key} did not come up with its new task definition and ECS went back to ${self.task_definition}, which serves on. Its log group ${each.value.log_group_name} and the service's events tell why; docs/troubleshooting.md."
    }
  }
}
