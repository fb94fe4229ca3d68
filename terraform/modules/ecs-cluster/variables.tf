# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Name of the cluster and prefix of the task families, unique in the account and region."
  type        = string
}

variable "region" {
  description = "Region that the logs are written to."
  type        = string
}

variable "container_insights" {
  description = "Container Insights: disabled, enabled or enhanced."
  type        = string

  validation {
    condition     = contains(["disabled", "enabled", "enhanced"], var.container_insights)
    error_message = "container_insights is \"${var.container_insights}\"; it must be disabled, enabled or enhanced."
  }
}

variable "cpu_architecture" {
  description = "CPU architecture of the tasks, as the images' platform: X86_64 or ARM64."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "execution_role_arn" {
  description = "Role with which ECS starts tasks."
  type        = string
}

variable "services" {
  description = "The services by name. image: repository@digest; port and target_group_arn: only if the load balancer calls it; capacity: where its tasks run."
  type = map(object({
    image             = string
    cpu               = number
    memory            = number
    desired_count     = number
    task_role_arn     = string
    security_group_id = string
    log_group_name    = string
    environment       = map(string)
    port              = optional(number)
    target_group_arn  = optional(string)
    capacity = object({
      fargate_base        = number
      fargate_weight      = number
      fargate_spot_weight = number
    })
  }))

  validation {
    condition     = alltrue([for service in var.services : service.desired_count >= 1])
    error_message = "a desired_count below 1: a service without tasks serves nobody, and nothing would start one."
  }

  validation {
    condition     = alltrue([for service in var.services : service.capacity.fargate_weight + service.capacity.fargate_spot_weight > 0])
    error_message = "capacity of ${join(" and ", [for name, service in var.services : name if service.capacity.fargate_weight + service.capacity.fargate_spot_weight <= 0])}: both weights are 0, so that no task could be placed; set fargate_weight or fargate_spot_weight."
  }

  # What a task definition holds is shown to everybody who may read task definitions.
  validation {
    condition = alltrue(flatten([
      for service in var.services : [for name in keys(service.environment) : !contains(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"], name)]
    ]))
    error_message = "environment holds AWS credentials; tasks get theirs from their role."
  }
}

variable "log_retention_days" {
  description = "Days that the services' logs are kept."
  type        = number
}

variable "force_new_deployment" {
  description = "Whether each change of a service starts its tasks anew; the provider asks for it when capacity changes."
  type        = bool
}

variable "deployment_timeout_minutes" {
  description = "Minutes to wait for a service to run its new tasks."
  type        = number
}

variable "kms_key_arn" {
  description = "Customer managed key of the log groups; null: CloudWatch's own."
  type        = string
  default     = null
}
