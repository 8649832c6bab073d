/* What AWS says, and the files that say how to ask it. */
#include "../../src/aws/creds_provider.h"
#include "fuzz.h"
#include "mayfly/aws/ec2_fleet.h"
#include "mayfly/aws/ec2_images.h"
#include "mayfly/aws/ec2_network.h"
#include "mayfly/aws/ssm.h"
#include "mayfly/aws/sts.h"
#include "mayfly/runner/plan.h"
#include "mayfly/runner/reap_rows.h"

static struct aws_config config = { .region = (char *)"us-east-1" };

/* A call with this answer; to be freed by call_free. */
static struct aws_call *answered(struct aws *aws, const char *name, const char *target)
{
    struct strbuf body = STRBUF_INIT;
    return target ? aws_json_call_new(aws, "ssm", "us-east-1", target, &body)
                  : aws_call_new(aws, "ec2", "us-east-1", name, &body);
}

/* --- answers that succeeded --------------------------------------------------------------------------------------- */

/* Reads every byte of it. */
static size_t touch(const char *s)
{
    return s ? strlen(s) : 0;
}

static void touch_tags(const struct field_list *tags)
{
    for (size_t i = 0; i < tags->n; i++) {
        const struct ec2_tag *t = FIELD_ROW(tags, const struct ec2_tag, i);
        touch(t->key);
        touch(t->value);
    }
}

static void touch_strings(const struct field_list *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        touch(*FIELD_ROW(rows, const char *const, i));
}

/* What the reaper would make of it. */
static void reap(const struct ec2_page *page)
{
    struct reap_rows rows = { 0 };
    for (size_t i = 0; i < page->instances.n; i++) {
        const struct ec2_instance *instance = FIELD_ROW(&page->instances, const struct ec2_instance, i);
        struct reap_facts f = reap_read_instance(instance, "o/r", LIMITS_DEFAULT, 1767323045);
        HOLDS(!f.ours || ec2_instance_launched(instance) > 0);
        const struct reap_ruling ruling = reap_decide(&f, true);
        HOLDS(f.ours || ruling.verdict == REAP_IGNORE);
        HOLDS(!f.keep || ruling.verdict != REAP_TERMINATE);
        (void)!reap_rows_add(&rows, instance, &f, 0);
    }
    reap_rows_sort(&rows);
    for (size_t i = 0; i < rows.n; i++)
        (void)reap_row_facts(&rows, &rows.v[i], 1767323045);
    reap_rows_clear(&rows);
}

static bool instances(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct ec2_page page;
    fuzz_fill(&page, sizeof(page));
    if (!ec2_describe_instances_result(c, arena, &page, err)) {
        HOLDS(fuzz_is_filled(&page, sizeof(page)));
        return false;
    }
    HOLDS(page.next_token == NULL || *page.next_token);
    for (size_t i = 0; i < page.instances.n; i++)
        touch_tags(&FIELD_ROW(&page.instances, const struct ec2_instance, i)->tags);
    reap(&page);
    return true;
}

static bool run(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct ec2_instance instance;
    fuzz_fill(&instance, sizeof(instance));
    bool ok = ec2_run_instances_result(c, arena, &instance, err);
    HOLDS(ok ? instance.id != NULL : fuzz_is_filled(&instance, sizeof(instance)));
    return ok;
}

