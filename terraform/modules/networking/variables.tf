# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, unique in the account and region."
  type        = string
}

variable "region" {
  description = "Region, part of the endpoints' service names."
  type        = string
}

variable "vpc_cidr" {
  description = "Address range of the VPC."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && can(regex("/(1[6-9]|2[0-4])$", var.vpc_cidr))
    error_message = "vpc_cidr is \"${var.vpc_cidr}\"; it must be an IPv4 range from /16 to /24, such as 10.0.0.0/16."
  }
}

variable "availability_zones" {
  description = "Zones of the subnets, at least two; empty: the region's first two."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.availability_zones) == 0 || length(distinct(var.availability_zones)) >= 2
    error_message = "availability_zones names ${length(distinct(var.availability_zones))} zone; a load balancer needs two different ones at least."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones names a zone twice: ${join(", ", var.availability_zones)}."
  }

  validation {
    condition     = length(var.availability_zones) <= 6
    error_message = "availability_zones names ${length(var.availability_zones)} zones; 6 at most."
  }
}

variable "subnet_cidrs" {
  description = "Address ranges of the subnets, one a zone and in its order; null: equal parts of vpc_cidr."
  type = object({
    public  = list(string)
    private = list(string)
  })
  default = null

  validation {
    condition     = var.subnet_cidrs == null ? true : alltrue([for cidr in concat(var.subnet_cidrs.public, var.subnet_cidrs.private) : can(cidrnetmask(cidr)) && can(regex("/(1[6-9]|2[0-8])$", cidr))])
    error_message = "subnet_cidrs holds ${var.subnet_cidrs == null ? "" : join(", ", [for cidr in concat(var.subnet_cidrs.public, var.subnet_cidrs.private) : "\"${cidr}\"" if !(can(cidrnetmask(cidr)) && can(regex("/(1[6-9]|2[0-8])$", cidr)))])}: IPv4 ranges from /16 to /28 are what subnets take."
  }
}

variable "egress" {
  description = "How tasks reach ECR, SQS and CloudWatch: interface_endpoints, nat_gateway, or nat_gateway_per_zone."
  type        = string

  validation {
    condition     = contains(["interface_endpoints", "nat_gateway", "nat_gateway_per_zone"], var.egress)
    error_message = "egress is \"${var.egress}\"; it must be interface_endpoints, nat_gateway or nat_gateway_per_zone."
  }
}

variable "allowed_cidr_blocks" {
  description = "IPv4 ranges that may reach the load balancer."
  type        = list(string)
}

variable "https_enabled" {
  description = "Whether the load balancer listens on port 443, and port 80 only redirects."
  type        = bool
}

variable "backend_port" {
  description = "Port of the backend's tasks."
  type        = number
}

variable "flow_logs_enabled" {
  description = "Whether refused connections are logged."
  type        = bool
}

variable "flow_log_role_arn" {
  description = "Role with which VPC flow logs are written; null without them."
  type        = string
}

variable "flow_log_group_name" {
  description = "Log group of the VPC flow logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Customer managed key of the log group; null: CloudWatch's own."
  type        = string
  default     = null
}
