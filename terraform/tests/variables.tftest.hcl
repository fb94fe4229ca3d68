# SPDX-License-Identifier: Apache-2.0
# Each variable refuses what it should, at plan time, and takes the values at its limits. A run gives a bad value to many
# variables at once: every one of them must refuse its own.

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

mock_provider "docker" {
  source = "./tests/mocks/docker"
}

# Without this each run would end with the warning of an open API.
variables {
  allowed_cidr_blocks = ["203.0.113.0/24"]
}

################################################################################
# Refused
################################################################################

run "each_bad_value_is_refused_by_its_variable_1" {
  command = plan

  variables {
    project_name               = "X"
    environment                = "p"
    aws_region                 = "virginia"
    tags                       = { "aws:owner" = "x" }
    backend_cpu                = 0
    backend_memory             = 511
    ml_cpu                     = 0
    ml_memory                  = 511
    backend_desired_count      = 0
    ml_desired_count           = 0
    backend_capacity           = { fargate_weight = 0 }
    ml_capacity                = { fargate_weight = 0 }
    deployment_timeout_minutes = 0
    backend_environment        = { IMAGE_BUCKET = "other" }
    ml_environment             = { VISIBILITY_S = "5" }
    log_level                  = "verbose"
    usd_per_million_images     = -1
    base_image                 = "-debian"
    pip_index_url              = "pypi.org"
    chunk_images               = 0
    retention_days             = 0
    visibility_timeout_seconds = 2
    vpc_cidr                   = "10.0.0.0"
    availability_zones         = ["us-east-1a"]
    egress                     = "internet"
    allowed_cidr_blocks        = []
    https                      = { certificate_arn = "my-certificate", domain_name = "images.example.com" }
    web_acl_arn                = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/x/1"
    upload_origins             = ["app.example.com"]
    kms_key_arn                = "alias/mine"
    log_retention_days         = 0
    container_insights         = "on"
  }

  expect_failures = [
    var.project_name,
    var.environment,
    var.aws_region,
    var.tags,
    var.backend_cpu,
    var.backend_memory,
    var.ml_cpu,
    var.ml_memory,
    var.backend_desired_count,
    var.ml_desired_count,
    var.backend_capacity,
    var.ml_capacity,
    var.deployment_timeout_minutes,
    var.backend_environment,
    var.ml_environment,
    var.log_level,
    var.usd_per_million_images,
    var.base_image,
    var.pip_index_url,
    var.chunk_images,
    var.retention_days,
    var.visibility_timeout_seconds,
    var.vpc_cidr,
    var.availability_zones,
    var.egress,
    var.allowed_cidr_blocks,
    var.https,
    var.web_acl_arn,
    var.upload_origins,
    var.kms_key_arn,
    var.log_retention_days,
    var.container_insights,
  ]
}

