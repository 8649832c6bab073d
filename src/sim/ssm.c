/* SSM's parameters, over AWS's JSON protocol. */
#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "aws.h"
#include "catalog.h"
#include "http.h"
#include "sim.h"
#include "ssm.h"
#include "to_json.h"
#include "verify.h"
#include "world_resources.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { STANDARD_MAX = 4096, ADVANCED_MAX = 8192, NAME_MAX_LEN = 1011 };

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void answer(struct call *c, struct json_object *o)
{
    respond_json(c->res, 200, o);
    c->res->content_type = "application/x-amz-json-1.1";
    aws_request_id(c->res, NULL);
}

/* Fills *out from the body; false: it is refused. Members that the table does not name are skipped, as AWS does. */
static bool decode(struct call *c, struct json_object *body, const struct field *fields, void *out, struct arena *arena)
{
    AUTO_ERROR err = { 0 };
    return json_decode(body, fields, out, arena, "the body", &err) ||
           call_refuse(c, 400, "SerializationException", "%s", err.message);
}

static bool check_name(struct call *c, const char *name)
{
    if (!name)
        return call_refuse(c, 400, "ValidationException",
                           "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member "
                           "must not be null");
    if (*name == '\0' || strlen(name) > NAME_MAX_LEN)
        return call_refuse(c, 400, "ValidationException",
                           "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member "
                           "must have length between 1 and %d",
                           name, NAME_MAX_LEN);
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.-/:", *p))
            return call_refuse(c, 400, "ValidationException",
                               "Parameter name: only a mix of letters, numbers and the following 4 symbols .-_/ are "
                               "allowed.");
    return true;
}

/* --- GetParameter ------------------------------------------------------------------------------------------------- */

struct get {
    const char *name;
    bool decrypt;
};

#define FIELDS struct get
static const struct field get_fields[] = { F_STR("Name", name), F_BOOL("WithDecryption", decrypt), { 0 } };
#undef FIELDS

/* Parameters of AWS itself belong to no account. */
static char *arn_of(const struct parameter *p)
{
    return xasprintf("arn:aws:ssm:%s:%s:parameter%s%s", p->region, str_starts(p->name, "/aws/") ? "" : sim_account,
                     *p->name == '/' ? "" : "/", p->name);
}

/* What a reader sees who may not decrypt. */
static char *sealed(const struct parameter *p)
{
    AUTO_STRBUF out = STRBUF_INIT;
    strbuf_adds(&out, "AQICAHi");
    encode_base64(&out, p->name, strlen(p->name));
    return strbuf_steal(&out);
}

static void add_parameter(struct json_object *o, const struct parameter *p, const char *selector, bool decrypt)
{
    AUTO_FREE char *arn = arn_of(p), *hidden = sealed(p);
    AUTO_FREE char *seconds = xasprintf("%" PRId64 ".%03" PRId64, p->modified / 1000, p->modified % 1000);
    bool secure = str_eq(p->type, "SecureString") && !decrypt;
    json_add_text(o, "ARN", arn);
    json_add_text(o, "DataType", p->data_type);
    json_object_object_add(o, "LastModifiedDate",
                           must(json_object_new_double_s((double)p->modified / 1000.0, seconds)));
    json_add_text(o, "Name", p->name);
    if (selector)
        json_add_text(o, "Selector", selector);
    json_add_text(o, "Type", p->type);
    json_add_text(o, "Value", secure ? hidden : p->value);
    json_add_int(o, "Version", p->version);
}

static void get_parameter(struct call *c, struct json_object *body)
{
    AUTO_ARENA arena = { 0 };
    struct get get = { 0 };
    uint64_t version;
    if (!decode(c, body, get_fields, &get, &arena) || !check_name(c, get.name))
        return;
    const char *selector = strchr(get.name, ':');
    AUTO_FREE char *name = xstrndup(get.name, strcspn(get.name, ":"));
    const struct parameter *p = world_parameter(c->sim, c->region, name);
    if (!p || c->request->hide) {
        call_refuse(c, 400, "ParameterNotFound", "Parameter %s not found.", name);
    } else if (selector && (!parse_uint(selector + 1, INT64_MAX, &version) || (int64_t)version != p->version)) {
        call_refuse(c, 400, "ParameterVersionNotFound",
                    "Systems Manager could not find version %s of %s. Verify the version and try again.", selector + 1,
                    name);
    } else {
        struct json_object *o = must(json_object_new_object());
        add_parameter(json_add_object(o, "Parameter"), p, selector, get.decrypt);
        answer(c, o);
    }
}

/* --- PutParameter ------------------------------------------------------------------------------------------------- */

struct put {
    const char *name, *value, *type, *data_type, *tier, *description;
    struct field_list tags;
    bool overwrite;
};

#define FIELDS struct put
static const struct field put_fields[] = {
    F_STR("Name", name),
    F_STR("Value", value),
    F_STR("Type", type),
    F_STR("DataType", data_type),
    F_STR("Tier", tier),
    F_STR("Description", description),
    F_BOOL("Overwrite", overwrite),
    { 0 },
};
#undef FIELDS

/* Absent is one of them. */
static bool check_word(struct call *c, const char *member, const char *value, const char *words)
{
    AUTO_STRLIST known = { 0 };
    strlist_split(&known, words, " ");
    return !value || strlist_has(&known, value) ||
           call_refuse(c, 400, "ValidationException",
                       "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must "
                       "satisfy enum value set: [%s]",
                       value, member, words);
}

