# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Name of load balancer and target group, unique in the account and region."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 32
    error_message = "\"${var.name}\" (project_name-environment) has ${length(var.name)} characters; load balancers take lower-case letters, digits and hyphens, 32 at most."
  }
}

variable "vpc_id" {
  description = "VPC of the targets."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets, in two zones at least."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the load balancer."
  type        = string
}

variable "backend_port" {
  description = "Port of the targets."
  type        = number
}

variable "https" {
  description = "Certificate (ARN in ACM, same region) and the domain name it is for; null: HTTP only."
  type = object({
    certificate_arn = string
    domain_name     = string
  })
  default = null

  validation {
    condition     = var.https == null ? true : can(regex("^arn:[a-z-]+:(acm|iam):[a-z0-9-]*:[0-9]{12}:(certificate|server-certificate)/.+$", var.https.certificate_arn))
    error_message = "https.certificate_arn is \"${var.https == null ? "" : var.https.certificate_arn}\"; it must be the ARN of a certificate, arn:aws:acm:REGION:ACCOUNT:certificate/ID."
  }

  validation {
    condition     = var.https == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z][a-z0-9-]*[a-z0-9]$", var.https.domain_name))
    error_message = "https.domain_name is \"${var.https == null ? "" : var.https.domain_name}\"; it must be a host name such as images.example.com, without scheme or path."
  }
}

variable "access_logs_enabled" {
  description = "Whether access logs are written. Apart from the bucket, whose name a first plan does not know."
  type        = bool
}

variable "access_log_bucket" {
  description = "Bucket that takes the access logs."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "AWS WAF web ACL (regional) in front of the load balancer; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null ? true : can(regex("^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/.+$", var.web_acl_arn))
    error_message = "web_acl_arn is \"${var.web_acl_arn == null ? "" : var.web_acl_arn}\"; it must be the ARN of a regional web ACL of WAFv2."
  }
}

variable "deletion_protection_enabled" {
  description = "Whether the load balancer refuses deletion."
  type        = bool
}
