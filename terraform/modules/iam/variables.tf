# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, unique in the account and region."
  type        = string
}

variable "partition" {
  description = "Partition of the ARNs, such as aws."
  type        = string
}

variable "region" {
  description = "Region of the ARNs."
  type        = string
}

variable "account_id" {
  description = "Account of the ARNs."
  type        = string
}

variable "cluster_name" {
  description = "Cluster whose tasks a worker may protect against scale-in."
  type        = string
}

variable "repository_arns" {
  description = "Repositories that tasks are started from."
  type        = list(string)
}

variable "log_group_names" {
  description = "Log groups that tasks write to."
  type        = list(string)
}

variable "flow_logs_enabled" {
  description = "Whether there is a role for VPC flow logs."
  type        = bool
}

variable "flow_log_group_name" {
  description = "Log group that VPC flow logs go to."
  type        = string
}

variable "image_bucket_arn" {
  description = "Bucket of the clients' images."
  type        = string
}

variable "result_bucket_arn" {
  description = "Bucket of manifests and results."
  type        = string
}

variable "job_queue_arn" {
  description = "Queue of the work."
  type        = string
}

variable "dead_letter_queue_arn" {
  description = "Dead-letter queue."
  type        = string
}

variable "job_table_arn" {
  description = "Table of the jobs."
  type        = string
}

variable "kms_key_arn" {
  description = "Customer managed key of buckets, queues and table; null: there is none to be allowed."
  type        = string
  default     = null
}