run "each_bad_value_is_refused_by_its_variable_2" {
  command = plan

  variables {
    project_name               = "a"
    environment                = "Prod"
    aws_region                 = "us-east"
    tags                       = { owner = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv" }
    backend_cpu                = 500
    backend_memory             = 1024.5
    ml_cpu                     = 3072
    ml_memory                  = 122881
    backend_desired_count      = -1
    ml_desired_count           = 2.5
    backend_capacity           = { fargate_spot_weight = -1 }
    ml_capacity                = { fargate_base = 1.5 }
    deployment_timeout_minutes = 61
    backend_environment        = { AWS_SECRET_ACCESS_KEY = "x" }
    ml_environment             = { AWS_SESSION_TOKEN = "x" }
    usd_per_million_images     = 1000001
    base_image                 = "debian slim"
    pip_index_url              = "https://user:word@mirror.example/simple"
    chunk_images               = 501
    retention_days             = 3651
    visibility_timeout_seconds = 43201
    vpc_cidr                   = "10.0.0.0/15"
    availability_zones         = ["us-east-1a", "us-east-1a"]
    allowed_cidr_blocks        = ["10.0.0.1"]
    https                      = { certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1", domain_name = "https://images.example.com" }
    upload_origins             = ["https://app.example.com/"]
    log_retention_days         = 42
  }

  expect_failures = [
    var.project_name,
    var.environment,
    var.aws_region,
    var.tags,
    var.backend_cpu,
    var.backend_memory,
    var.ml_cpu,
    var.ml_memory,
    var.backend_desired_count,
    var.ml_desired_count,
    var.backend_capacity,
    var.ml_capacity,
    var.deployment_timeout_minutes,
    var.backend_environment,
    var.ml_environment,
    var.usd_per_million_images,
    var.base_image,
    var.pip_index_url,
    var.chunk_images,
    var.retention_days,
    var.visibility_timeout_seconds,
    var.vpc_cidr,
    var.availability_zones,
    var.allowed_cidr_blocks,
    var.https,
    var.upload_origins,
    var.log_retention_days,
  ]
}

run "each_bad_value_is_refused_by_its_variable_3" {
  command = plan

  variables {
    project_name               = "9lives"
    environment                = "1st"
    aws_region                 = "cn-north-1"
    backend_cpu                = 32768
    backend_memory             = 122881
    backend_desired_count      = 1.5
    ml_desired_count           = 5001
    backend_capacity           = { fargate_weight = 1001 }
    ml_capacity                = { fargate_spot_weight = 1001 }
    deployment_timeout_minutes = 1.5
    backend_environment        = { lower = "x" }
    ml_environment             = { "A-B" = "x" }
    usd_per_million_images     = 0.5
    chunk_images               = 1.5
    retention_days             = 1.5
    visibility_timeout_seconds = 10.5
    vpc_cidr                   = "10.0.0.0/25"
    availability_zones         = ["a", "b", "c", "d", "e", "f", "g"]
    allowed_cidr_blocks        = ["10.0.0.1/8"]
    log_retention_days         = 3654
  }

  expect_failures = [
    var.project_name,
    var.environment,
    var.aws_region,
    var.backend_cpu,
    var.backend_memory,
    var.backend_desired_count,
    var.ml_desired_count,
    var.backend_capacity,
    var.ml_capacity,
    var.deployment_timeout_minutes,
    var.backend_environment,
    var.ml_environment,
    var.usd_per_million_images,
    var.chunk_images,
    var.retention_days,
    var.visibility_timeout_seconds,
    var.vpc_cidr,
    var.availability_zones,
    var.allowed_cidr_blocks,
    var.log_retention_days,
  ]
}

run "each_bad_value_is_refused_by_its_variable_4" {
  command = plan

  variables {
    project_name          = "a--b"
    environment           = "two-words"
    backend_desired_count = 1001
    vpc_cidr              = "10.0.0.256/16"
    allowed_cidr_blocks   = ["::/0"]
  }

  expect_failures = [
    var.project_name,
    var.environment,
    var.backend_desired_count,
    var.vpc_cidr,
    var.allowed_cidr_blocks,
  ]
}

run "each_bad_value_is_refused_by_its_variable_5" {
  command = plan

  variables {
    project_name = "ends-"
    environment  = "eeeeeeeeee"
    vpc_cidr     = "fd00::/16"
  }

  expect_failures = [
    var.project_name,
    var.environment,
    var.vpc_cidr,
  ]
}

run "each_bad_value_is_refused_by_its_variable_6" {
  command = plan

  variables {
    project_name = "has_underscore"
  }

  expect_failures = [
    var.project_name,
  ]
}

run "each_bad_value_is_refused_by_its_variable_7" {
  command = plan

  variables {
    project_name = "aaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [
    var.project_name,
  ]
}

################################################################################
# Taken
################################################################################

run "names_as_long_as_they_may_be" {
  command = plan

  variables {
    project_name = "aaaaaaaaaaaaaaaaaaaaaa"
    environment  = "eeeeeeeee"
  }
}

run "names_as_short_as_they_may_be" {
  command = plan

  variables {
    project_name = "ab"
    environment  = "qa"
  }
}

run "the_smallest_tasks" {
  command = plan

  variables {
    backend_cpu    = 256
    backend_memory = 512
    ml_cpu         = 256
    ml_memory      = 2048
  }
}

run "the_largest_tasks" {
  command = plan

  variables {
    backend_cpu    = 16384
    backend_memory = 122880
    ml_cpu         = 8192
    ml_memory      = 61440
  }
}

run "one_task_each" {
  command = plan

  variables {
    backend_desired_count = 1
    ml_desired_count      = 1
  }
}

run "as_many_tasks_as_there_may_be" {
  command = plan

  variables {
    backend_desired_count = 1000
    ml_desired_count      = 5000
  }
}

run "workers_on_spot_only" {
  command = plan

  variables {
    ml_capacity = { fargate_weight = 0, fargate_spot_weight = 1000 }
  }
}

run "the_least_of_each_number" {
  command = plan

  variables {
    chunk_images               = 1
    retention_days             = 1
    visibility_timeout_seconds = 3
    log_retention_days         = 1
    usd_per_million_images     = 0
    deployment_timeout_minutes = 1
  }
}

run "the_most_of_each_number" {
  command = plan

  variables {
    chunk_images               = 500
    retention_days             = 3650
    visibility_timeout_seconds = 43200
    log_retention_days         = 3653
    usd_per_million_images     = 1000000
    deployment_timeout_minutes = 60
  }
}

run "a_small_network_over_six_zones" {
  command = plan

  variables {
    vpc_cidr           = "10.1.0.0/24"
    availability_zones = ["a", "b", "c", "d", "e", "f"]
    egress             = "interface_endpoints"
  }
}
