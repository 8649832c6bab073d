/* Tells where Mayfly takes AWS credentials from, for tests/contract/credentials: reads the environment and the shared
 * files, as mayfly does, and prints one JSON object with what it decided. Test only.
 *
 * usage: credential [PROFILE [SERVICE REGION]]
 *        credential --date TEXT */
#include <stdio.h>

#include "mayfly/aws/config.h"
#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"

static const char *system_getenv(const char *name)
{
    return getenv(name);
}

static void add(struct json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, value ? must(json_object_new_string(value)) : NULL);
}

static struct json_object *role_of(const struct creds_role *r)
{
    struct json_object *o = must(json_object_new_object());
    add(o, "arn", r->arn);
    add(o, "session", r->session_name);
    add(o, "external_id", r->external_id);
    json_object_object_add(o, "duration", must(json_object_new_int64(r->duration)));
    return o;
}

static void print(const struct aws_config *c)
{
    AUTO_JSON *o = must(json_object_new_object());
    struct json_object *roles = must(json_object_new_array());
    const struct creds_source *s = &c->source;
    add(o, "source", creds_source_name(s));
    add(o, "key", s->keys.access_key_id);
    add(o, "secret", s->keys.secret_access_key.value);
    add(o, "token", s->keys.session_token.value);
    add(o, "file", s->token_file);
    add(o, "command", s->command);
    add(o, "url", s->url);
    add(o, "account", s->sso_account_id);
    add(o, "sso_role", s->sso_role_name);
    add(o, "sso_region", s->sso_region);
    json_object_object_add(o, "imds_ms", must(json_object_new_int64(s->imds_ms)));
    json_object_object_add(o, "imds_attempts", must(json_object_new_int64(s->imds_attempts)));
    add(o, "region", c->region);
    if (s->role.arn)
        json_object_object_add(o, "role", role_of(&s->role));
    for (size_t i = 0; i < s->n_roles; i++)
        json_object_array_add(roles, role_of(&s->roles[i]));
    json_object_object_add(o, "roles", roles);
    puts(json_object_to_json_string(o));
}

/* credential --date TEXT: seconds since 1970, or "none" */
static int date(const char *text)
{
    int64_t seconds;
    if (clock_parse_lenient(text, &seconds))
        printf("%lld\n", (long long)seconds);
    else
        puts("none");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && str_eq(argv[1], "--date"))
        return date(argv[2]);
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST warnings = { 0 };
    struct aws_config c = { 0 };
    const struct aws_flags flags = { .profile = argc > 1 ? argv[1] : NULL };
    bool ok = aws_config_load(&flags, system_getenv, &c, &warnings, &err);
    for (size_t i = 0; i < warnings.n; i++)
        fprintf(stderr, "warning: %s\n", warnings.v[i]);
    if (!ok) {
        AUTO_FREE char *why = error_format(&err);
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (argc > 3) {
        AUTO_FREE char *endpoint = aws_endpoint(&c, argv[2], argv[3]);
        puts(endpoint);
    } else {
        print(&c);
    }
    aws_config_clear(&c);
    secret_forget_all();
    return 0;
}
