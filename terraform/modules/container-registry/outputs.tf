# SPDX-License-Identifier: Apache-2.0

output "image_references" {
  description = "The images as tasks name them, repository@digest, by image name."
  value = {
    for key, image in docker_registry_image.this : key => "${aws_ecr_repository.this[key].repository_url}@${image.sha256_digest}"
  }
}

output "image_digests" {
  description = "Digests in the registry, by image name."
  value       = { for key, image in docker_registry_image.this : key => image.sha256_digest }
}

output "image_tags" {
  description = "Tags, which are hashes of the source, by image name."
  value       = local.tags
}

output "repository_arns" {
  description = "ARNs of the repositories, by image name."
  value       = { for key, repository in aws_ecr_repository.this : key => repository.arn }
}