#define ROWS(...) FUZZ_ROWS(struct aws_call, __VA_ARGS__)
ROWS(terminated, ec2_terminate_instances_result, r, struct ec2_change, {
    touch(r->id);
    HOLDS(ec2_state_parse(r->state_name) <= EC2_STOPPED);
})
ROWS(image_rows, ec2_describe_images_result, r, struct ec2_image, {
    touch(r->name);
    touch_tags(&r->tags);
})
ROWS(subnets, ec2_describe_subnets_result, r, struct ec2_subnet, {
    touch(r->id);
    HOLDS(r->free >= 0);
})
ROWS(tables, ec2_describe_route_tables_result, r, struct ec2_route_table, {
    for (size_t k = 0; k < r->routes.n; k++)
        touch(FIELD_ROW(&r->routes, const struct ec2_route, k)->target);
    for (size_t k = 0; k < r->associations.n; k++)
        touch(FIELD_ROW(&r->associations, const struct ec2_association, k)->subnet);
})
ROWS(groups, ec2_describe_groups_result, r, struct ec2_group, {
    for (size_t k = 0; k < r->egress.n; k++) {
        touch_strings(&FIELD_ROW(&r->egress, const struct ec2_permission, k)->cidrs);
        touch_strings(&FIELD_ROW(&r->egress, const struct ec2_permission, k)->others);
    }
})
ROWS(regions, ec2_describe_regions_result, r, struct ec2_region, { touch(r->name); })
static bool encryption(const struct aws_call *c, struct arena *arena UNUSED, struct error *err)
{
    bool on;
    return ec2_get_encryption_result(c, &on, err);
}
static bool default_key(const struct aws_call *c, struct arena *arena, struct error *err)
{
    const char *key;
    if (!ec2_get_default_key_result(c, arena, &key, err))
        return false;
    HOLDS(!str_empty(key));
    return true;
}
ROWS(offerings, ec2_describe_offerings_result, r, struct ec2_offering, {
    touch(r->type);
    touch(r->zone);
})

/* What start would make of it: the newest of a name. */
static bool images(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct field_list rows;
    struct image image = { .kind = IMAGE_NAME, .ref = "name:x", .region = "us-east-1" };
    AUTO_ERROR none = { 0 };
    if (!image_rows(c, arena, err) || !ec2_describe_images_result(c, arena, &rows, err))
        return false;
    bool ok = image_take(&image, NULL, &rows, arena, &none);
    HOLDS(ok ? image.id && image.architecture && image.root_device : !image.id);
    fuzz_outcome(ok, &none);
    return true;
}

static bool console(const struct aws_call *c, struct arena *arena UNUSED, struct error *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    bool ok = ec2_get_console_output_result(c, &text, err);
    HOLDS(ok || text.len == 0);
    HOLDS(text.len <= c->call.exchange.response.body.len);
    return ok;
}

static bool leftovers(const struct aws_call *c, struct arena *arena, struct error *err, enum ec2_kind kind)
{
    struct ec2_leftovers page;
    fuzz_fill(&page, sizeof(page));
    if (!ec2_list_leftovers_result(c, kind, arena, &page, err)) {
        HOLDS(fuzz_is_filled(&page, sizeof(page)));
        return false;
    }
    for (size_t i = 0; i < page.rows.n; i++) {
        const struct ec2_leftover *l = FIELD_ROW(&page.rows, const struct ec2_leftover, i);
        HOLDS(!str_empty(l->id));
        HOLDS(ec2_leftover_created(l) >= -86400);
        touch_strings(&l->snapshots);
        touch_tags(&l->tags);
    }
    return true;
}

static bool volumes(const struct aws_call *c, struct arena *arena, struct error *err)
{
    return leftovers(c, arena, err, EC2_VOLUME);
}

static bool spot_requests(const struct aws_call *c, struct arena *arena, struct error *err)
{
    return leftovers(c, arena, err, EC2_SPOT_REQUEST);
}

static bool own_images(const struct aws_call *c, struct arena *arena, struct error *err)
{
    return leftovers(c, arena, err, EC2_IMAGE);
}

static bool snapshots(const struct aws_call *c, struct arena *arena, struct error *err)
{
    return leftovers(c, arena, err, EC2_SNAPSHOT);
}

static bool cancelled(const struct aws_call *c, struct arena *arena UNUSED, struct error *err)
{
    return ec2_remove_leftover_result(c, EC2_SPOT_REQUEST, err);
}

static bool deleted(const struct aws_call *c, struct arena *arena UNUSED, struct error *err)
{
    return ec2_remove_leftover_result(c, EC2_VOLUME, err);
}

