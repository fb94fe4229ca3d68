# SPDX-License-Identifier: Apache-2.0

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0, >= 6.37"
    }
    # Named in every module that uses it: an inherited "docker" would mean hashicorp/docker, which is not there.
    docker = {
      source  = "kreuzwerker/docker"
      version = "~> 4.4"
    }
  }
}
