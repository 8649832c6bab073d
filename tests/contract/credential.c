/* Tells where Mayfly takes AWS credentials from, for tests/contract/credentials: reads the environment and the shared
 * files, as mayfly does, and prints one JSON object with what it decided. Test only.
 *
 * Reads one question a line, {"env": {NAME: VALUE}, "args": [TEXT, …]}, and answers each by one line,
 * {"status", "out", "err"}: hundreds of them cost one start. The arguments are
 *     [PROFILE [SERVICE REGION]]
 *     --date TEXT */
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

static void print(FILE *out, const struct aws_config *c)
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
    add(o, "ca", c->ca_bundle);
    if (s->role.arn)
        json_object_object_add(o, "role", role_of(&s->role));
    for (size_t i = 0; i < s->n_roles; i++)
        json_object_array_add(roles, role_of(&s->roles[i]));
    json_object_object_add(o, "roles", roles);
    fprintf(out, "%s\n", json_object_to_json_string(o));
}

/* --date TEXT: seconds since 1970, or "none" */
static int date(FILE *out, const char *text)
{
    int64_t seconds;
    if (clock_parse_lenient(text, &seconds))
        fprintf(out, "%lld\n", (long long)seconds);
    else
        fprintf(out, "none\n");
    return 0;
}

static int decide(FILE *out, FILE *errors, const char *profile, const char *service, const char *region)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST warnings = { 0 };
    struct aws_config c = { 0 };
    const struct aws_flags flags = { .profile = profile };
    bool ok = aws_config_load(&flags, system_getenv, &c, &warnings, &err);
    for (size_t i = 0; i < warnings.n; i++)
        fprintf(errors, "warning: %s\n", warnings.v[i]);
    if (!ok) {
        AUTO_FREE char *why = error_format(&err);
        fprintf(errors, "%s\n", why);
        return 1;
    }
    if (region) {
        AUTO_FREE char *endpoint = aws_endpoint(&c, service, region);
        fprintf(out, "%s\n", endpoint);
    } else {
        print(out, &c);
    }
    aws_config_clear(&c);
    return 0;
}

static const char *argument(struct json_object *question, size_t i)
{
    struct json_object *args = json_object_object_get(question, "args");
    return args && i < json_object_array_length(args) ? json_object_get_string(json_object_array_get_idx(args, i))
                                                      : NULL;
}

static void answer(struct json_object *question)
{
    AUTO_JSON *o = must(json_object_new_object());
    char *out_text = NULL, *err_text = NULL;
    size_t out_len, err_len;
    FILE *out = must(open_memstream(&out_text, &out_len)), *errors = must(open_memstream(&err_text, &err_len));
    const char *first = argument(question, 0);
    clearenv();
    json_object_object_foreach(json_object_object_get(question, "env"), name, value)
    {
        setenv(name, json_object_get_string(value), 1);
    }
    int status = first && str_eq(first, "--date")
                     ? date(out, argument(question, 1))
                     : decide(out, errors, first, argument(question, 1), argument(question, 2));
    fclose(out);
    fclose(errors);
    json_object_object_add(o, "status", must(json_object_new_int(status)));
    add(o, "out", out_text);
    add(o, "err", err_text);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    free(out_text);
    free(err_text);
    secret_forget_all();
}

int main(void)
{
    AUTO_FREE char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        AUTO_JSON *question = must(json_tokener_parse(line));
        answer(question);
    }
    return 0;
}
