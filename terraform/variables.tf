# SPDX-License-Identifier: Apache-2.0

################################################################################
# Names and place
################################################################################

variable "project_name" {
  description = "Name of the deployment, part of every resource's name and of the log groups /ecs/<project_name>/…"
  type        = string
  default     = "distributed-classifier"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.project_name)) && length(var.project_name) >= 2 && length(var.project_name) <= 22
    error_message = "project_name is \"${var.project_name}\"; it must be 2 to 22 lower-case letters, digits and single hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "environment" {
  description = "Name of the environment, part of every resource's name: several stand side by side in one account."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.environment))
    error_message = "environment is \"${var.environment}\"; it must be 2 to 9 lower-case letters and digits, starting with a letter, such as dev, staging or prod."
  }
}

variable "aws_region" {
  description = "AWS region of everything."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]+$", var.aws_region)) && !startswith(var.aws_region, "cn-")
    error_message = "aws_region is \"${var.aws_region}\"; it must be the name of a region, such as eu-central-1. The regions in China are not supported (their registries have other host names)."
  }
}

variable "tags" {
  description = "Tags of every resource, beside Project, Environment and ManagedBy."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) >= 1 && length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")])
    error_message = "tags: a key has 1 to 128 characters and does not begin with aws:, a value 256 at most."
  }
}

################################################################################
# Services
################################################################################

variable "backend_cpu" {
  description = "CPU units of a backend task (1024 is one vCPU)."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.backend_cpu)
    error_message = "backend_cpu is ${var.backend_cpu}; Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  }
}

variable "backend_memory" {
  description = "MiB of memory of a backend task. Which sizes go with which CPU units: modules/ecs-cluster/README.md."
  type        = number
  default     = 1024

  # Request bodies alone may take 256 MiB (BODY_BUDGET_MIB).
  validation {
    condition     = var.backend_memory >= 512 && var.backend_memory <= 122880 && floor(var.backend_memory) == var.backend_memory
    error_message = "backend_memory is ${var.backend_memory}; it must be a whole number of MiB from 512 to 122880."
  }
}

variable "ml_cpu" {
  description = "CPU units of a worker task (1024 is one vCPU)."
  type        = number
  default     = 2048

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.ml_cpu)
    error_message = "ml_cpu is ${var.ml_cpu}; Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  }
}

variable "ml_memory" {
  description = "MiB of memory of a worker task."
  type        = number
  default     = 8192

  validation {
    condition     = var.ml_memory >= 512 && var.ml_memory <= 122880 && floor(var.ml_memory) == var.ml_memory
    error_message = "ml_memory is ${var.ml_memory}; it must be a whole number of MiB from 512 to 122880."
  }
}

variable "backend_desired_count" {
  description = "Backend tasks."
  type        = number
  default     = 2

  validation {
    condition     = var.backend_desired_count >= 1 && var.backend_desired_count <= 1000 && floor(var.backend_desired_count) == var.backend_desired_count
    error_message = "backend_desired_count is ${var.backend_desired_count}; it must be a whole number from 1 to 1000. Without a backend nobody is served."
  }
}

variable "ml_desired_count" {
  description = "Worker tasks."
  type        = number
  default     = 3

  validation {
    condition     = var.ml_desired_count >= 1 && var.ml_desired_count <= 5000 && floor(var.ml_desired_count) == var.ml_desired_count
    error_message = "ml_desired_count is ${var.ml_desired_count}; it must be a whole number from 1 to 5000. Without a worker no job ends."
  }
}

variable "backend_capacity" {
  description = "Where backend tasks run: so many on Fargate first, the rest by weight on Fargate and Fargate Spot."
  type = object({
    fargate_base        = optional(number, 0)
    fargate_weight      = optional(number, 1)
    fargate_spot_weight = optional(number, 0)
  })
  default = {}

  validation {
    condition     = alltrue([for value in values(var.backend_capacity) : value >= 0 && floor(value) == value]) && var.backend_capacity.fargate_base <= 100000 && var.backend_capacity.fargate_weight <= 1000 && var.backend_capacity.fargate_spot_weight <= 1000
    error_message = "backend_capacity: base and weights are whole numbers, the base from 0 to 100000, weights from 0 to 1000."
  }

  validation {
    condition     = var.backend_capacity.fargate_weight + var.backend_capacity.fargate_spot_weight > 0
    error_message = "backend_capacity: both weights are 0, so that no task could be placed."
  }
}

