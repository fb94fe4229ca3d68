# SPDX-License-Identifier: Apache-2.0

terraform {
  required_version = ">= 1.5"

  required_providers {
    # 6.37: the first whose key_schema of a table's indexes has no lasting difference (modules/storage).
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0, >= 6.37"
    }
    docker = {
      source  = "kreuzwerker/docker"
      version = "~> 4.4"
    }
  }
}
