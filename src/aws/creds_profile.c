#include "mayfly/util/words.h"

#include "creds_provider.h"

/* Is this the title of [TYPE NAME]? The name may be quoted. */
static bool names(const char *title, const char *type, const char *name)
{
    AUTO_STRLIST words = { 0 };
    return str_starts(title, type) && words_split(&words, title) && words.n == 2 && str_eq(words.v[0], type) &&
           str_eq(words.v[1], name);
}

const char *aws_section_get(const struct ini *config, const char *type, const char *name, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; i < config->sections.n && str_empty(value); i++)
        if (names(config->sections.v[i], type, name))
            value = ini_get(config, config->sections.v[i], key);
    return str_empty(value) ? NULL : value;
}

bool aws_section_exists(const struct ini *config, const char *type, const char *name)
{
    for (size_t i = 0; i < config->sections.n; i++)
        if (names(config->sections.v[i], type, name))
            return true;
    return false;
}

static const char *credentials_get(const struct aws_creds_from *from, const char *key)
{
    return ini_get(from->credentials, from->profile, key);
}

/* [profile NAME], or [default] for the default one. */
static const char *config_get(const struct aws_creds_from *from, const char *key)
{
    const char *value = aws_section_get(from->config, "profile", from->profile, key);
    return value || !str_eq(from->profile, "default") ? value : ini_get(from->config, "default", key);
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
    return ini_has_section(from->credentials, from->profile) ||
           aws_section_exists(from->config, "profile", from->profile) ||
           (str_eq(from->profile, "default") && ini_has_section(from->config, "default"));
}

char *creds_profile_name(const struct aws_creds_from *from)
{
    return xasprintf("the profile `%s`", from->profile);
}

/* --- static keys -------------------------------------------------------------------------------------------------- */

enum found creds_take(const char *id, const char *secret, const char *token, const char *where, struct aws_creds *ret,
                      struct error *err)
{
    if (str_empty(id) != str_empty(secret)) {
        error_set(err, ERROR_CONFIG, 0, "AWS credentials from %s are incomplete: %s is missing", where,
                  str_empty(id) ? "the access key id" : "the secret access key");
        return BROKEN;
    }
    if (str_empty(id))
        return ABSENT;
    if (!token_is_word(id) || !token_is_word(secret) || (!str_empty(token) && !token_is_word(token))) {
        error_set(err, ERROR_CONFIG, 0, "AWS credentials from %s hold a blank, a line break or a control character",
                  where);
        error_hint(err, "often a line break was pasted at the end: set the value again without it");
        return BROKEN;
    }
    str_set(&ret->access_key_id, id);
    secret_set(&ret->secret_access_key, secret, strlen(secret));
    if (!str_empty(token))
        secret_set(&ret->session_token, token, strlen(token));
    return FOUND;
}

static enum found keys_of_environment(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    if (from->profile_given)
        return ABSENT;
    const char *token = from->getenv("AWS_SECURITY_TOKEN"); /* its older name, which botocore looks for first */
    const char *end = from->getenv("AWS_CREDENTIAL_EXPIRATION");
    if (!end || !clock_parse_lenient(end, &s->keys.expires))
        s->keys.expires = 0;
    str_set(&s->where, "the environment (AWS_ACCESS_KEY_ID, …)");
    return creds_take(from->getenv("AWS_ACCESS_KEY_ID"), from->getenv("AWS_SECRET_ACCESS_KEY"),
                      str_empty(token) ? from->getenv("AWS_SESSION_TOKEN") : token, s->where, &s->keys, err);
}

/* The three belong together: a token of one file is not for the key of the other. */
static enum found keys_of_file(const char *(*get)(const struct aws_creds_from *, const char *),
                               const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    const char *token = get(from, "aws_security_token");
    free(s->where);
    s->where = creds_profile_name(from);
    return creds_take(get(from, "aws_access_key_id"), get(from, "aws_secret_access_key"),
                      str_empty(token) ? get(from, "aws_session_token") : token, s->where, &s->keys, err);
}

static enum found keys_of_credentials_file(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    return keys_of_file(credentials_get, from, s, err);
}

static enum found keys_of_config_file(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    return keys_of_file(config_get, from, s, err);
}

/* The session of `aws login` is renewed with a key of its own by its own protocol: the AWS CLI can do that for us. */
static enum found session_of_login(const struct aws_creds_from *from, struct creds_source *s UNUSED, struct error *err)
{
    if (!aws_profile_get(from, "login_session") || aws_profile_get(from, "credential_process") ||
        config_get(from, "aws_access_key_id"))
        return ABSENT;
    error_set(err, ERROR_CONFIG, 0, "the profile `%s` uses `aws login`, which Mayfly does not support directly",
              from->profile);
    error_hint(err,
               "let the AWS CLI provide its keys: set `credential_process = aws configure export-credentials --profile "
               "%s` in the profile",
               from->profile);
    return BROKEN;
}

const struct creds_provider creds_environment = {
    .name = "environment",
    .absent = "AWS_ACCESS_KEY_ID is not set, or --profile was given",
    .named = "Environment",
    .find = keys_of_environment,
};
const struct creds_provider creds_credentials_file = {
    .name = "credentials file",
    .absent = "the profile has no aws_access_key_id there",
    .find = keys_of_credentials_file,
};
const struct creds_provider creds_login = {
    .name = "aws login",
    .absent = "the profile has no login_session, or has a credential_process or keys, too",
    .find = session_of_login,
};
const struct creds_provider creds_config_file = {
    .name = "config file",
    .absent = "the profile has no aws_access_key_id there",
    .find = keys_of_config_file,
};
