# SPDX-License-Identifier: Apache-2.0
# The modules together, on the project's own sources.

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

mock_provider "docker" {
  source = "./tests/mocks/docker"
}

variables {
  allowed_cidr_blocks = ["203.0.113.0/24"]
}

run "defaults" {
  command = apply

  assert {
    condition     = output.log_groups == { backend = "/ecs/distributed-classifier/backend", ml-service = "/ecs/distributed-classifier/ml-service" }
    error_message = "the log groups of the contract"
  }

  assert {
    condition     = output.alb_endpoint == "http://mock-1234567890.us-east-1.elb.amazonaws.com"
    error_message = "a URL that curl takes"
  }

  assert {
    condition     = output.cluster_name == "distributed-classifier-dev" && output.service_names == { backend = "backend", ml-service = "ml-service" }
    error_message = "cluster and services"
  }

  assert {
    condition     = output.image_bucket == "distributed-classifier-dev-images-111122223333-us-east-1" && output.result_bucket == "distributed-classifier-dev-results-111122223333-us-east-1"
    error_message = "buckets"
  }

  assert {
    condition     = var.environment == local.default_environment
    error_message = "the contract's log groups are those of the default environment"
  }

  assert {
    condition     = [var.backend_cpu, var.backend_memory, var.ml_cpu, var.ml_memory, var.backend_desired_count, var.ml_desired_count] == [512, 1024, 2048, 8192, 2, 3]
    error_message = "sizes and counts of the contract"
  }

  assert {
    condition     = strcontains(output.example, "${output.alb_endpoint}/submit") && strcontains(output.example, "s3://${output.image_bucket}/test/image.jpg")
    error_message = "the example is ready to be pasted"
  }
}

run "another_environment_of_the_same_project_has_no_name_in_common" {
  command = apply

  variables {
    environment = "staging"
  }

  assert {
    condition = length(setintersection(
      concat([output.cluster_name, output.image_bucket, output.result_bucket, output.job_table], values(output.log_groups)),
      concat([run.defaults.cluster_name, run.defaults.image_bucket, run.defaults.result_bucket, run.defaults.job_table], values(run.defaults.log_groups)),
    )) == 0
    error_message = "two environments side by side"
  }

  assert {
    condition     = output.log_groups == { backend = "/ecs/distributed-classifier/staging/backend", ml-service = "/ecs/distributed-classifier/staging/ml-service" }
    error_message = "a level of its own"
  }
}

# What one process writes another reads.
run "both_services_have_the_same_numbers" {
  command = plan

  variables {
    chunk_images               = 50
    retention_days             = 7
    visibility_timeout_seconds = 60
    fair_queue_enabled         = false
  }

  assert {
    condition     = local.environment.CHUNK_IMAGES == 50 && local.environment.RETENTION_DAYS == 7 && local.environment.FAIR_QUEUE == 0
    error_message = "one place for what both have"
  }
}

run "an_open_api_over_http_is_warned_of" {
  command = plan

  variables {
    allowed_cidr_blocks = ["203.0.113.0/24", "0.0.0.0/0"]
  }

  expect_failures = [check.api_is_not_open]
}

run "an_open_api_over_https_is_not" {
  command = plan

  variables {
    allowed_cidr_blocks = ["0.0.0.0/0"]
    https = {
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"
      domain_name     = "images.example.com"
    }
  }

  assert {
    condition     = output.alb_endpoint == "https://images.example.com"
    error_message = "the certificate's name"
  }
}

run "unprotected_production_is_warned_of" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [check.production_is_protected]
}

run "protected_production_is_not" {
  command = plan

  variables {
    environment                 = "prod"
    deletion_protection_enabled = true
  }
}
