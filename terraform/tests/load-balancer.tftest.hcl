# SPDX-License-Identifier: Apache-2.0

mock_provider "aws" {
  source = "./tests/mocks/aws"
}

variables {
  name                        = "photos-dev"
  vpc_id                      = "vpc-1"
  subnet_ids                  = ["subnet-1", "subnet-2"]
  security_group_id           = "sg-1"
  backend_port                = 8080
  access_logs_enabled         = true
  access_log_bucket           = "logs"
  deletion_protection_enabled = false
}

run "http_without_a_certificate" {
  command = apply

  module {
    source = "./modules/load-balancer"
  }

  assert {
    condition     = aws_lb_listener.http.port == 80 && aws_lb_listener.http.default_action[0].type == "forward" && length(aws_lb_listener.https) == 0
    error_message = "port 80 goes to the backend"
  }

  assert {
    condition     = output.endpoint == "http://${aws_lb.this.dns_name}"
    error_message = "a URL that curl takes"
  }
}

run "https_with_a_certificate" {
  command = apply

  module {
    source = "./modules/load-balancer"
  }

  variables {
    https = {
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"
      domain_name     = "images.example.com"
    }
  }

  assert {
    condition     = aws_lb_listener.https[0].port == 443 && aws_lb_listener.https[0].certificate_arn == var.https.certificate_arn && aws_lb_listener.https[0].default_action[0].type == "forward"
    error_message = "port 443 goes to the backend"
  }

  assert {
    condition     = startswith(aws_lb_listener.https[0].ssl_policy, "ELBSecurityPolicy-TLS13-1-2-")
    error_message = "TLS 1.2 at least"
  }

  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS" && aws_lb_listener.http.default_action[0].redirect[0].port == "443"
    error_message = "port 80 redirects"
  }

  assert {
    condition     = output.endpoint == "https://images.example.com"
    error_message = "the name in the certificate"
  }
}

run "requests_that_two_servers_could_read_differently_do_not_pass" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  assert {
    condition     = aws_lb.this.desync_mitigation_mode == "strictest" && aws_lb.this.drop_invalid_header_fields
    error_message = "strictest desync mitigation, invalid headers dropped"
  }

  # A wait (Prefer: wait=50) must end before the load balancer gives up, and that before the backend closes idle connections.
  assert {
    condition     = aws_lb.this.idle_timeout > 50 && aws_lb.this.idle_timeout < 65
    error_message = "idle timeouts grow towards the backend"
  }
}

run "readiness_decides" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  assert {
    condition     = aws_lb_target_group.backend.health_check[0].path == "/readyz" && aws_lb_target_group.backend.health_check[0].matcher == "200" && aws_lb_target_group.backend.target_type == "ip" && aws_lb_target_group.backend.port == 8080
    error_message = "/readyz on the backend's port"
  }

  assert {
    condition     = tonumber(aws_lb_target_group.backend.deregistration_delay) <= 30
    error_message = "no longer than a task takes to stop"
  }
}

run "access_logs_and_protection_by_variable" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  variables {
    access_logs_enabled         = false
    access_log_bucket           = null
    deletion_protection_enabled = true
  }

  assert {
    condition     = length(aws_lb.this.access_logs) == 0 && aws_lb.this.enable_deletion_protection
    error_message = "no logs, protected"
  }
}

run "access_logs_by_default" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  assert {
    condition     = aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].bucket == "logs" && !aws_lb.this.enable_deletion_protection
    error_message = "logs into the bucket, not protected"
  }
}

run "a_web_acl_is_attached" {
  command = apply

  module {
    source = "./modules/load-balancer"
  }

  variables {
    web_acl_arn = "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/mine/12345678"
  }

  assert {
    condition     = aws_wafv2_web_acl_association.this[0].resource_arn == aws_lb.this.arn
    error_message = "to this load balancer"
  }
}

run "a_name_of_33_characters_is_refused" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  variables {
    name = "a23456789012345678901234567890123"
  }

  expect_failures = [var.name]
}

run "a_name_of_32_characters_is_taken" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  variables {
    name = "a2345678901234567890123456789012"
  }

  assert {
    condition     = length(aws_lb.this.name) == 32
    error_message = "the longest name"
  }
}

run "a_domain_name_with_a_scheme_and_a_foreign_arn_are_refused" {
  command = plan

  module {
    source = "./modules/load-balancer"
  }

  variables {
    https       = { certificate_arn = "mine", domain_name = "https://images.example.com" }
    web_acl_arn = "mine"
  }

  expect_failures = [var.https, var.web_acl_arn]
}
