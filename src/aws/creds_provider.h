/* What the providers of credentials share. A provider is a file creds_NAME.c and a row in creds.c's table. */
#ifndef MAYFLY_AWS_CREDS_PROVIDER_H
#define MAYFLY_AWS_CREDS_PROVIDER_H

#include "mayfly/aws/call.h"
#include "mayfly/codec/field.h"
#include "mayfly/util/arena.h"
#include "mayfly/util/token.h"

enum found { FOUND, ABSENT, BROKEN };

struct creds_provider {
    const char *name;
    const char *absent; /* why it was passed over */
    const char *named;  /* as credential_source calls it, or NULL */
    enum found (*find)(const struct aws_creds_from *from, struct creds_source *ret, struct error *err);
    /* NULL: source->keys are it. */
    bool (*fetch)(struct aws *aws, const struct creds_source *source, struct aws_creds *ret, struct error *err);
};

extern const struct creds_provider creds_oidc, creds_environment, creds_role_of_profile, creds_web_identity, creds_sso,
    creds_credentials_file, creds_login, creds_process, creds_config_file, creds_container, creds_imds;

/* Those that a profile can hold, in order, NULL-terminated. */
extern const struct creds_provider *const creds_of_profile[];

/* "the profile `NAME`", owned. */
char *creds_profile_name(const struct aws_creds_from *from);
/* Takes keys over when they are whole and can stand in a header; ABSENT when there is neither id nor secret. */
enum found creds_take(const char *id, const char *secret, const char *token, const char *where, struct aws_creds *ret,
                      struct error *err);
/* role_arn, role_session_name, external_id and duration_seconds of the profile. */
MUST_CHECK bool creds_role_read(const struct aws_creds_from *from, struct creds_role *ret, struct error *err);
void creds_role_clear(struct creds_role *r);

/* --- fetching ----------------------------------------------------------------------------------------------------- */

/* One question over HTTP, not signed. */
struct creds_question {
    const char *name, *method, *url;
    const char *headers[3];    /* NULL-terminated unless full */
    const struct strbuf *body; /* or NULL */
    long total_ms;
    unsigned attempts;
    bool no_proxy; /* of a link-local service */
};

/* The answer's body, whatever its status. No answer, a 429 and a 5xx are tried again. False: no answer at all. */
MUST_CHECK bool creds_ask(struct aws *aws, const struct creds_question *q, int *ret_status, struct strbuf *ret_body,
                          struct error *err);
/* Credentials out of the JSON of credential_process, a container, IMDS or the SSO portal. `what` names it. */
MUST_CHECK bool creds_decode(const struct strbuf *json, const char *what, struct aws_creds *ret, struct error *err);
/* The same out of what a credential_process printed, whose Version is 1. */
MUST_CHECK bool creds_process_decode(const struct strbuf *out, struct aws_creds *ret, struct error *err);
/* The token out of the file that `aws sso login` writes, in the arena; one that ended is an error. now: seconds. */
MUST_CHECK bool creds_sso_token(const struct strbuf *json, const char *session, int64_t now, struct arena *arena,
                                const char **ret, struct error *err);
/* Sets an error of an answer that is not 200, with the message that it may hold. */
bool creds_refused(const char *what, int status, const struct strbuf *json, struct error *err);
/* Credentials by STS, with a web identity. */
MUST_CHECK bool creds_assume_with_token(struct aws *aws, const struct creds_role *role, const char *token,
                                        struct aws_creds *ret, struct error *err);
/* Credentials by STS, with the credentials in *creds, which are replaced. */
MUST_CHECK bool creds_assume(struct aws *aws, const struct creds_role *role, struct aws_creds *creds,
                             struct error *err);

#endif
