# One role that the workflows of one GitHub repository may take on, with what start, stop, reap and doctor need: the
# documents of ../iam (`mayfly policy` prints them) with their placeholders filled in.
#
#   terraform init && terraform apply -var repository=octo/demo -var 'subnets=["subnet-…"]' -var 'security_groups=["sg-…"]'
#
# then, in the workflow, `role-arn` of the action (or configure-aws-credentials): the output `role`.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "repository" {
  description = "owner/repo, as on GitHub"
  type        = string
}

variable "owner_id" {
  description = "GitHub's number of the owner (gh api repos/OWNER/REPO --jq .owner.id): repositories made or renamed since 2026-07-15 present it"
  type        = string
  default     = "0"
}

variable "repository_id" {
  description = "GitHub's number of the repository (gh api repos/OWNER/REPO --jq .id)"
  type        = string
  default     = "0"
}

variable "subject" {
  description = "which workflows of it: ref:refs/heads/main, environment:NAME, pull_request; * and ? make it a pattern"
  type        = string
  default     = "ref:refs/heads/main"
  validation {
    condition     = can(regex("^(pull_request|[^\"\\\\$]*[:*][^\"\\\\$]*)$", var.subject))
    error_message = "No workflow presents that: write ref:refs/heads/main, environment:NAME, pull_request, or * for all."
  }
}

variable "fleet" {
  description = "the tag mayfly:fleet, start's --fleet; by default the repository, in small letters"
  type        = string
  default     = ""
}

variable "subnets" {
  description = "ids of the subnets to launch into"
  type        = list(string)
}

variable "security_groups" {
  description = "ids of the security groups to launch with"
  type        = list(string)
}

variable "commands" {
  description = "what the role may do: start, stop, reap, status, doctor, bake"
  type        = list(string)
  default     = ["start", "stop", "reap", "doctor"]
}

variable "create_oidc_provider" {
  description = "false where the account has GitHub's identity provider already: it takes only one"
  type        = bool
  default     = true
}

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.name
  partition = data.aws_partition.current.partition
  fleet     = var.fleet != "" ? var.fleet : lower(var.repository)
  owner     = split("/", var.repository)[0]
  name      = split("/", var.repository)[1]

  # In the documents a subnet and a group stand once: as many lines as there are ids.
  own     = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  subnets = join(", ", [for id in var.subnets : "\"${local.own}:subnet/${id}\""])
  groups  = join(", ", [for id in var.security_groups : "\"${local.own}:security-group/${id}\""])

  filled = {
    for command in var.commands : command => replace(replace(replace(
      replace(replace(replace(file("${path.module}/../iam/${command}.json"),
        "arn:aws:", "arn:${local.partition}:"),
        "REGION", local.region),
      "ACCOUNT", local.account),
      "\"${local.own}:subnet/subnet-ID\"", local.subnets),
      "\"${local.own}:security-group/sg-ID\"", local.groups),
    "FLEET", local.fleet)
  }

  # StringEquals takes * and ? as they are: a pattern stands under StringLike.
  trust = replace(replace(replace(replace(replace(file("${path.module}/../iam/trust.json"),
    "arn:aws:iam::ACCOUNT:", "arn:${local.partition}:iam::${local.account}:"),
    "OWNER@OWNER-ID/REPO@REPO-ID", "${local.owner}@${var.owner_id}/${local.name}@${var.repository_id}"),
    "OWNER/REPO", var.repository),
    "ref:refs/heads/main", var.subject),
    "\"sts.amazonaws.com\",\n", can(regex("[*?]", var.subject)) ? "\"sts.amazonaws.com\"}, \"StringLike\": {\n" :
  "\"sts.amazonaws.com\",\n")
}

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.create_oidc_provider ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "mayfly" {
  name                 = "mayfly-${local.owner}-${local.name}"
  assume_role_policy   = local.trust
  max_session_duration = 3600
  depends_on           = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "mayfly" {
  for_each = local.filled
  name     = "mayfly-${each.key}"
  role     = aws_iam_role.mayfly.id
  policy   = each.value
}

# Spot needs this role once in an account; drop it where it exists.
# resource "aws_iam_service_linked_role" "spot" {
#   aws_service_name = "spot.amazonaws.com"
# }

output "role" {
  description = "for the action's role-arn"
  value       = aws_iam_role.mayfly.arn
}