static bool check_put_name(struct call *c, const char *name)
{
    static const char *const reserved[] = { "aws", "ssm" };
    if (strncasecmp(name, "/aws/", 5) == 0)
        return call_refuse(c, 400, "AccessDeniedException", "No access to reserved parameter name: %s.", name);
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        if (strncasecmp(name + (*name == '/'), reserved[i], strlen(reserved[i])) == 0)
            return call_refuse(c, 400, "ValidationException",
                               "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).");
    if (strchr(name, ':') || (*name != '/' && strchr(name, '/')))
        return call_refuse(c, 400, "ValidationException",
                           "Parameter name must be a fully qualified name, begun with a slash, without a colon.");
    return true;
}

static bool check_put_value(struct call *c, const struct put *put)
{
    size_t most = str_eq(put->tier, "Advanced") ? ADVANCED_MAX : STANDARD_MAX;
    if (str_empty(put->value))
        return call_refuse(c, 400, "ValidationException",
                           "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must "
                           "have length greater than or equal to 1");
    if (strlen(put->value) > most && !(str_eq(put->tier, "Intelligent-Tiering") && strlen(put->value) <= ADVANCED_MAX))
        return call_refuse(c, 400, "ValidationException",
                           "Standard tier parameters support a maximum parameter value of %zu characters. To create a "
                           "larger parameter value, upgrade the parameter to use the advanced-parameter tier.",
                           most);
    return true;
}

static bool check_put(struct call *c, const struct put *put, bool tags)
{
    const struct parameter *old = world_parameter(c->sim, c->region, put->name);
    if (tags && put->overwrite)
        return call_refuse(c, 400, "ValidationException",
                           "Invalid request: tags and overwrite can't be used together.");
    if (!check_word(c, "type", put->type, "String StringList SecureString") ||
        !check_word(c, "tier", put->tier, "Standard Advanced Intelligent-Tiering") ||
        !check_word(c, "dataType", put->data_type, "text aws:ec2:image") || !check_put_value(c, put))
        return false;
    if (old && !put->overwrite)
        return call_refuse(c, 400, "ParameterAlreadyExists",
                           "The parameter already exists. To overwrite this value, set the overwrite option in the "
                           "request to true.");
    if (!old && !put->type)
        return call_refuse(c, 400, "ValidationException", "A parameter type is required when you create a parameter.");
    if (old && put->type && !str_eq(put->type, old->type))
        return call_refuse(c, 400, "HierarchyTypeMismatchException", "Parameter type can't be changed from %s to %s",
                           old->type, put->type);
    return true;
}

static void put_parameter(struct call *c, struct json_object *body)
{
    AUTO_ARENA arena = { 0 };
    struct put put = { 0 };
    if (!decode(c, body, put_fields, &put, &arena) || !check_name(c, put.name) || !check_put_name(c, put.name) ||
        !check_put(c, &put, json_object_object_get_ex(body, "Tags", NULL)))
        return;
    struct parameter *p = world_put_parameter(c->sim, c->region, put.name, put.type, put.value);
    if (put.data_type)
        str_set(&p->data_type, put.data_type);
    if (put.description)
        str_set(&p->description, put.description);
    struct json_object *o = must(json_object_new_object());
    json_add_text(o, "Tier", strlen(put.value) > STANDARD_MAX ? "Advanced" : "Standard");
    json_add_int(o, "Version", p->version);
    answer(c, o);
}

/* --- a request ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*serve)(struct call *, struct json_object *);
} operations[] = {
    { "GetParameter", get_parameter },
    { "PutParameter", put_parameter },
};

static void dispatch(struct call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    const char *type = pairs_get(&c->request->headers, "content-type");
    const char *target = pairs_get(&c->request->headers, "x-amz-target");
    size_t n = 0;
    while (n < ARRAY_SIZE(operations) && !str_eq(operations[n].name, c->action))
        n++;
    if (!str_eq(type, "application/x-amz-json-1.1") || n == ARRAY_SIZE(operations) || !str_starts(target, "AmazonSSM."))
        call_refuse(c, 400, "UnknownOperationException", "There is no operation %s for %s", c->action,
                    type ? type : "(no content type)");
    else if (!json_parse(strbuf_str(&c->request->body), c->request->body.len, "the body", &body, &err) ||
             !json_object_is_type(body, json_type_object))
        call_refuse(c, 400, "SerializationException", "The body is no JSON object");
    else
        operations[n].serve(c, body);
}

void ssm_serve(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_FREE char *region = NULL, *service = verify_scope(r, SCOPE_SERVICE);
    const char *code = NULL, *message = NULL;
    int status = 0;
    struct call c = { .sim = s, .request = r, .res = res, .action = r->action };
    pairs_set(&res->headers, "Server", "Server");
    if (!verify_signature(s, r, &region, &code, &message, &status))
        call_refuse(&c, status, code, "%s", message);
    else if (!str_eq(service, "ssm"))
        call_refuse(&c, 400, "InvalidSignatureException", "Credential should be scoped to correct service: 'ssm'.");
    else if (!catalog_is_region(region))
        call_refuse(&c, 400, "InvalidSignatureException", "Credential should be scoped to a valid region.");
    else {
        c.region = region;
        dispatch(&c);
    }
}
