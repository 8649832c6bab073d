#include "creds_provider.h"

/* The order of AWS's own tools (botocore, credentials.py: create_credential_resolver), and before all what --role-arn
 * asks for in a workflow. */
static const struct creds_provider *const chain[] = {
    &creds_oidc,  &creds_environment, &creds_role_of_profile, &creds_web_identity, &creds_sso,  &creds_credentials_file,
    &creds_login, &creds_process,     &creds_config_file,     &creds_container,    &creds_imds,
};

const struct creds_provider *const creds_of_profile[] = {
    &creds_web_identity, &creds_sso, &creds_credentials_file, &creds_login, &creds_process, &creds_config_file, NULL,
};

/* A profile that somebody asked for has to be there, unless the environment has keys. */
static bool check_profile(const struct aws_creds_from *from, struct error *err)
{
    if (aws_profile_exists(from) || (!from->profile_given && !aws_profile_variable(from->getenv)))
        return true;
    error_set(err, ERROR_CONFIG, 0, "there is no AWS profile `%s` in the config and credentials files", from->profile);
    error_hint(err, "look at ~/.aws/config and ~/.aws/credentials, or at AWS_CONFIG_FILE and "
                    "AWS_SHARED_CREDENTIALS_FILE");
    return false;
}

static bool find(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(chain); i++) {
        const struct creds_provider *p = chain[i];
        if (p == &creds_role_of_profile && !check_profile(from, err))
            return false;
        enum found found = p->find(from, s, err);
        if (found != ABSENT) {
            s->provider = s->provider ? s->provider : p;
            return found == FOUND;
        }
        AUTO_FREE char *why = xasprintf("%s: %s", p->name, p->absent);
        strlist_add(&s->passed_over, why);
    }
    error_set(err, ERROR_CONFIG, 0, "no AWS credentials found, and the instance metadata service is disabled");
    error_hint(err, "`mayfly doctor --credentials` shows where they were looked for");
    return false;
}

bool aws_creds_find(const struct aws_creds_from *from, struct creds_source *ret, struct error *err)
{
    struct creds_source s = { 0 };
    const char *role = from->role_arn;
    if (!str_empty(role) && (!str_starts(role, "arn:") || !strstr(role, ":role/"))) {
        error_set(err, ERROR_CONFIG, 0, "--role-arn: `%.120s` is not a role's ARN", role);
        error_hint(err, "they look like arn:aws:iam::123456789012:role/NAME");
        return false;
    }
    if (!find(from, &s, err)) {
        creds_source_clear(&s);
        return false;
    }
    if (!str_empty(role) && s.provider != &creds_oidc) {
        s.roles = xreallocarray(s.roles, s.n_roles + 1, sizeof(*s.roles));
        s.roles[s.n_roles++] = (struct creds_role){ .arn = xstrdup(role) };
    }
    *ret = s;
    return true;
}

char *creds_source_format(const struct creds_source *s)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_adds(&text, s->where);
    if (s->role.arn)
        strbuf_addf(&text, " with the role %s", s->role.arn);
    for (size_t i = 0; i < s->n_roles; i++)
        strbuf_addf(&text, ", then the role %s", s->roles[i].arn);
    return strbuf_steal(&text);
}

const char *creds_source_name(const struct creds_source *s)
{
    return s->provider->name;
}

void creds_role_clear(struct creds_role *r)
{
    free(r->arn);
    free(r->session_name);
    free(r->external_id);
    *r = (struct creds_role){ 0 };
}

void creds_source_clear(struct creds_source *s)
{
    free(s->where);
    aws_creds_clear(&s->keys);
    creds_role_clear(&s->role);
    free(s->token_file);
    free(s->command);
    free(s->url);
    free(s->sso_region);
    free(s->sso_account_id);
    free(s->sso_role_name);
    free(s->sso_session);
    free(s->sso_start_url);
    for (size_t i = 0; i < s->n_roles; i++)
        creds_role_clear(&s->roles[i]);
    free(s->roles);
    strlist_clear(&s->passed_over);
    *s = (struct creds_source){ 0 };
}

void aws_creds_clear(struct aws_creds *c)
{
    free(c->access_key_id);
    secret_clear(&c->secret_access_key);
    secret_clear(&c->session_token);
    *c = (struct aws_creds){ 0 };
}