variable "ml_capacity" {
  description = "Where worker tasks run, as backend_capacity. Workers lose nothing when Spot takes a task back."
  type = object({
    fargate_base        = optional(number, 0)
    fargate_weight      = optional(number, 1)
    fargate_spot_weight = optional(number, 0)
  })
  default = {}

  validation {
    condition     = alltrue([for value in values(var.ml_capacity) : value >= 0 && floor(value) == value]) && var.ml_capacity.fargate_base <= 100000 && var.ml_capacity.fargate_weight <= 1000 && var.ml_capacity.fargate_spot_weight <= 1000
    error_message = "ml_capacity: base and weights are whole numbers, the base from 0 to 100000, weights from 0 to 1000."
  }

  validation {
    condition     = var.ml_capacity.fargate_weight + var.ml_capacity.fargate_spot_weight > 0
    error_message = "ml_capacity: both weights are 0, so that no task could be placed."
  }
}

variable "force_new_deployment" {
  description = "Set for the one apply that changes backend_capacity or ml_capacity, which takes a new deployment."
  type        = bool
  default     = false
}

variable "deployment_timeout_minutes" {
  description = "Minutes that an apply waits for a service to run its new tasks."
  type        = number
  default     = 10

  validation {
    condition     = var.deployment_timeout_minutes >= 1 && var.deployment_timeout_minutes <= 60 && floor(var.deployment_timeout_minutes) == var.deployment_timeout_minutes
    error_message = "deployment_timeout_minutes is ${var.deployment_timeout_minutes}; it must be a whole number from 1 to 60."
  }
}

variable "backend_environment" {
  description = "Further settings of the backend, by the names of docs/configuration.md."
  type        = map(string)
  default     = {}

  # Those that Terraform sets are variables of their own or follow from the deployment; credentials come from the role.
  validation {
    condition     = alltrue([for name in keys(var.backend_environment) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !contains(["AWS_REGION", "AWS_DEFAULT_REGION", "BIND_ADDRESS", "CHUNK_IMAGES", "FAIR_QUEUE", "IMAGE_BUCKET", "JOB_DLQ_URL", "JOB_QUEUE_URL", "JOB_TABLE", "LOG_LEVEL", "PORT", "RESULT_BUCKET", "RETENTION_DAYS", "USD_PER_MILLION_IMAGES", "VISIBILITY_S"], name) && !startswith(name, "AWS_ACCESS_KEY") && !startswith(name, "AWS_SECRET") && !startswith(name, "AWS_SESSION") && !startswith(name, "AWS_CONTAINER")])
    error_message = "backend_environment: names are upper-case, and those that Terraform sets itself (buckets, queues, table, PORT, LOG_LEVEL, CHUNK_IMAGES, …) and credentials are not among them."
  }
}

variable "ml_environment" {
  description = "Further settings of the workers, by the names of docs/configuration.md."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.ml_environment) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !contains(["AWS_REGION", "AWS_DEFAULT_REGION", "BIND_ADDRESS", "CHUNK_IMAGES", "FAIR_QUEUE", "IMAGE_BUCKET", "JOB_DLQ_URL", "JOB_QUEUE_URL", "JOB_TABLE", "LOG_LEVEL", "PORT", "RESULT_BUCKET", "RETENTION_DAYS", "USD_PER_MILLION_IMAGES", "VISIBILITY_S"], name) && !startswith(name, "AWS_ACCESS_KEY") && !startswith(name, "AWS_SECRET") && !startswith(name, "AWS_SESSION") && !startswith(name, "AWS_CONTAINER")])
    error_message = "ml_environment: names are upper-case, and those that Terraform sets itself (buckets, queues, table, LOG_LEVEL, CHUNK_IMAGES, VISIBILITY_S, …) and credentials are not among them."
  }
}