static bool created(const struct aws_call *c, struct arena *arena, struct error *err)
{
    const char *id = "before";
    bool ok = ec2_create_image_result(c, arena, &id, err);
    HOLDS(ok ? !str_empty(id) : str_eq(id, "before"));
    return ok;
}

static bool identity(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct sts_identity who;
    fuzz_fill(&who, sizeof(who));
    bool ok = sts_get_caller_identity_result(c, arena, &who, err);
    HOLDS(ok ? !str_empty(who.account) : fuzz_is_filled(&who, sizeof(who)));
    return ok;
}

static bool assumed(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct sts_credentials got;
    fuzz_fill(&got, sizeof(got));
    bool ok = sts_assume_role_result(c, arena, &got, err);
    HOLDS(ok ? !str_empty(got.session_token) : fuzz_is_filled(&got, sizeof(got)));
    return ok;
}

static bool decoded(const struct aws_call *c, struct arena *arena, struct error *err)
{
    struct sts_refusal refusal;
    fuzz_fill(&refusal, sizeof(refusal));
    bool ok = sts_decode_message_result(c, arena, &refusal, err);
    HOLDS(ok || fuzz_is_filled(&refusal, sizeof(refusal)));
    return ok;
}

static bool parameter(const struct aws_call *c, struct arena *arena, struct error *err)
{
    const char *value = "before";
    bool ok = ssm_get_parameter_result(c, arena, &value, err);
    HOLDS(ok ? value != NULL : str_eq(value, "before"));
    return ok;
}

/* The first byte of the input, from `a` on, is the row; what follows is the body of the answer. */
static const struct {
    const char *action, *target;
    bool (*result)(const struct aws_call *c, struct arena *arena, struct error *err);
} operations[] = {
    { "DescribeInstances", NULL, instances },
    { "RunInstances", NULL, run },
    { "TerminateInstances", NULL, terminated },
    { "DescribeImages", NULL, images },
    { "GetConsoleOutput", NULL, console },
    { "DescribeVolumes", NULL, volumes },
    { "DescribeSpotInstanceRequests", NULL, spot_requests },
    { "DescribeImages", NULL, own_images },
    { "DescribeSnapshots", NULL, snapshots },
    { "CancelSpotInstanceRequests", NULL, cancelled },
    { "CreateImage", NULL, created },
    { "DescribeSubnets", NULL, subnets },
    { "DescribeRouteTables", NULL, tables },
    { "DescribeSecurityGroups", NULL, groups },
    { "DescribeInstanceTypeOfferings", NULL, offerings },
    { "DescribeRegions", NULL, regions },
    { "GetCallerIdentity", NULL, identity },
    { "AssumeRole", NULL, assumed },
    { "DecodeAuthorizationMessage", NULL, decoded },
    { "GetParameter", "AmazonSSM.GetParameter", parameter },
    { "AssumeRoleWithWebIdentity", NULL, assumed },
    { "DeleteVolume", NULL, deleted },
    { "GetEbsEncryptionByDefault", NULL, encryption },
    { "GetEbsDefaultKmsKeyId", NULL, default_key },
};

void fuzz_ec2(struct input *in)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct aws aws = { .config = &config, .env = &fuzz_env, .wake_fd = -1 };
    size_t i = (unsigned char)(fuzz_byte(in) - 'a') % ARRAY_SIZE(operations);
    struct aws_call *c = answered(&aws, operations[i].action, operations[i].target);
    struct strbuf *body = &c->call.exchange.response.body;
    *body = STRBUF_INIT;
    strbuf_add(body, in->at, (size_t)(in->end - in->at));
    fuzz_outcome(operations[i].result(c, &arena, &err), &err);
    call_free(&c->call);
}

/* --- answers that failed ------------------------------------------------------------------------------------------ */

