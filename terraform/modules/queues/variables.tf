# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, unique in the account and region."
  type        = string
}

variable "visibility_timeout_seconds" {
  description = "Seconds that a received message is hidden; the same number is the worker's VISIBILITY_S."
  type        = number

  validation {
    condition     = var.visibility_timeout_seconds >= 3 && var.visibility_timeout_seconds <= 43200 && floor(var.visibility_timeout_seconds) == var.visibility_timeout_seconds
    error_message = "visibility_timeout_seconds is ${var.visibility_timeout_seconds}; it must be a whole number from 3 to 43200."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key of the messages; null: SQS's own."
  type        = string
  default     = null
}
