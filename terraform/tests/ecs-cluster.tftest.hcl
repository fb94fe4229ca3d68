# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                       = "photos-dev"
  region                     = "us-east-1"
  container_insights         = "enabled"
  cpu_architecture           = "X86_64"
  private_subnet_ids         = ["subnet-1", "subnet-2"]
  execution_role_arn         = "arn:aws:iam::111122223333:role/execution"
  log_retention_days         = 365
  force_new_deployment       = false
  deployment_timeout_minutes = 10
  services = {
    api = {
      image             = "registry/api@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
      cpu               = 512
      memory            = 1024
      desired_count     = 2
      task_role_arn     = "arn:aws:iam::111122223333:role/api"
      security_group_id = "sg-api"
      log_group_name    = "/ecs/photos/api"
      port              = 8080
      target_group_arn  = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/mock/73e2d6bc24d8a067"
      capacity          = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 }
      environment       = { PORT = 8080, LOG_LEVEL = "info" }
    }
    work = {
      image             = "registry/work@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
      cpu               = 2048
      memory            = 8192
      desired_count     = 3
      task_role_arn     = "arn:aws:iam::111122223333:role/work"
      security_group_id = "sg-work"
      log_group_name    = "/ecs/photos/work"
      capacity          = { fargate_base = 1, fargate_weight = 1, fargate_spot_weight = 4 }
      environment       = { VISIBILITY_S = 120 }
    }
  }
}

# What cannot be seen from outside of a running task is fixed here.
run "containers_run_without_privileges" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.this : alltrue([
        for container in jsondecode(task.container_definitions) :
        container.user == "65532:65532" && container.readonlyRootFilesystem && container.linuxParameters.capabilities.drop == ["ALL"] && container.stopTimeout == 30 && container.essential
      ])
    ])
    error_message = "a user without rights, a root that cannot be written, no capabilities, 30 s to stop"
  }

  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.this : alltrue([for container in jsondecode(task.container_definitions) : strcontains(container.image, "@sha256:")])])
    error_message = "digests"
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : !service.network_configuration[0].assign_public_ip && service.enable_execute_command != true])
    error_message = "no public address, nobody gets in"
  }
}

run "tasks_are_as_asked" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition     = aws_ecs_task_definition.this["api"].cpu == "512" && aws_ecs_task_definition.this["api"].memory == "1024" && aws_ecs_task_definition.this["work"].cpu == "2048" && aws_ecs_task_definition.this["work"].memory == "8192"
    error_message = "CPU and memory"
  }

  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.this : task.network_mode == "awsvpc" && task.runtime_platform[0].cpu_architecture == "X86_64" && task.runtime_platform[0].operating_system_family == "LINUX"])
    error_message = "the images' platform"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].environment == [{ name = "LOG_LEVEL", value = "info" }, { name = "PORT", value = "8080" }]
    error_message = "settings, as text, sorted"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["work"].container_definitions)[0].logConfiguration.options["awslogs-group"] == "/ecs/photos/work" && aws_cloudwatch_log_group.service["work"].retention_in_days == 365
    error_message = "logs go to the group named, and end"
  }

  assert {
    condition     = aws_ecs_service.this["api"].desired_count == 2 && aws_ecs_service.this["work"].desired_count == 3
    error_message = "how many"
  }
}

run "an_apply_tells_the_truth" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.wait_for_steady_state && service.deployment_circuit_breaker[0].enable && service.deployment_circuit_breaker[0].rollback])
    error_message = "waits, and goes back when it must"
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.deployment_minimum_healthy_percent == 100 && service.deployment_maximum_percent == 200])
    error_message = "new tasks before old ones end"
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.timeouts.create == "10m" && service.timeouts.update == "10m"])
    error_message = "not for ever"
  }
}

run "only_the_service_with_a_port_is_behind_the_load_balancer" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition     = one(aws_ecs_service.this["api"].load_balancer).container_port == 8080 && length(aws_ecs_service.this["work"].load_balancer) == 0
    error_message = "the worker takes nothing in"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["work"].container_definitions)[0].portMappings == [] && aws_ecs_service.this["work"].health_check_grace_period_seconds == null
    error_message = "no port, no health check"
  }
}

run "capacity_follows_base_and_weights" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition     = { for strategy in aws_ecs_service.this["work"].capacity_provider_strategy : strategy.capacity_provider => [strategy.base, strategy.weight] } == { FARGATE = [1, 1], FARGATE_SPOT = [0, 4] }
    error_message = "one on Fargate first, then four of five on Spot"
  }

  assert {
    condition     = { for strategy in aws_ecs_service.this["api"].capacity_provider_strategy : strategy.capacity_provider => [strategy.base, strategy.weight] } == { FARGATE = [0, 1] }
    error_message = "no Spot unless asked for"
  }
}

run "the_log_group_of_container_insights_is_ours" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  assert {
    condition     = aws_cloudwatch_log_group.insights[0].name == "/aws/ecs/containerinsights/photos-dev/performance"
    error_message = "destroy removes it"
  }
}

run "without_container_insights_there_is_no_group" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    container_insights = "disabled"
  }

  assert {
    condition     = length(aws_cloudwatch_log_group.insights) == 0 && one(aws_ecs_cluster.this.setting).value == "disabled"
    error_message = "disabled"
  }
}

run "an_unknown_kind_of_insights_is_refused" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    container_insights = "on"
  }

  expect_failures = [var.container_insights]
}

################################################################################
# Fargate's pairs of CPU and memory
################################################################################

