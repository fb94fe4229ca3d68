# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of the repositories' names, unique in the account and region."
  type        = string
}

variable "source_root" {
  description = "Folder of the project, the context of every build. Relative, so that the state is the same on every machine."
  type        = string
}

variable "images" {
  description = "The images by name: Dockerfile, and the files and folders that it copies, all relative to source_root."
  type = map(object({
    dockerfile = string
    inputs     = list(string)
  }))

  validation {
    condition     = length(var.images) > 0
    error_message = "images is empty; at least one image is built."
  }
}

variable "base_image" {
  description = "Image that the builds start from, by tag or digest; null: the Dockerfiles' own. A change rebuilds."
  type        = string
  default     = null
}

variable "pip_index_url" {
  description = "Mirror of PyPI for the inference library, which is pinned by its hash; null: PyPI. A change rebuilds nothing."
  type        = string
  default     = null
}

variable "platform" {
  description = "Platform of the images, as the tasks' runtime platform."
  type        = string
}

variable "deletion_protection_enabled" {
  description = "true: a repository that holds images refuses deletion. false: destroy removes the images too."
  type        = bool
}

variable "kms_key_arn" {
  description = "Customer managed key of the repositories; null: ECR's own."
  type        = string
  default     = null
}