variable "log_level" {
  description = "What both services log."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warn", "error", "off"], var.log_level)
    error_message = "log_level is \"${var.log_level}\"; it must be debug, info, warn, error or off."
  }
}

variable "usd_per_million_images" {
  description = "Price behind estimated_cost_usd in the API's answers; 0: no estimate. docs/deploy.md calculates one."
  type        = number
  default     = 0

  validation {
    condition     = var.usd_per_million_images >= 0 && var.usd_per_million_images <= 1000000 && floor(var.usd_per_million_images) == var.usd_per_million_images
    error_message = "usd_per_million_images is ${var.usd_per_million_images}; it must be a whole number from 0 to 1000000."
  }
}

################################################################################
# Images
################################################################################

variable "base_image" {
  description = "Debian 13 image that the builds start from, such as debian:trixie-slim@sha256:…; null: the Dockerfiles' own. Another one rebuilds both images: for security updates."
  type        = string
  default     = null

  validation {
    condition     = var.base_image == null ? true : can(regex("^[a-z0-9][a-zA-Z0-9._:/@-]*$", var.base_image))
    error_message = "base_image is \"${var.base_image == null ? "" : var.base_image}\"; it must be the name of an image, with a tag or digest."
  }
}

variable "pip_index_url" {
  description = "Mirror of PyPI from which the build of ml-service gets the inference library, pinned by its hash; null: PyPI."
  type        = string
  default     = null

  validation {
    condition     = var.pip_index_url == null ? true : can(regex("^https?://[^@ ]+$", var.pip_index_url))
    error_message = "pip_index_url must be an http or https URL without a user or password: it is part of the state."
  }
}

################################################################################
# Work
################################################################################

variable "chunk_images" {
  description = "Images in a chunk, the unit of delivery and accounting; the same in both services."
  type        = number
  default     = 100

  validation {
    condition     = var.chunk_images >= 1 && var.chunk_images <= 500 && floor(var.chunk_images) == var.chunk_images
    error_message = "chunk_images is ${var.chunk_images}; it must be a whole number from 1 to 500."
  }
}

variable "retention_days" {
  description = "Days that ended jobs and their results are kept; the same in both services, and the result bucket's lifecycle follows."
  type        = number
  default     = 30

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days is ${var.retention_days}; it must be a whole number from 1 to 3650."
  }
}

variable "visibility_timeout_seconds" {
  description = "Seconds after which the chunk of a dead worker is taken up by another; of the queues and of the workers."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout_seconds >= 3 && var.visibility_timeout_seconds <= 43200 && floor(var.visibility_timeout_seconds) == var.visibility_timeout_seconds
    error_message = "visibility_timeout_seconds is ${var.visibility_timeout_seconds}; it must be a whole number from 3 to 43200."
  }
}

variable "fair_queue_enabled" {
  description = "Whether messages have a group, by which SQS is fair to small jobs. Off for servers that refuse groups on a standard queue."
  type        = bool
  default     = true
}

################################################################################
# Network
################################################################################

variable "vpc_cidr" {
  description = "Address range of the VPC, /16 to /24."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && can(regex("/(1[6-9]|2[0-4])$", var.vpc_cidr))
    error_message = "vpc_cidr is \"${var.vpc_cidr}\"; it must be an IPv4 range from /16 to /24, such as 10.0.0.0/16."
  }
}

variable "availability_zones" {
  description = "Zones, two to six; empty: the region's first two."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.availability_zones) == 0 || (length(var.availability_zones) >= 2 && length(var.availability_zones) <= 6)
    error_message = "availability_zones names ${length(var.availability_zones)}; two to six are needed: a load balancer stands in two at least."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones names a zone twice: ${join(", ", var.availability_zones)}."
  }
}

