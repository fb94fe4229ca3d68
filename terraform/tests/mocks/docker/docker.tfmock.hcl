# SPDX-License-Identifier: Apache-2.0

mock_resource "docker_registry_image" {
  defaults = {
    sha256_digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
  }
}
