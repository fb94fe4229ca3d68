# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, unique in the account and region."
  type        = string
}

variable "account_id" {
  description = "Account that owns the buckets; part of their names, which are global."
  type        = string
}

variable "region" {
  description = "Region of the buckets; part of their names."
  type        = string
}

variable "retention_days" {
  description = "Days that the services keep an ended job; objects of the result bucket live longer by result_grace_days."
  type        = number

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days is ${var.retention_days}; it must be a whole number from 1 to 3650."
  }
}

variable "result_grace_days" {
  description = "Days added to retention_days: objects age from their writing, jobs from their end, which may be weeks later."
  type        = number
  default     = 30
}

variable "access_logs_enabled" {
  description = "Whether there is a bucket for access logs, written by S3 (both buckets) and by the load balancer."
  type        = bool
}

variable "access_log_retention_days" {
  description = "Days that access logs are kept."
  type        = number
}

variable "upload_origins" {
  description = "Web origins whose pages may PUT to presigned upload URLs, as https://host."
  type        = list(string)
}

variable "deletion_protection_enabled" {
  description = "true: the table refuses deletion and buckets that are not empty stay. false: destroy removes all of it."
  type        = bool
}

variable "kms_key_arn" {
  description = "Customer managed key of buckets and table; null: keys that AWS owns."
  type        = string
  default     = null
}