run "the_least_and_the_most_memory_of_each_cpu_are_taken" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    services = {
      c256-m512      = { image = "registry/x@sha256:00", cpu = 256, memory = 512, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c256-m2048     = { image = "registry/x@sha256:00", cpu = 256, memory = 2048, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c512-m1024     = { image = "registry/x@sha256:00", cpu = 512, memory = 1024, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c512-m4096     = { image = "registry/x@sha256:00", cpu = 512, memory = 4096, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c1024-m2048    = { image = "registry/x@sha256:00", cpu = 1024, memory = 2048, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c1024-m8192    = { image = "registry/x@sha256:00", cpu = 1024, memory = 8192, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c2048-m4096    = { image = "registry/x@sha256:00", cpu = 2048, memory = 4096, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c2048-m16384   = { image = "registry/x@sha256:00", cpu = 2048, memory = 16384, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c4096-m8192    = { image = "registry/x@sha256:00", cpu = 4096, memory = 8192, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c4096-m30720   = { image = "registry/x@sha256:00", cpu = 4096, memory = 30720, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c8192-m16384   = { image = "registry/x@sha256:00", cpu = 8192, memory = 16384, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c8192-m61440   = { image = "registry/x@sha256:00", cpu = 8192, memory = 61440, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c16384-m32768  = { image = "registry/x@sha256:00", cpu = 16384, memory = 32768, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c16384-m122880 = { image = "registry/x@sha256:00", cpu = 16384, memory = 122880, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
    }
  }

  assert {
    condition     = length(aws_ecs_task_definition.this) == 14
    error_message = "all of them"
  }
}

run "every_other_pair_is_refused" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    services = {
      c256-m256      = { image = "registry/x@sha256:00", cpu = 256, memory = 256, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c256-m2049     = { image = "registry/x@sha256:00", cpu = 256, memory = 2049, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c256-m1536     = { image = "registry/x@sha256:00", cpu = 256, memory = 1536, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c512-m512      = { image = "registry/x@sha256:00", cpu = 512, memory = 512, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c512-m5120     = { image = "registry/x@sha256:00", cpu = 512, memory = 5120, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c512-m1500     = { image = "registry/x@sha256:00", cpu = 512, memory = 1500, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c1024-m1024    = { image = "registry/x@sha256:00", cpu = 1024, memory = 1024, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c1024-m9216    = { image = "registry/x@sha256:00", cpu = 1024, memory = 9216, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c2048-m3072    = { image = "registry/x@sha256:00", cpu = 2048, memory = 3072, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c2048-m17408   = { image = "registry/x@sha256:00", cpu = 2048, memory = 17408, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c2048-m4097    = { image = "registry/x@sha256:00", cpu = 2048, memory = 4097, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c4096-m7168    = { image = "registry/x@sha256:00", cpu = 4096, memory = 7168, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c4096-m31744   = { image = "registry/x@sha256:00", cpu = 4096, memory = 31744, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c8192-m12288   = { image = "registry/x@sha256:00", cpu = 8192, memory = 12288, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c8192-m65536   = { image = "registry/x@sha256:00", cpu = 8192, memory = 65536, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c8192-m17408   = { image = "registry/x@sha256:00", cpu = 8192, memory = 17408, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c16384-m24576  = { image = "registry/x@sha256:00", cpu = 16384, memory = 24576, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c16384-m131072 = { image = "registry/x@sha256:00", cpu = 16384, memory = 131072, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c16384-m33792  = { image = "registry/x@sha256:00", cpu = 16384, memory = 33792, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
      c3072-m4096    = { image = "registry/x@sha256:00", cpu = 3072, memory = 4096, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } }
    }
  }

  expect_failures = [
    aws_ecs_task_definition.this["c256-m256"],
    aws_ecs_task_definition.this["c256-m2049"],
    aws_ecs_task_definition.this["c256-m1536"],
    aws_ecs_task_definition.this["c512-m512"],
    aws_ecs_task_definition.this["c512-m5120"],
    aws_ecs_task_definition.this["c512-m1500"],
    aws_ecs_task_definition.this["c1024-m1024"],
    aws_ecs_task_definition.this["c1024-m9216"],
    aws_ecs_task_definition.this["c2048-m3072"],
    aws_ecs_task_definition.this["c2048-m17408"],
    aws_ecs_task_definition.this["c2048-m4097"],
    aws_ecs_task_definition.this["c4096-m7168"],
    aws_ecs_task_definition.this["c4096-m31744"],
    aws_ecs_task_definition.this["c8192-m12288"],
    aws_ecs_task_definition.this["c8192-m65536"],
    aws_ecs_task_definition.this["c8192-m17408"],
    aws_ecs_task_definition.this["c16384-m24576"],
    aws_ecs_task_definition.this["c16384-m131072"],
    aws_ecs_task_definition.this["c16384-m33792"],
    aws_ecs_task_definition.this["c3072-m4096"],
  ]
}

################################################################################
# Other bad services
################################################################################

run "a_service_without_tasks_is_refused" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    services = { x = { image = "registry/x@sha256:00", cpu = 256, memory = 512, desired_count = 0, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } } }
  }

  expect_failures = [var.services]
}

run "capacity_without_weights_is_refused" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    services = { x = { image = "registry/x@sha256:00", cpu = 256, memory = 512, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = {}, capacity = { fargate_base = 0, fargate_weight = 0, fargate_spot_weight = 0 } } }
  }

  expect_failures = [var.services]
}

run "credentials_in_the_environment_are_refused" {
  command = plan

  module {
    source = "./modules/ecs-cluster"
  }

  variables {
    services = { x = { image = "registry/x@sha256:00", cpu = 256, memory = 512, desired_count = 1, task_role_arn = "arn:aws:iam::111122223333:role/x", security_group_id = "sg-x", log_group_name = "/x", environment = { AWS_SECRET_ACCESS_KEY = "x" }, capacity = { fargate_base = 0, fargate_weight = 1, fargate_spot_weight = 0 } } }
  }

  expect_failures = [var.services]
}
