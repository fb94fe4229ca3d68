# SPDX-License-Identifier: Apache-2.0

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_150: deletion_protection_enabled; off by default, so that destroy removes everything
  # checkov:skip=CKV2_AWS_76: as CKV2_AWS_28; nothing here is written in Java
  # checkov:skip=CKV2_AWS_28: a web ACL costs every month and its rules are the owner's: web_acl_arn attaches one
  # checkov:skip=CKV2_AWS_20: port 80 redirects as soon as https is set
  name               = var.name
  load_balancer_type = "application"
  internal           = false
  subnets            = var.subnet_ids
  security_groups    = [var.security_group_id]

  # Longer than the longest wait (Prefer: wait=50), shorter than the backend keeps idle connections (IDLE_TIMEOUT_S, 65).
  idle_timeout               = 60
  desync_mitigation_mode     = "strictest"
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection_enabled

  dynamic "access_logs" {
    for_each = var.access_logs_enabled ? [1] : []

    content {
      enabled = true
      bucket  = var.access_log_bucket
      prefix  = "load-balancer"
    }
  }
}

resource "aws_lb_target_group" "backend" {
  # checkov:skip=CKV_AWS_378: inside the VPC, and the only way in is from the load balancer; the tasks hold no certificate
  name                          = var.name
  vpc_id                        = var.vpc_id
  target_type                   = "ip"
  protocol                      = "HTTP"
  port                          = var.backend_port
  load_balancing_algorithm_type = "least_outstanding_requests" # some requests wait 50 s, most answer at once

  # A backend that ends has answered its waiting requests within 25 s.
  deregistration_delay = 30

  # Readiness fails as soon as a backend is told to end.
  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "http" {
  # checkov:skip=CKV_AWS_2: HTTPS as soon as there is a certificate; a check warns while there is none
  # checkov:skip=CKV_AWS_103: as above
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = var.https == null ? "forward" : "redirect"
    target_group_arn = var.https == null ? aws_lb_target_group.backend.arn : null

    dynamic "redirect" {
      for_each = var.https[*]

      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }
}

resource "aws_lb_listener" "https" {
  count = var.https == null ? 0 : 1

  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06" # TLS 1.2 and 1.3 with forward secrecy
  certificate_arn   = var.https.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.backend.arn
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.web_acl_arn == null ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}