/* The first byte: an odd one is of the JSON protocol. */
void fuzz_aws_error(struct input *in)
{
    struct aws aws = { .config = &config, .env = &fuzz_env, .wake_fd = -1 };
    AUTO_ERROR err = { 0 };
    int64_t server_ms = -1;
    bool json = fuzz_byte(in) & 1;
    struct aws_call *c = answered(&aws, "RunInstances", json ? "AmazonSSM.GetParameter" : NULL);
    struct http_response *r = &c->call.exchange.response;
    fuzz_response(in, r);
    enum retry_class class = c->call.ops->judge(&c->call, &server_ms, &err);
    HOLDS((err.domain == ERROR_NONE) == (r->status == 200));
    HOLDS(r->status != 200 || class == RETRY_NEVER);
    HOLDS(class != RETRY_NOW || c->corrections > 0); /* the credentials have no source to renew them from */
    HOLDS(server_ms >= -1);
    fuzz_outcome(r->status == 200, &err);
    call_free(&c->call);
    aws_clear(&aws);
}

/* --- credentials -------------------------------------------------------------------------------------------------- */

/* Can it stand in a header? */
static bool is_plain(const char *s)
{
    for (; s && *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

void fuzz_aws_creds(struct input *in)
{
    AUTO_STRBUF json = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    struct aws_creds creds;
    fuzz_fill(&creds, sizeof(creds));
    strbuf_add(&json, in->at, (size_t)(in->end - in->at));
    bool ok = creds_decode(&json, "the answer of IMDS", &creds, &err);
    fuzz_outcome(ok, &err);
    if (ok) {
        HOLDS(!str_empty(creds.access_key_id) && is_plain(creds.access_key_id));
        HOLDS(!str_empty(creds.secret_access_key.value) && is_plain(creds.session_token.value));
        aws_creds_clear(&creds);
    } else {
        HOLDS(fuzz_is_filled(&creds, sizeof(creds)));
    }
    HOLDS(!creds_refused("the answer of IMDS", 403, &json, &err));
    fuzz_outcome(false, &err);
    bool by_process = creds_process_decode(&json, &creds, &err); /* which also wants a version */
    HOLDS(!by_process || ok);
    fuzz_outcome(by_process, &err);
    if (by_process)
        aws_creds_clear(&creds);
}

static void find_source(const struct ini *config_file, const struct ini *credentials)
{
    AUTO_ERROR err = { 0 };
    struct creds_source source;
    const char *profile = fuzz_getenv("AWS_PROFILE");
    const struct aws_creds_from from = { .getenv = fuzz_getenv,
                                         .config = config_file,
                                         .credentials = credentials,
                                         .profile = profile ? profile : "default",
                                         .role_arn = fuzz_getenv("ROLE") };
    fuzz_fill(&source, sizeof(source));
    bool ok = aws_creds_find(&from, &source, &err);
    fuzz_outcome(ok, &err);
    if (!ok) {
        HOLDS(fuzz_is_filled(&source, sizeof(source)));
        return;
    }
    AUTO_FREE char *words = creds_source_format(&source);
    HOLDS(source.provider && !str_empty(words));
    HOLDS(is_plain(source.keys.access_key_id) && is_plain(source.keys.session_token.value));
    creds_source_clear(&source);
}

/* The config file, the credentials file, NAME=VALUE lines of the environment. */
void fuzz_aws_profile(struct input *in)
{
    AUTO_INI config_file = { 0 };
    AUTO_INI credentials = { 0 };
    AUTO_ERROR err = { 0 };
    size_t n[2];
    AUTO_FREE char *text = fuzz_part(in, &n[0]);
    AUTO_FREE char *more = fuzz_part(in, &n[1]);
    AUTO_STRLIST env = fuzz_lines(in);
    fuzz_environment = &env;
    bool ok =
        ini_parse(&config_file, text, n[0], "config", &err) && ini_parse(&credentials, more, n[1], "credentials", &err);
    fuzz_outcome(ok, &err);
    if (ok)
        find_source(&config_file, &credentials);
}
