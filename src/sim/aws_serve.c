/* A request of the Query protocol: signed as it should be, known, with parameters that its action takes. */
#include <ctype.h>

#include "aws.h"
#include "aws_serve.h"
#include "catalog.h"
#include "ec2.h"
#include "http.h"
#include "sim.h"
#include "sts.h"
#include "verify.h"

#include "mayfly/util/encode.h"

/* "Filter.1.Value.2" as "Filter.N.Value.N"; owned. */
static char *shape_of(const char *name)
{
    AUTO_STRBUF shape = STRBUF_INIT;
    for (; *name; name++) {
        if (isdigit((unsigned char)*name) && shape.len > 0 && shape.data[shape.len - 1] == '.') {
            strbuf_addc(&shape, 'N');
            name += strspn(name, "0123456789") - 1;
        } else {
            strbuf_addc(&shape, *name);
        }
    }
    return strbuf_steal(&shape);
}

static bool check_value(struct call *c, const char *name, const char *value, char type)
{
    uint64_t n;
    if ((type == '?' && !is_true(value) && !str_eq(value, "false")) ||
        (type == '#' && !parse_uint(value, INT64_MAX, &n)))
        return call_refuse(c, 400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, name);
    return true;
}

static bool check_parameters(struct call *c, const char *parameters)
{
    const struct pairs *form = &c->request->form;
    AUTO_STRLIST known = { 0 };
    strlist_split(&known, parameters, " ");
    strlist_split(&known, str_eq(c->request->service, "ec2") ? "Action Version DryRun?" : "Action Version", " ");
    for (size_t i = 0; i < form->n; i++) {
        const char *name = form->v[2 * i], *value = form->v[2 * i + 1];
        AUTO_FREE char *shape = shape_of(name);
        size_t len = strlen(shape), k = 0;
        for (; k < known.n; k++) {
            const char *rest = known.v[k] + len;
            if (strncmp(known.v[k], shape, len) == 0 && (*rest == '\0' || ((*rest == '?' || *rest == '#') && !rest[1])))
                break;
        }
        if (k == known.n)
            return call_refuse(c, 400, "UnknownParameter", "The parameter %s is not recognized", name);
        if (!check_value(c, name, value, known.v[k][len]))
            return false;
        for (size_t d = 0; d < i; d++)
            if (str_eq(form->v[2 * d], name))
                return call_refuse(c, 400, "MalformedQueryString", "The parameter %s is given twice", name);
    }
    return true;
}

static void dispatch(struct call *c)
{
    bool sts = str_eq(c->request->service, "sts");
    const char *version = sts ? "2011-06-15" : "2016-11-15";
    if (!str_eq(call_param(c, "Version"), version)) {
        call_refuse(c, 400, "InvalidAction", "Could not find operation %s for version %s", c->action,
                    call_param(c, "Version") ? call_param(c, "Version") : "(none)");
        return;
    }
    for (const struct action *a = sts ? sts_actions : ec2_actions; a->name; a++) {
        if (!str_eq(a->name, c->action))
            continue;
        if (check_parameters(c, a->parameters))
            a->serve(c);
        return;
    }
    call_refuse(c, 400, "InvalidAction", "The action %s is not valid for this web service.", c->action);
}

void aws_serve(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_FREE char *region = NULL;
    const char *code = NULL, *message = NULL;
    int status = 0;
    struct call c = { .sim = s, .request = r, .res = res };
    res->content_type = str_eq(r->service, "sts") ? "text/xml" : "text/xml;charset=UTF-8";
    res->status = 200;
    pairs_set(&res->headers, "Server", "AmazonEC2");
    const char *asked = pairs_get(&r->form, "Action");
    const bool unsigned_ = str_eq(asked, "AssumeRoleWithWebIdentity") && !pairs_get(&r->headers, "authorization");
    if (unsigned_)
        region = xstrdup("us-east-1");
    if (!unsigned_ && !verify_signature(s, r, &region, &code, &message, &status))
        call_refuse(&c, status, code, "%s", message);
    else if (!r->form_ok)
        call_refuse(&c, 400, "MalformedQueryString", "The request body is no form");
    else if (!catalog_is_region(region))
        call_refuse(&c, 401, "AuthFailure", "Credential should be scoped to a valid region.");
    else if ((c.action = call_param(&c, "Action")) == NULL)
        call_refuse(&c, 400, "MissingAction", "The request must contain the parameter Action");
    else {
        c.region = region;
        dispatch(&c);
    }
}
