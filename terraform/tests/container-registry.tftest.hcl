# SPDX-License-Identifier: Apache-2.0
# On small trees of sources, tests/fixtures: "edited" and "renamed" differ from "tree" in one file each.

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

mock_provider "docker" {
  source = "./tests/mocks/docker"
}

variables {
  name                        = "photos-dev"
  source_root                 = "./tests/fixtures/tree"
  platform                    = "linux/amd64"
  deletion_protection_enabled = false
  images = {
    one = { dockerfile = "one/Dockerfile", inputs = ["shared", "one"] }
    two = { dockerfile = "two/Dockerfile", inputs = ["shared", "two"] }
  }
}

run "tree" {
  command = apply

  module {
    source = "./modules/container-registry"
  }

  assert {
    condition     = alltrue([for key, image in docker_image.this : endswith(image.name, ":${output.image_tags[key]}") && can(regex("^[0-9a-f]{16}$", output.image_tags[key]))])
    error_message = "the tag is a hash of the source"
  }

  assert {
    condition     = alltrue([for key, image in docker_image.this : image.platform == "linux/amd64" && one(image.build).platform == "linux/amd64" && one(image.build).context == "./tests/fixtures/tree" && one(image.build).dockerfile == "${key}/Dockerfile"])
    error_message = "context is the project, the platform is that of the tasks"
  }

  assert {
    condition     = alltrue([for image in docker_image.this : one(image.build).provenance == "false" && one(image.build).sbom == "false" && image.keep_locally])
    error_message = "one manifest for one platform"
  }

  assert {
    condition     = alltrue([for key, image in docker_registry_image.this : image.keep_remotely && image.triggers == docker_image.this[key].triggers && image.name == docker_image.this[key].name])
    error_message = "pushed again when the source changes, and old images stay"
  }

  assert {
    condition     = output.image_references["one"] == "111122223333.dkr.ecr.us-east-1.amazonaws.com/mock@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    error_message = "tasks name digests"
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.force_delete && repository.image_scanning_configuration[0].scan_on_push && repository.encryption_configuration[0].encryption_type == "AES256"])
    error_message = "scanned, encrypted, and gone with destroy"
  }

  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : [for rule in jsondecode(policy.policy).rules : rule.selection] == [{ tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }]])
    error_message = "images go by number only: a running task may name an untagged one"
  }
}

run "an_edited_file_changes_the_image_that_is_made_of_it_and_no_other" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    source_root = "./tests/fixtures/edited"
  }

  assert {
    condition     = output.image_tags["one"] != run.tree.image_tags["one"]
    error_message = "one/b.c was edited"
  }

  # Beside an editor's swap file, which no image holds.
  assert {
    condition     = output.image_tags["two"] == run.tree.image_tags["two"]
    error_message = "nothing of two was edited"
  }
}

run "a_renamed_file_is_a_change" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    source_root = "./tests/fixtures/renamed"
  }

  assert {
    condition     = output.image_tags["two"] != run.tree.image_tags["two"] && output.image_tags["one"] == run.tree.image_tags["one"]
    error_message = "two/c.c was renamed"
  }
}

run "going_back_gives_the_old_tags" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  assert {
    condition     = output.image_tags == run.tree.image_tags
    error_message = "the same source, the same tags"
  }
}

run "another_base_image_rebuilds_and_another_mirror_does_not" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    base_image    = "debian:trixie-slim@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    pip_index_url = "https://mirror.example/simple"
  }

  assert {
    condition     = output.image_tags["one"] != run.tree.image_tags["one"] && output.image_tags["two"] != run.tree.image_tags["two"]
    error_message = "the base is part of the image"
  }

  assert {
    condition     = alltrue([for image in docker_image.this : one(image.build).build_args["BASE_IMAGE"] == var.base_image && one(image.build).build_args["PIP_INDEX_URL"] == var.pip_index_url])
    error_message = "both reach the build"
  }
}

run "another_mirror_rebuilds_nothing" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    pip_index_url = "https://mirror.example/simple"
  }

  assert {
    condition     = output.image_tags == run.tree.image_tags
    error_message = "what is fetched is pinned by its hash"
  }
}

run "a_copied_folder_that_is_no_input_is_refused" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    images = {
      two = { dockerfile = "two/Dockerfile", inputs = ["two"] }
    }
  }

  expect_failures = [docker_image.this]
}

run "a_missing_dockerfile_is_refused" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    images = {
      three = { dockerfile = "three/Dockerfile", inputs = ["shared"] }
    }
  }

  expect_failures = [docker_image.this]
}

run "protection_keeps_repositories_that_hold_images" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    deletion_protection_enabled = true
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : !repository.force_delete])
    error_message = "no force_delete"
  }
}

run "no_image_is_refused" {
  command = plan

  module {
    source = "./modules/container-registry"
  }

  variables {
    images = {}
  }

  expect_failures = [var.images]
}
