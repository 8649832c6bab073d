#include "mayfly/aws/ssm.h"

#include "mayfly/codec/json.h"

struct aws_call *ssm_get_parameter_call(struct aws *aws, const char *region, const char *name)
{
    struct strbuf body = STRBUF_INIT;
    AUTO_JSON *object = must(json_object_new_object());
    json_object_object_add(object, "Name", must(json_object_new_string(name)));
    strbuf_adds(&body, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
    return aws_json_call_new(aws, "ssm", region, "AmazonSSM.GetParameter", &body);
}

struct aws_call *ssm_put_parameter_call(struct aws *aws, const char *region, const char *name, const char *value,
                                        bool image)
{
    struct strbuf body = STRBUF_INIT;
    AUTO_JSON *object = must(json_object_new_object());
    json_object_object_add(object, "Name", must(json_object_new_string(name)));
    json_object_object_add(object, "Value", must(json_object_new_string(value)));
    json_object_object_add(object, "Type", must(json_object_new_string("String")));
    json_object_object_add(object, "DataType", must(json_object_new_string(image ? "aws:ec2:image" : "text")));
    json_object_object_add(object, "Overwrite", must(json_object_new_boolean(true)));
    strbuf_adds(&body, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
    return aws_json_call_new(aws, "ssm", region, "AmazonSSM.PutParameter", &body);
}

struct answer {
    const char *value;
};

static const struct field fields[] = {
    { .path = "Parameter/Value", .type = FIELD_STR, .offset = offsetof(struct answer, value), .required = true },
    { 0 },
};

bool ssm_get_parameter_result(const struct aws_call *call, struct arena *arena, const char **ret, struct error *err)
{
    const struct strbuf *body = &call->call.exchange.response.body;
    struct answer answer = { 0 };
    AUTO_FREE char *what = aws_call_what(&call->call);
    if (!json_decode_text(strbuf_str(body), body->len, fields, &answer, arena, what, err))
        return false;
    *ret = answer.value;
    return true;
}
