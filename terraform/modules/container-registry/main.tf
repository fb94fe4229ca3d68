# SPDX-License-Identifier: Apache-2.0

################################################################################
# What an image is made of
################################################################################

locals {
  # Every build sees this file, whatever it copies.
  ignore_file = ".dockerignore"

  # fileset names files relative to its first argument, whatever the working directory is. Names that begin with a dot
  # (an editor's swap file) are in no image: the ignore file leaves them out too.
  files = {
    for key, image in var.images : key => sort(distinct(concat(
      tolist(fileset(var.source_root, image.dockerfile)),
      tolist(fileset(var.source_root, local.ignore_file)),
      flatten([
        for input in image.inputs : [
          for file in setunion(fileset(var.source_root, input), fileset(var.source_root, "${input}/**")) :
          file if !anytrue([for part in split("/", file) : startswith(part, ".")])
        ]
      ]),
    )))
  }

  # Path and content both count, so that a renamed file is a change.
  hashes = {
    for key, files in local.files : key => sha256(join("\n", concat(
      [var.platform, var.images[key].dockerfile, var.base_image == null ? "" : var.base_image],
      [for file in files : "${filesha256("${var.source_root}/${file}")} ${file}"],
    )))
  }

  # The same source has the same tag: going back to an old source goes back to its tag.
  tags = { for key, hash in local.hashes : key => substr(hash, 0, 16) }

  # Sources of COPY and ADD (not those from other stages) and of bind mounts, for the precondition below.
  dockerfiles = {
    for key, image in var.images : key =>
    try(replace(file("${var.source_root}/${image.dockerfile}"), "/\\\\\\r?\\n/", " "), "")
  }

  copied = {
    for key, dockerfile in local.dockerfiles : key => distinct([
      for path in concat(
        flatten([
          for line in regexall("(?mi)^[ \\t]*(?:COPY|ADD)[ \\t]+(.+)$", dockerfile) : [
            for words in [[for word in split(" ", replace(line[0], "\t", " ")) : word if word != "" && !startswith(word, "--")]] :
            slice(words, 0, max(length(words) - 1, 0)) if !strcontains(line[0], "--from=")
          ]
        ]),
        [
          for mount in regexall("--mount=(\\S*type=bind\\S*)", dockerfile) :
          regex("(?:source|src)=([^,\\s]+)", mount[0])[0] if !strcontains(mount[0], "from=")
        ],
      ) : trimsuffix(trimprefix(path, "./"), "/")
    ])
  }

  unhashed = {
    for key, paths in local.copied : key => [
      for path in paths : path if !anytrue([
        for input in var.images[key].inputs : path == input || startswith(path, "${input}/")
      ])
    ]
  }
}

################################################################################
# Repositories
################################################################################

resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_51: a tag is the hash of the source, and going back to an old source pushes its tag again; tasks name digests
  # checkov:skip=CKV_AWS_136: kms_key_arn sets a customer's key; the images hold no secrets
  for_each = var.images

  name                 = "${var.name}/${each.key}"
  image_tag_mutability = "MUTABLE"
  # Takes effect once applied, and so must be there from the first apply on.
  force_delete = !var.deletion_protection_enabled

  encryption_configuration {
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

# A running task names its image's digest, tagged or not: so images go by number only, never by tag or age.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "keep the newest 20"
      selection = {
        tagStatus   = "any"
        countType   = "imageCountMoreThan"
        countNumber = 20
      }
      action = { type = "expire" }
    }]
  })
}

################################################################################
# Images
################################################################################

# Lives in the local daemon only: on another machine Terraform makes it again, which pushes nothing by itself.
resource "docker_image" "this" {
  for_each = var.images

  name     = "${aws_ecr_repository.this[each.key].repository_url}:${local.tags[each.key]}"
  platform = var.platform
  triggers = { source = local.hashes[each.key] }
  # Destroy needs no image gone from this machine, and the next build starts from it.
  keep_locally = true

  build {
    context    = var.source_root
    dockerfile = each.value.dockerfile
    platform   = var.platform
    build_args = merge(
      # What /version and the image's labels say.
      { VERSION = "0.0.0+${local.tags[each.key]}", REVISION = local.tags[each.key] },
      { for name, value in { BASE_IMAGE = var.base_image, PIP_INDEX_URL = var.pip_index_url } : name => value if value != null },
    )
    # Attestations would make the image an index with entries of an unknown platform.
    provenance = "false"
    sbom       = "false"
  }

  lifecycle {
    precondition {
      condition     = fileexists("${var.source_root}/${each.value.dockerfile}")
      error_message = "${each.value.dockerfile} is not in ${var.source_root}: images are built from a complete checkout of the project."
    }

    precondition {
      condition     = length(local.unhashed[each.key]) == 0
      error_message = "${each.value.dockerfile} copies ${join(", ", local.unhashed[each.key])}, which the inputs of the image ${each.key} do not name: a change there would rebuild nothing."
    }
  }
}

resource "docker_registry_image" "this" {
  for_each = var.images

  name = docker_image.this[each.key].name
  # The source, and not the image's id: that is unknown when another machine has to build, and would push and deploy.
  triggers = { source = local.hashes[each.key] }
  # Running tasks still name the old digest when this is replaced.
  keep_remotely = true
}
