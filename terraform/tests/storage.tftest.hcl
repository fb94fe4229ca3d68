# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                        = "photos-dev"
  account_id                  = "111122223333"
  region                      = "us-east-1"
  retention_days              = 30
  access_logs_enabled         = true
  access_log_retention_days   = 365
  upload_origins              = ["https://images.example.com"]
  deletion_protection_enabled = false
}

run "buckets_are_private_versioned_encrypted_and_for_tls_only" {
  command = apply

  module {
    source = "./modules/storage"
  }

  assert {
    condition     = aws_s3_bucket.this["images"].bucket == "photos-dev-images-111122223333-us-east-1" && aws_s3_bucket.this["results"].bucket == "photos-dev-results-111122223333-us-east-1"
    error_message = "names hold environment, account and region"
  }

  assert {
    condition     = alltrue([for block in concat(values(aws_s3_bucket_public_access_block.this), aws_s3_bucket_public_access_block.log) : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "no bucket can become public"
  }

  assert {
    condition     = alltrue([for versioning in aws_s3_bucket_versioning.this : versioning.versioning_configuration[0].status == "Enabled"])
    error_message = "both buckets keep versions"
  }

  assert {
    condition     = alltrue([for encryption in aws_s3_bucket_server_side_encryption_configuration.this : one(one(encryption.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"])
    error_message = "S3's own key by default"
  }

  assert {
    condition = alltrue([
      for document in concat(values(data.aws_iam_policy_document.bucket), data.aws_iam_policy_document.log) :
      anytrue([for statement in document.statement : statement.effect == "Deny" && contains(statement.actions, "s3:*") && anytrue([for condition in statement.condition : condition.variable == "aws:SecureTransport" && condition.values == tolist(["false"])])])
    ])
    error_message = "without TLS everything is refused"
  }
}

run "results_live_longer_than_their_jobs_and_unfinished_uploads_end" {
  command = plan

  module {
    source = "./modules/storage"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.results.rule[0].expiration[0].days == 60
    error_message = "30 days of retention and 30 of grace"
  }

  assert {
    condition     = alltrue([for lifecycle in [aws_s3_bucket_lifecycle_configuration.images, aws_s3_bucket_lifecycle_configuration.results, aws_s3_bucket_lifecycle_configuration.log[0]] : lifecycle.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 3])
    error_message = "unfinished multipart uploads end in each bucket"
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.images.rule : rule.expiration[0].days == null || rule.expiration[0].days == 0])
    error_message = "images are the owner's and do not expire"
  }
}

run "browsers_may_only_put_what_they_were_given_a_url_for" {
  command = plan

  module {
    source = "./modules/storage"
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.images.cors_rule).allowed_methods == toset(["PUT"]) && one(aws_s3_bucket_cors_configuration.images.cors_rule).allowed_origins == toset(["https://images.example.com"])
    error_message = "PUT, from the origins named"
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.images.cors_rule).allowed_headers == toset(["content-type", "if-none-match"])
    error_message = "the headers that POST /uploads asks for"
  }
}

# The schema that the programs read and write: lib/store, tests/integration/aws_env.py.
run "the_table_has_the_keys_and_indexes_of_the_ledger" {
  command = plan

  module {
    source = "./modules/storage"
  }

  assert {
    condition     = aws_dynamodb_table.job.hash_key == "pk" && aws_dynamodb_table.job.range_key == null && aws_dynamodb_table.job.billing_mode == "PAY_PER_REQUEST"
    error_message = "partition key pk, billed a request"
  }

  assert {
    condition     = { for attribute in aws_dynamodb_table.job.attribute : attribute.name => attribute.type } == { pk = "S", obs = "N", obd = "N", lst = "S", crt = "S" }
    error_message = "types of the keys"
  }

  assert {
    condition = {
      for index in aws_dynamodb_table.job.global_secondary_index : index.name => [index.projection_type, join(" ", [for key in index.key_schema : "${key.attribute_name} ${key.key_type}"])]
    } == { outbox = ["KEYS_ONLY", "obs HASH obd RANGE"], listing = ["INCLUDE", "lst HASH crt RANGE"] }
    error_message = "indexes outbox and listing"
  }

  assert {
    condition     = one([for index in aws_dynamodb_table.job.global_secondary_index : index.non_key_attributes if index.name == "listing"]) == toset(["st"])
    error_message = "listing includes the state"
  }

  assert {
    condition     = aws_dynamodb_table.job.ttl[0].attribute_name == "ttl" && aws_dynamodb_table.job.ttl[0].enabled && aws_dynamodb_table.job.point_in_time_recovery[0].enabled
    error_message = "time to live and point-in-time recovery"
  }
}

run "by_default_destroy_removes_all" {
  command = plan

  module {
    source = "./modules/storage"
  }

  assert {
    condition     = alltrue([for bucket in concat(values(aws_s3_bucket.this), aws_s3_bucket.log) : bucket.force_destroy]) && !aws_dynamodb_table.job.deletion_protection_enabled
    error_message = "nothing keeps destroy from ending"
  }
}

run "protection_keeps_buckets_and_table" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    deletion_protection_enabled = true
  }

  assert {
    condition     = alltrue([for bucket in concat(values(aws_s3_bucket.this), aws_s3_bucket.log) : !bucket.force_destroy]) && aws_dynamodb_table.job.deletion_protection_enabled
    error_message = "buckets with content and the table stay"
  }
}

run "a_customers_key_encrypts_buckets_and_table" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = alltrue([for encryption in aws_s3_bucket_server_side_encryption_configuration.this : one(one(encryption.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && one(encryption.rule).bucket_key_enabled])
    error_message = "with bucket keys"
  }

  assert {
    condition     = aws_dynamodb_table.job.server_side_encryption[0].kms_key_arn == var.kms_key_arn && aws_dynamodb_table.job.server_side_encryption[0].enabled
    error_message = "the table too"
  }
}

run "without_access_logs_there_is_no_bucket_for_them" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    access_logs_enabled = false
  }

  assert {
    condition     = length(aws_s3_bucket.log) == 0 && length(aws_s3_bucket_logging.this) == 0 && output.access_log_bucket == null
    error_message = "no log bucket"
  }
}

run "a_bucket_name_of_64_characters_is_refused" {
  command = plan

  module {
    source = "./modules/storage"
  }

  # -results-111122223333-us-east-1 has 31 characters.
  variables {
    name = "a23456789012345678901234567890123"
  }

  expect_failures = [aws_s3_bucket.this]
}

run "a_bucket_name_of_63_characters_is_taken" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    name = "a2345678901234567890123456789012"
  }

  assert {
    condition     = length(aws_s3_bucket.this["results"].bucket) == 63
    error_message = "the longest name"
  }
}
