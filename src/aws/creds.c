#include "mayfly/aws/creds.h"

enum found { FOUND, ABSENT, BROKEN };

static const char *credentials_get(const struct aws_creds_from *from, const char *key)
{
    return ini_get(from->credentials, from->profile, key);
}

/* Section of the config file: [profile NAME], or [default] for the default one. */
static const char *config_get(const struct aws_creds_from *from, const char *key)
{
    AUTO_FREE char *section = xasprintf("profile %s", from->profile);
    const char *value = ini_get(from->config, section, key);
    if (str_empty(value) && str_eq(from->profile, "default"))
        value = ini_get(from->config, "default", key);
    return value;
}

const char *aws_profile_get(const struct aws_creds_from *from, const char *key)
{
    const char *value = credentials_get(from, key);
    if (str_empty(value))
        value = config_get(from, key);
    return str_empty(value) ? NULL : value;
}

bool aws_profile_exists(const struct aws_creds_from *from)
{
    AUTO_FREE char *section = xasprintf("profile %s", from->profile);
    return ini_has_section(from->credentials, from->profile) || ini_has_section(from->config, section) ||
           (str_eq(from->profile, "default") && ini_has_section(from->config, "default"));
}

/* Anything else would break out of the header that carries it. */
static bool is_printable(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

static enum found take(const char *id, const char *secret, const char *token, const char *source, const char *where,
                       struct aws_creds *ret, struct error *err)
{
    if (str_empty(id) != str_empty(secret)) {
        error_set(err, ERROR_CONFIG, 0, "AWS credentials from %s are incomplete: %s is missing", where,
                  str_empty(id) ? "the access key id" : "the secret access key");
        return BROKEN;
    }
    if (str_empty(id))
        return ABSENT;
    if (!is_printable(id) || !is_printable(secret) || (token && !is_printable(token))) {
        error_set(err, ERROR_CONFIG, 0, "AWS credentials from %s hold a blank, a line break or a control character",
                  where);
        error_hint(err, "often a line break was pasted at the end: set the value again without it");
        return BROKEN;
    }
    str_set(&ret->access_key_id, id);
    secret_set(&ret->secret_access_key, secret, strlen(secret));
    if (!str_empty(token))
        secret_set(&ret->session_token, token, strlen(token));
    ret->source = source;
    return FOUND;
}

static enum found from_environment(const struct aws_creds_from *from, struct aws_creds *ret, struct error *err)
{
    if (from->profile_given)
        return ABSENT;
    return take(from->getenv("AWS_ACCESS_KEY_ID"), from->getenv("AWS_SECRET_ACCESS_KEY"),
                from->getenv("AWS_SESSION_TOKEN"), "environment", "the environment (AWS_ACCESS_KEY_ID, …)", ret, err);
}

static enum found from_profile(const struct aws_creds_from *from, struct aws_creds *ret, struct error *err)
{
    AUTO_FREE char *where = xasprintf("the profile `%s`", from->profile);
    if (!aws_profile_exists(from)) {
        if (!from->profile_given && str_eq(from->profile, "default"))
            return ABSENT;
        error_set(err, ERROR_CONFIG, 0, "there is no AWS profile `%s` in the config and credentials files",
                  from->profile);
        error_hint(err, "look at ~/.aws/config and ~/.aws/credentials, or at AWS_CONFIG_FILE and "
                        "AWS_SHARED_CREDENTIALS_FILE");
        return BROKEN;
    }
    /* The three belong together: a token of one file is not for the key of the other. */
    const char *(*const files[])(const struct aws_creds_from *, const char *) = { credentials_get, config_get };
    enum found found = ABSENT;
    for (size_t i = 0; i < ARRAY_SIZE(files) && found == ABSENT; i++)
        found = take(files[i](from, "aws_access_key_id"), files[i](from, "aws_secret_access_key"),
                     files[i](from, "aws_session_token"), "profile", where, ret, err);
    return found;
}

static const struct {
    const char *what;
    enum found (*find)(const struct aws_creds_from *, struct aws_creds *, struct error *);
} sources[] = {
    { "the environment (AWS_ACCESS_KEY_ID)", from_environment },
    { "the shared profile", from_profile },
};

bool aws_creds_find(const struct aws_creds_from *from, struct aws_creds *ret, struct error *err)
{
    AUTO_STRLIST tried = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        enum found found = sources[i].find(from, ret, err);
        if (found != ABSENT)
            return found == FOUND;
        strlist_add(&tried, sources[i].what);
    }
    AUTO_FREE char *list = strlist_join(&tried, ", ");
    error_set(err, ERROR_CONFIG, 0, "no AWS credentials: tried %s", list);
    error_hint(err, "in a workflow use aws-actions/configure-aws-credentials before this step; elsewhere set "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile");
    return false;
}

void aws_creds_clear(struct aws_creds *c)
{
    free(c->access_key_id);
    secret_clear(&c->secret_access_key);
    secret_clear(&c->session_token);
    *c = (struct aws_creds){ 0 };
}