variable "subnet_cidrs" {
  description = "Address ranges of the subnets, one a zone and in the zones' order; null: equal parts of vpc_cidr."
  type = object({
    public  = list(string)
    private = list(string)
  })
  default = null
}

variable "egress" {
  description = "How tasks reach ECR, SQS and CloudWatch: nat_gateway (cheapest), nat_gateway_per_zone, or interface_endpoints (no way to the internet)."
  type        = string
  default     = "nat_gateway"

  validation {
    condition     = contains(["interface_endpoints", "nat_gateway", "nat_gateway_per_zone"], var.egress)
    error_message = "egress is \"${var.egress}\"; it must be interface_endpoints, nat_gateway or nat_gateway_per_zone."
  }
}

variable "allowed_cidr_blocks" {
  description = "IPv4 ranges that may reach the API."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_cidr_blocks) > 0
    error_message = "allowed_cidr_blocks is empty; nobody could reach the API."
  }

  validation {
    condition     = alltrue([for cidr in var.allowed_cidr_blocks : can(cidrnetmask(cidr)) && try(cidrhost(cidr, 0) == split("/", cidr)[0], false)])
    error_message = "allowed_cidr_blocks holds ${join(", ", [for cidr in var.allowed_cidr_blocks : "\"${cidr}\"" if !(can(cidrnetmask(cidr)) && try(cidrhost(cidr, 0) == split("/", cidr)[0], false))])}; IPv4 ranges are needed, beginning at their first address, such as 203.0.113.0/24 or 203.0.113.7/32."
  }
}

variable "https" {
  description = "Certificate in ACM and the domain name that it is for; null: HTTP only."
  type = object({
    certificate_arn = string
    domain_name     = string
  })
  default = null

  validation {
    condition     = var.https == null ? true : can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.https.certificate_arn))
    error_message = "https.certificate_arn is \"${var.https == null ? "" : var.https.certificate_arn}\"; it must be arn:aws:acm:REGION:ACCOUNT:certificate/ID."
  }

  validation {
    condition     = var.https == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z][a-z0-9-]*[a-z0-9]$", var.https.domain_name))
    error_message = "https.domain_name is \"${var.https == null ? "" : var.https.domain_name}\"; it must be a host name such as images.example.com, without scheme or path."
  }
}

variable "web_acl_arn" {
  description = "Web ACL of AWS WAF in front of the load balancer; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null ? true : can(regex("^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/.+$", var.web_acl_arn))
    error_message = "web_acl_arn is \"${var.web_acl_arn == null ? "" : var.web_acl_arn}\"; it must be arn:aws:wafv2:REGION:ACCOUNT:regional/webacl/NAME/ID."
  }
}

variable "upload_origins" {
  description = "Web origins, beside the API's own, whose pages may PUT images to presigned URLs."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.upload_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "upload_origins: an origin is a scheme and a host, as https://app.example.com, without path and slash."
  }
}

################################################################################
# Keeping
################################################################################

variable "deletion_protection_enabled" {
  description = "false: terraform destroy removes everything, images and results with it. true, for production: load balancer and table refuse deletion, and buckets and repositories that are not empty stay."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "Customer managed KMS key of buckets, queues, table, repositories and log groups; null: keys that AWS owns."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${var.kms_key_arn == null ? "" : var.kms_key_arn}\"; it must be arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

################################################################################
# Watching
################################################################################

variable "log_retention_days" {
  description = "Days that logs and access logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "flow_logs_enabled" {
  description = "Whether connections that the VPC refuses are logged."
  type        = bool
  default     = false
}

variable "access_logs_enabled" {
  description = "Whether load balancer and buckets write access logs, into a bucket of their own."
  type        = bool
  default     = true
}

variable "container_insights" {
  description = "Container Insights: disabled, enabled or enhanced."
  type        = string
  default     = "enabled"

  validation {
    condition     = contains(["disabled", "enabled", "enhanced"], var.container_insights)
    error_message = "container_insights is \"${var.container_insights}\"; it must be disabled, enabled or enhanced."
  }
}
