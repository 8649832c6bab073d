/* What IAM has to allow: one table of actions, each with the commands that need it and the statement that allows it. It
 * makes the policies, and it names the statement that a refused request lacks. Pure.
 * Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2"; GitHub,
 * "Configuring OpenID Connect in Amazon Web Services". */
#ifndef MAYFLY_RUNNER_POLICY_H
#define MAYFLY_RUNNER_POLICY_H

#include "mayfly/aws/sts.h"
#include "mayfly/codec/json.h"
#include "mayfly/util/strbuf.h"

/* What a policy is about; borrowed. What is NULL or empty becomes a placeholder, or goes without saying. */
struct policy_scope {
    const char *partition, *account, *fleet; /* else "aws", ACCOUNT, FLEET */
    const struct strlist *regions;           /* else REGION */
    const char *region;                      /* of ids that do not name theirs; NULL: all */
    /* Ids, which may be prefixed by their region ("us-west-2/subnet-…"), else subnet-ID and sg-ID. */
    const struct strlist *subnets, *security_groups;
    const struct strlist *images; /* as --image takes them: ids restrict the images, ssm: the parameters */
    const struct strlist *types;  /* "m7i.*"; else any type */
    const struct strlist *placement_groups;
    const struct strlist *kms_keys; /* of volumes: ids, alias/NAME or ARNs; "" and NULL: none */
    const struct strlist *roles;    /* that instances may be given: names or ARNs; else none */
};

/* Is there a policy for this command? */
bool policy_is_for(const char *command);
/* The least policy for the commands, each of which policy_is_for; owned. */
struct json_object *policy_make(const struct strlist *commands, const struct policy_scope *scope);

/* Who may take the role on: workflows of one repository (or of all of an organization's), as GitHub's identity provider
 * names them. Repositories made or renamed since 2026-07-15 are named with their numbers too, so both forms are there.
 * Borrowed. */
struct policy_trust {
    const char *partition, *account; /* else "aws", ACCOUNT */
    const char *repo;                /* "owner/repo" or "org"; else OWNER/REPO */
    const char *owner_id, *repo_id;  /* GitHub's numbers; else OWNER-ID, REPO-ID */
    const char *subject;             /* the part behind the repository: "ref:refs/heads/main"; may hold `*` */
};
/* The trust policy of a role; owned. */
struct json_object *policy_trust_make(const struct policy_trust *trust);

/* The statement of `mayfly policy COMMAND` that allows an action ("ec2:RunInstances") on a resource (an ARN, or NULL
 * when it is unknown), static; NULL: the command does not need it. */
const char *policy_statement(const char *command, const char *action, const char *resource);

/* What is denied, for a person: "ec2:RunInstances on arn:… is denied: no identity-based policy allows …"; owned, NULL:
 * the refusal does not say. */
char *policy_denied(const struct aws_denial *d);
/* What to do, by the command whose policy should have it; owned. */
char *policy_advice(const struct aws_denial *d, const char *command);
/* What the decoded message says: "decoded: implicit deny (…) of ec2:RunInstances on arn:…"; owned. */
char *policy_decoded(const struct sts_refusal *r);
/* The command that decodes it; a message that is very long is cut, and said to be. Owned; NULL: there is none. */
char *policy_decode_command(const struct aws_denial *d);

#endif
