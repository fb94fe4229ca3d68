# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = merge(var.tags, {
      Project     = var.project_name
      Environment = var.environment
      ManagedBy   = "terraform"
    })
  }
}

# Logs in to ECR by itself; nobody types docker login.
provider "docker" {
  # Plan needs no Docker daemon as long as no image is in the state.
  disable_docker_daemon_check = true

  registry_auth {
    address  = local.registry
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_ecr_authorization_token" "this" {}

locals {
  # The environment has no hyphen, so that no two pairs make the same name.
  name = "${var.project_name}-${var.environment}"

  account_id = data.aws_caller_identity.this.account_id
  registry   = "${local.account_id}.dkr.ecr.${var.aws_region}.${data.aws_partition.this.dns_suffix}"

  ##############################################################################
  # Images
  ##############################################################################

  # What each image is built from, relative to the project's folder. A change there rebuilds that image and no other; the
  # plan fails when a Dockerfile copies what is not named here.
  source_root = "${path.root}/.."
  common      = ["lib"]
  images = {
    backend = {
      dockerfile = "backend-service/Dockerfile"
      inputs     = concat(local.common, ["backend-service"])
    }
    ml-service = {
      dockerfile = "ml-service/Dockerfile"
      inputs     = concat(local.common, ["ml-service", "tools/fetch-openvino"])
    }
  }

  # The inference library is there for x86-64 only.
  platform         = "linux/amd64"
  cpu_architecture = "X86_64"

  ##############################################################################
  # Logs
  ##############################################################################

  # The contract's names belong to the default environment; any other has a level of its own, so that two of them do not
  # meet in one account.
  default_environment = "dev"
  log_prefix          = var.environment == local.default_environment ? "/ecs/${var.project_name}" : "/ecs/${var.project_name}/${var.environment}"
  log_groups          = { for service in keys(local.images) : service => "${local.log_prefix}/${service}" }
  flow_log_group      = "/aws/vpc/${local.name}/flow-logs"

  ##############################################################################
  # Settings: docs/configuration.md
  ##############################################################################

  backend_port = 8080

  # One process writes what another reads: these are the same in both.
  environment = {
    AWS_REGION     = var.aws_region
    CHUNK_IMAGES   = var.chunk_images
    FAIR_QUEUE     = var.fair_queue_enabled ? 1 : 0
    IMAGE_BUCKET   = module.storage.image_bucket
    JOB_DLQ_URL    = module.queues.dead_letter_queue_url
    JOB_QUEUE_URL  = module.queues.job_queue_url
    JOB_TABLE      = module.storage.job_table
    LOG_LEVEL      = var.log_level
    RESULT_BUCKET  = module.storage.result_bucket
    RETENTION_DAYS = var.retention_days
  }
}

module "container_registry" {
  source = "./modules/container-registry"

  name                        = local.name
  source_root                 = local.source_root
  images                      = local.images
  platform                    = local.platform
  base_image                  = var.base_image
  pip_index_url               = var.pip_index_url
  deletion_protection_enabled = var.deletion_protection_enabled
  kms_key_arn                 = var.kms_key_arn
}

module "networking" {
  source = "./modules/networking"

  name                = local.name
  region              = var.aws_region
  vpc_cidr            = var.vpc_cidr
  availability_zones  = var.availability_zones
  subnet_cidrs        = var.subnet_cidrs
  egress              = var.egress
  allowed_cidr_blocks = var.allowed_cidr_blocks
  https_enabled       = var.https != null
  backend_port        = local.backend_port
  flow_logs_enabled   = var.flow_logs_enabled
  flow_log_role_arn   = module.iam.flow_log_role_arn
  flow_log_group_name = local.flow_log_group
  log_retention_days  = var.log_retention_days
  kms_key_arn         = var.kms_key_arn
}

module "storage" {
  source = "./modules/storage"

  name                        = local.name
  account_id                  = local.account_id
  region                      = var.aws_region
  retention_days              = var.retention_days
  access_logs_enabled         = var.access_logs_enabled
  access_log_retention_days   = var.log_retention_days
  upload_origins              = concat([module.load_balancer.endpoint], var.upload_origins)
  deletion_protection_enabled = var.deletion_protection_enabled
  kms_key_arn                 = var.kms_key_arn
}

module "queues" {
  source = "./modules/queues"

  name                       = local.name
  visibility_timeout_seconds = var.visibility_timeout_seconds
  kms_key_arn                = var.kms_key_arn
}

module "iam" {
  source = "./modules/iam"

  name                  = local.name
  partition             = data.aws_partition.this.partition
  region                = var.aws_region
  account_id            = local.account_id
  cluster_name          = local.name
  repository_arns       = values(module.container_registry.repository_arns)
  log_group_names       = values(local.log_groups)
  flow_logs_enabled     = var.flow_logs_enabled
  flow_log_group_name   = local.flow_log_group
  image_bucket_arn      = module.storage.image_bucket_arn
  result_bucket_arn     = module.storage.result_bucket_arn
  job_queue_arn         = module.queues.job_queue_arn
  dead_letter_queue_arn = module.queues.dead_letter_queue_arn
  job_table_arn         = module.storage.job_table_arn
  kms_key_arn           = var.kms_key_arn
}

module "load_balancer" {
  source = "./modules/load-balancer"

  name                        = local.name
  vpc_id                      = module.networking.vpc_id
  subnet_ids                  = module.networking.public_subnet_ids
  security_group_id           = module.networking.load_balancer_security_group_id
  backend_port                = local.backend_port
  https                       = var.https
  access_logs_enabled         = var.access_logs_enabled
  access_log_bucket           = module.storage.access_log_bucket
  web_acl_arn                 = var.web_acl_arn
  deletion_protection_enabled = var.deletion_protection_enabled
}

module "ecs_cluster" {
  source = "./modules/ecs-cluster"

  name                 = local.name
  region               = var.aws_region
  container_insights   = var.container_insights
  cpu_architecture     = local.cpu_architecture
  private_subnet_ids   = module.networking.private_subnet_ids
  execution_role_arn   = module.iam.execution_role_arn
  log_retention_days   = var.log_retention_days
  force_new_deployment = var.force_new_deployment

  deployment_timeout_minutes = var.deployment_timeout_minutes
  kms_key_arn                = var.kms_key_arn

  services = {
    backend = {
      image             = module.container_registry.image_references["backend"]
      cpu               = var.backend_cpu
      memory            = var.backend_memory
      desired_count     = var.backend_desired_count
      task_role_arn     = module.iam.backend_role_arn
      security_group_id = module.networking.backend_security_group_id
      log_group_name    = local.log_groups["backend"]
      port              = local.backend_port
      target_group_arn  = module.load_balancer.target_group_arn
      capacity          = var.backend_capacity
      environment = merge(local.environment, var.backend_environment, {
        PORT                   = local.backend_port
        USD_PER_MILLION_IMAGES = var.usd_per_million_images
      })
    }
    ml-service = {
      image             = module.container_registry.image_references["ml-service"]
      cpu               = var.ml_cpu
      memory            = var.ml_memory
      desired_count     = var.ml_desired_count
      task_role_arn     = module.iam.worker_role_arn
      security_group_id = module.networking.worker_security_group_id
      log_group_name    = local.log_groups["ml-service"]
      capacity          = var.ml_capacity
      environment = merge(local.environment, var.ml_environment, {
        VISIBILITY_S = var.visibility_timeout_seconds
      })
    }
  }
}

################################################################################
# Warnings
################################################################################

check "api_is_not_open" {
  assert {
    condition     = var.https != null || !contains(var.allowed_cidr_blocks, "0.0.0.0/0")
    error_message = "everybody can reach the API, over plain HTTP, and it asks for no key: name your own ranges in allowed_cidr_blocks, or set https."
  }
}

check "production_is_protected" {
  assert {
    condition     = !startswith(var.environment, "prod") || var.deletion_protection_enabled
    error_message = "environment is \"${var.environment}\" and deletion_protection_enabled is false: terraform destroy would remove its images and results."
  }
}
