#include "mayfly/aws/ec2.h"
#include "mayfly/codec/json.h"
#include "mayfly/codec/xml.h"
#include "mayfly/net/http.h"
#include "testing.h"

#include <malloc.h>

/* --- what both decoders fill -------------------------------------------------------------------------------------- */

struct part {
    const char *key;
    int64_t n;
    struct field_list words; /* const char * */
};

struct thing {
    const char *name, *deep;
    int64_t count;
    bool flag;
    struct field_list words; /* const char * */
    struct field_list parts; /* struct part */
};

#define WORDS(path_, type_)                                                                                            \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_LIST, .offset = offsetof(type_, words), .item_size = sizeof(const char *)       \
    }

static const struct field xml_part[] = {
    { .path = "key", .type = FIELD_STR, .offset = offsetof(struct part, key) },
    { .path = "n", .type = FIELD_INT, .offset = offsetof(struct part, n) },
    WORDS("wordSet/item", struct part),
    { 0 },
};
static const struct field xml_thing[] = {
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct thing, name) },
    { .path = "a/b/c", .type = FIELD_STR, .offset = offsetof(struct thing, deep) },
    { .path = "count", .type = FIELD_INT, .offset = offsetof(struct thing, count) },
    { .path = "flag", .type = FIELD_BOOL, .offset = offsetof(struct thing, flag) },
    WORDS("wordSet/item", struct thing),
    { .path = "partSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct thing, parts),
      .items = xml_part,
      .item_size = sizeof(struct part) },
    { 0 },
};
static const struct field json_part[] = {
    { .path = "key", .type = FIELD_STR, .offset = offsetof(struct part, key), .required = true },
    { .path = "n", .type = FIELD_INT, .offset = offsetof(struct part, n) },
    WORDS("words", struct part),
    { 0 },
};
static const struct field json_thing[] = {
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct thing, name), .required = true },
    { .path = "a/b/c", .type = FIELD_STR, .offset = offsetof(struct thing, deep) },
    { .path = "count", .type = FIELD_INT, .offset = offsetof(struct thing, count) },
    { .path = "flag", .type = FIELD_BOOL, .offset = offsetof(struct thing, flag) },
    WORDS("words", struct thing),
    { .path = "parts",
      .type = FIELD_LIST,
      .offset = offsetof(struct thing, parts),
      .items = json_part,
      .item_size = sizeof(struct part) },
    { 0 },
};

static const char *word(const struct field_list *l, size_t i)
{
    return *FIELD_ROW(l, const char *, i);
}

/* A copy of exactly n bytes, so that the sanitizer sees a decoder that reads on. */
static char *exactly(const char *bytes, size_t n)
{
    char *copy = xmalloc(n ? n : 1);
    if (n)
        memcpy(copy, bytes, n);
    return copy;
}

/* --- XML ---------------------------------------------------------------------------------------------------------- */

static bool xml_n(const char *bytes, size_t n, struct thing *ret, struct arena *arena, struct error *err)
{
    AUTO_FREE char *copy = exactly(bytes, n);
    return xml_decode(copy, n, "R", xml_thing, ret, arena, "the answer to X", err);
}

static bool xml(const char *text, struct thing *ret, struct arena *arena, struct error *err)
{
    return xml_n(text, strlen(text), ret, arena, err);
}

START_TEST(xml_values)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ASSERT_OK(xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c -->\n"
                  "<m:R xmlns:m=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"
                  "  <other><name>not this one</name><wordSet><item>no</item></wordSet></other>\n"
                  "  <m:name>n</m:name><a><b><c>deep</c><d/></b><c>no</c></a>\n"
                  "  <count>9223372036854775807</count><flag>true</flag>\n"
                  "  <wordSet><item>one</item><item>two</item></wordSet>\n"
                  "  <partSet/>\n"
                  "</m:R>\n",
                  &t, &arena, &err),
              &err);
    ck_assert_str_eq(t.name, "n");
    ck_assert_str_eq(t.deep, "deep");
    ck_assert_int_eq(t.count, INT64_MAX);
    ck_assert(t.flag);
    ck_assert_uint_eq(t.words.n, 2);
    ck_assert_str_eq(word(&t.words, 1), "two");
    ck_assert_uint_eq(t.parts.n, 0);
}
END_TEST

START_TEST(xml_nested_lists)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF doc = STRBUF_INIT;
    struct thing t = { 0 };
    strbuf_adds(&doc, "<R><partSet>");
    for (unsigned i = 0; i < 100; i++) {
        strbuf_addf(&doc, "<item><key>k%u</key><n>%u</n><wordSet>", i, i);
        for (unsigned w = 0; w < i % 7; w++)
            strbuf_addf(&doc, "<item>w%u.%u</item>", i, w);
        strbuf_adds(&doc, "</wordSet></item>");
    }
    strbuf_adds(&doc, "<item/></partSet><name>after</name></R>");
    ASSERT_OK(xml(strbuf_str(&doc), &t, &arena, &err), &err);
    ck_assert_uint_eq(t.parts.n, 101);
    for (size_t i = 0; i < 100; i++) {
        const struct part *p = FIELD_ROW(&t.parts, const struct part, i);
        AUTO_FREE char *key = xasprintf("k%zu", i);
        ck_assert_str_eq(p->key, key);
        ck_assert_int_eq(p->n, (int64_t)i);
        ck_assert_uint_eq(p->words.n, i % 7);
        for (size_t w = 0; w < p->words.n; w++) {
            AUTO_FREE char *want = xasprintf("w%zu.%zu", i, w);
            ck_assert_str_eq(word(&p->words, w), want);
        }
    }
    ck_assert_ptr_null(FIELD_ROW(&t.parts, const struct part, 100)->key);
    ck_assert_str_eq(t.name, "after");
}
END_TEST

START_TEST(xml_text)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "<name>a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;</name>", "a <b> & \"c\" 'd'" },
        { "<name>&#x41;&#66;&#xe9;</name>", "AB\xc3\xa9" },
        { "<name>a<![CDATA[<b>&amp;]]>c</name>", "a<b>&amp;c" },
        { "<name>a<!-- comment -->b<?pi x?>c</name>", "abc" },
        { "<name/>", "" },
        { "<name></name>", "" },
        { "<name>  two  words </name>", "  two  words " },
        { "<name>line\r\nbreak</name>", "line\nbreak" },
        { "<name>first</name><name>second</name>", "second" },
        { "<x>not</x>", NULL },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    AUTO_FREE char *doc = xasprintf("<R>%s</R>", cases[_i].in);
    ASSERT_OK(xml(doc, &t, &arena, &err), &err);
    ck_assert_pstr_eq(t.name, cases[_i].out);
}
END_TEST

START_TEST(xml_refused)
{
    static const struct {
        const char *doc, *why;
    } cases[] = {
        { "", "the answer to X is empty" },
        { " ", "not well-formed" },
        { "hello", "not well-formed" },
        { "{\"a\":1}", "not well-formed" },
        { "<html><body>Sign in</body></html>", "is a <html>, not a <R>" },
        { "<r/>", "is a <r>, not a <R>" },
        { "<R>", "not well-formed" },
        { "<R/><R/>", "not well-formed" },
        { "<R/>text", "not well-formed" },
        { "<R><name>a</wrong></R>", "not well-formed" },
        { "<R><name>&undefined;</name></R>", "not well-formed" },
        { "<R><name>a & b</name></R>", "not well-formed" },
        { "<R><name>\xff\xfe</name></R>", "not well-formed" },
        { "<R><name>\x01</name></R>", "not well-formed" },
        { "<R><count>1.5</count></R>", "<count> is not a number" },
        { "<R><count>-1</count></R>", "<count> is not a number" },
        { "<R><count>9223372036854775808</count></R>", "<count> is not a number" },
        { "<!DOCTYPE R><R/>", "document type declaration" },
        { "<!DOCTYPE R [<!ENTITY a \"x\">]><R><name>&a;</name></R>", "document type declaration" },
        { "<!DOCTYPE R SYSTEM \"file:///etc/passwd\"><R/>", "document type declaration" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ASSERT_FAILS(xml(cases[_i].doc, &t, &arena, &err), &err, cases[_i].why);
}
END_TEST

/* What follows the root element is seen however far behind it stands. */
START_TEST(xml_text_far_behind)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF doc = STRBUF_INIT;
    struct thing t = { 0 };
    strbuf_addf(&doc, "<R><name>n</name></R>%100000s", "");
    ASSERT_OK(xml(strbuf_str(&doc), &t, &arena, &err), &err);
    strbuf_adds(&doc, "<R/>");
    ASSERT_FAILS(xml(strbuf_str(&doc), &t, &arena, &err), &err, "not well-formed");
}
END_TEST

START_TEST(xml_any_root)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    static const char doc[] = "<Any><name>n</name></Any>";
    ASSERT_OK(xml_decode(doc, strlen(doc), NULL, xml_thing, &t, &arena, "x", &err), &err);
    ck_assert_str_eq(t.name, "n");
    ck_assert_str_eq(xml_root_name(doc, strlen(doc), &arena), "Any");
    ck_assert_str_eq(xml_root_name("<?xml version='1.0'?><!-- --><n:B xmlns:n='u'>", 46, &arena), "B");
    ck_assert_ptr_null(xml_root_name("", 0, &arena));
    ck_assert_ptr_null(xml_root_name("no", 2, &arena));
    ck_assert_ptr_null(xml_root_name("<!DOCTYPE a><a/>", 16, &arena));
}
END_TEST

/* Depth: what EC2 sends passes, a tower is refused, and the tallest one does not exhaust the stack. */
START_TEST(xml_nesting)
{
    static const struct {
        unsigned depth;
        bool ok;
    } cases[] = { { 1, true }, { 12, true }, { 31, true }, { 33, false }, { 255, false }, { 190000, false } };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF doc = STRBUF_INIT;
    struct thing t = { 0 };
    strbuf_adds(&doc, "<R>");
    for (unsigned i = 0; i < cases[_i].depth; i++)
        strbuf_adds(&doc, "<e>");
    for (unsigned i = 0; i < cases[_i].depth; i++)
        strbuf_adds(&doc, "</e>");
    strbuf_adds(&doc, "</R>");
    if (cases[_i].ok)
        ASSERT_OK(xml(strbuf_str(&doc), &t, &arena, &err), &err);
    else
        ASSERT_FAILS(xml(strbuf_str(&doc), &t, &arena, &err), &err, "nested too deeply");
}
END_TEST

START_TEST(xml_long_names_are_refused)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    AUTO_FREE char *name = xmalloc(2001);
    memset(name, 'n', 2000);
    name[2000] = '\0';
    AUTO_FREE char *doc = xasprintf("<R><%s>x</%s></R>", name, name);
    ASSERT_FAILS(xml(doc, &t, &arena, &err), &err, "names that are too long");
}
END_TEST

/* A page as EC2 sends it, without a line break at its end. */
static const char page[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"
    "    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>\n"
    "    <reservationSet>\n"
    "        <item>\n"
    "            <reservationId>r-1</reservationId><ownerId>123456789012</ownerId><groupSet/>\n"
    "            <instancesSet>\n"
    "                <item>\n"
    "                    <instanceId>i-0aaaaaaaaaaaaaaaa</instanceId><imageId>ami-1</imageId>\n"
    "                    <instanceState><code>16</code><name>running</name></instanceState>\n"
    "                    <instanceType>m7i.xlarge</instanceType><launchTime>2026-01-02T03:04:05.000Z</launchTime>\n"
    "                    <placement><availabilityZone>us-east-1a</availabilityZone><groupName/></placement>\n"
    "                    <subnetId>subnet-1</subnetId><clientToken>ct</clientToken>\n"
    "                    <instanceLifecycle>spot</instanceLifecycle>\n"
    "                    <stateReason><code>Server.X</code><message>Server.X: gone &amp; over</message></stateReason>\n"
    "                    <networkInterfaceSet><item><subnetId>no</subnetId><status>in-use</status></item>"
    "</networkInterfaceSet>\n"
    "                    <tagSet><item><key>mayfly:fleet</key><value>org/repo</value></item>"
    "<item><key>empty</key><value/></item></tagSet>\n"
    "                </item>\n"
    "                <item><instanceId>i-0bbbbbbbbbbbbbbbb</instanceId></item>\n"
    "            </instancesSet>\n"
    "        </item>\n"
    "        <item><reservationId>r-2</reservationId><instancesSet><item><instanceId>i-0cccccccccccccccc</instanceId>"
    "</item></instancesSet></item>\n"
    "    </reservationSet>\n"
    "    <nextToken>next==</nextToken>\n"
    "</DescribeInstancesResponse>";

static bool decode_page(const char *bytes, size_t n, struct ec2_page *ret, struct arena *arena, struct error *err)
{
    struct aws_config config = { 0 };
    struct aws aws = { .config = &config, .env = &env_system };
    struct strbuf body = STRBUF_INIT;
    struct aws_call *call = aws_call_new(&aws, "ec2", "us-east-1", "DescribeInstances", &body);
    struct strbuf *answer = &call->call.exchange.response.body;
    *answer = STRBUF_INIT;
    strbuf_add(answer, bytes, n);
    bool ok = ec2_describe_instances_result(call, arena, ret, err);
    call_free(&call->call);
    return ok;
}

START_TEST(page_of_instances)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct ec2_page p = { 0 };
    ASSERT_OK(decode_page(page, strlen(page), &p, &arena, &err), &err);
    ck_assert_uint_eq(p.instances.n, 3);
    ck_assert_str_eq(p.next_token, "next==");
    const struct ec2_instance *i = FIELD_ROW(&p.instances, const struct ec2_instance, 0);
    ck_assert_str_eq(i->id, "i-0aaaaaaaaaaaaaaaa");
    ck_assert_str_eq(i->image, "ami-1");
    ck_assert_str_eq(i->type, "m7i.xlarge");
    ck_assert_str_eq(i->zone, "us-east-1a");
    ck_assert_str_eq(i->subnet, "subnet-1");
    ck_assert_str_eq(i->lifecycle, "spot");
    ck_assert_str_eq(i->client_token, "ct");
    ck_assert_int_eq(ec2_instance_state(i), EC2_RUNNING);
    ck_assert_int_eq(ec2_instance_launched(i), 1767323045);
    ck_assert_str_eq(i->reason_message, "Server.X: gone & over");
    ck_assert_str_eq(ec2_instance_tag(i, "mayfly:fleet"), "org/repo");
    ck_assert_str_eq(ec2_instance_tag(i, "empty"), "");
    ck_assert_ptr_null(ec2_instance_tag(i, "absent"));
    ck_assert_str_eq(FIELD_ROW(&p.instances, const struct ec2_instance, 2)->id, "i-0cccccccccccccccc");
}
END_TEST

/* A fleet half seen is no ground for decisions: no cut may look whole. */
START_TEST(page_cut_off_anywhere)
{
    for (size_t n = 0; n < strlen(page); n++) {
        AUTO_ARENA arena = { 0 };
        AUTO_ERROR err = { 0 };
        struct ec2_page p = { 0 };
        AUTO_FREE char *cut = exactly(page, n);
        ck_assert_msg(!decode_page(cut, n, &p, &arena, &err), "cut at %zu of %zu", n, strlen(page));
        ck_assert_int_eq(err.domain, ERROR_PARSE);
        ck_assert_uint_eq(p.instances.n, 0);
    }
}
END_TEST

/* One byte changed at every place: whatever comes of it, no crash. */
START_TEST(page_with_one_byte_changed)
{
    static const char bytes[] = { '\0', '<', '>', '&', '/', '"', '\xff', 'x' };
    for (size_t n = 0; n < strlen(page); n++) {
        AUTO_ARENA arena = { 0 };
        AUTO_ERROR err = { 0 };
        struct ec2_page p = { 0 };
        AUTO_FREE char *copy = exactly(page, strlen(page));
        copy[n] = bytes[_i];
        bool ok = decode_page(copy, strlen(page), &p, &arena, &err);
        ck_assert(ok == (err.domain == ERROR_NONE));
        ck_assert(ok || p.instances.n == 0);
    }
}
END_TEST

START_TEST(forms)
{
    static const struct {
        enum form form;
        const char *good, *bad;
    } cases[] = {
        { FORM_INSTANCE, "i-0123456789abcdef0", "i-1; x" },
        { FORM_INSTANCE, "i-1", "i-" },
        { FORM_INSTANCE, "i-1", "vol-1" },
        { FORM_IMAGE, "ami-0123456789abcdef0", "ami-1\n##[set-output]" },
        { FORM_SNAPSHOT, "snap-0123456789abcdef0", "snap-`id`" },
        { FORM_VOLUME, "vol-0123456789abcdef0", "vol-1 vol-2" },
        { FORM_SPOT_REQUEST, "sir-abcd1234", "sir-\xc2\x9b" },
        { FORM_SUBNET, "subnet-0a11ce01", "subnet-1|" },
        { FORM_ZONE, "us-west-2-lax-1a", "us-east-1a\r" },
        { FORM_ZONE, "us-east-1a", "" },
        { FORM_TYPE, "u-6tb1.112xlarge", "m7i.large]" },
        { FORM_WORD, "shutting-down", "running\nerror" },
        { FORM_WORD, "Client.VolumeLimitExceeded", "a b" },
        { FORM_TIME, "2026-01-31T01:02:03.000Z", "2026-01-31 <b>" },
        { FORM_VPC, "vpc-0a11ce01", "vpc-1\x7f" },
        { FORM_GROUP, "sg-0a11ce01", "subnet-1" },
        { FORM_ADDRESSES, "2001:db8::/32", "0.0.0.0/0 " },
        { FORM_ADDRESSES, "10.0.0.0/8", "\xc2\x9b" },
        { FORM_KEY, "arn:aws:kms:us-east-1:123456789012:key/0a11ce00-0000-4000-8000-000000000001", "alias/aws/ebs\n" },
        { FORM_WORD, "0123456789012345678901234567890123456789012345678901234567890123",
          "01234567890123456789012345678901234567890123456789012345678901234" },
    };
    ck_assert(form_is(cases[_i].form, cases[_i].good));
    ck_assert(!form_is(cases[_i].form, cases[_i].bad));
    ck_assert(form_is(FORM_ANY, cases[_i].bad));
}
END_TEST

/* What has not its form is absent: nothing of it is printed or sent on. */
START_TEST(instance_of_other_characters)
{
#define CASE(start, end, member_)                                                                                      \
    {                                                                                                                  \
        start "x\xc2\x9b&#10;##[error]" end, offsetof(struct ec2_instance, member_)                                    \
    }
    static const struct {
        const char *element;
        size_t member;
    } cases[] = {
        CASE("<imageId>", "</imageId>", image),
        CASE("<instanceType>", "</instanceType>", type),
        CASE("<placement><availabilityZone>", "</availabilityZone></placement>", zone),
        CASE("<subnetId>", "</subnetId>", subnet),
        CASE("<instanceLifecycle>", "</instanceLifecycle>", lifecycle),
        CASE("<instanceState><name>", "</name></instanceState>", state_name),
        CASE("<launchTime>", "</launchTime>", launch_time),
        CASE("<stateReason><code>", "</code></stateReason>", reason_code),
    };
#undef CASE
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct ec2_page p = { 0 };
    AUTO_FREE char *doc =
        xasprintf("<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>"
                  "%s</item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
                  cases[_i].element);
    ASSERT_OK(decode_page(doc, strlen(doc), &p, &arena, &err), &err);
    const struct ec2_instance *i = p.instances.rows;
    ck_assert_str_eq(i->id, "i-1");
    ck_assert_ptr_null(*(const char *const *)((const char *)i + cases[_i].member));
}
END_TEST

/* Who reads a fleet row by row goes on past one without an id. */
START_TEST(rows_without_an_id)
{
    static const char doc[] =
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><imageId>a</imageId>"
        "</item><item><instanceId>i-1</instanceId></item><item><instanceId>i-1; x</instanceId></item>"
        "<item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet>"
        "<nextToken>t</nextToken></DescribeInstancesResponse>";
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct aws_config config = { 0 };
    struct aws aws = { .config = &config, .env = &env_system };
    struct strbuf body = STRBUF_INIT;
    struct ec2_page p = { 0 };
    size_t skipped = 0;
    AUTO_CALL *call = &aws_call_new(&aws, "ec2", "us-east-1", "DescribeInstances", &body)->call;
    call->exchange.response.body = STRBUF_INIT;
    strbuf_adds(&call->exchange.response.body, doc);
    ASSERT_OK(ec2_describe_instances_rows((struct aws_call *)call, &arena, &p, &skipped, &err), &err);
    ck_assert_uint_eq(skipped, 2);
    ck_assert_uint_eq(p.instances.n, 2);
    ck_assert_str_eq(FIELD_ROW(&p.instances, struct ec2_instance, 0)->id, "i-1");
    ck_assert_str_eq(FIELD_ROW(&p.instances, struct ec2_instance, 1)->id, "i-2");
    ck_assert_str_eq(p.next_token, "t");
}
END_TEST

START_TEST(page_without_an_id)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct ec2_page p = { 0 };
    static const char doc[] =
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><imageId>a</imageId>"
        "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>";
    static const char empty[] = "<DescribeInstancesResponse><reservationSet/><nextToken/></DescribeInstancesResponse>";
    ASSERT_FAILS(decode_page(doc, strlen(doc), &p, &arena, &err), &err, "without an id");
    ASSERT_OK(decode_page(empty, strlen(empty), &p, &arena, &err), &err);
    ck_assert_uint_eq(p.instances.n, 0);
    ck_assert_ptr_null(p.next_token);
}
END_TEST

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static bool json_n(const char *bytes, size_t n, struct thing *ret, struct arena *arena, struct error *err)
{
    AUTO_FREE char *copy = exactly(bytes, n);
    return json_decode_text(copy, n, json_thing, ret, arena, "the answer to GET /x", err);
}

static bool json(const char *text, struct thing *ret, struct arena *arena, struct error *err)
{
    return json_n(text, strlen(text), ret, arena, err);
}

static const char good_json[] =
    "{ \"name\": \"n\", \"a\": {\"b\": {\"c\": \"d\\u00e9\\n\"}}, \"count\": 42, \"flag\": true, \"other\": [1.5, "
    "null],\n"
    "  \"words\": [\"one\", \"two\"], \"parts\": [{\"key\": \"k\", \"n\": -1, \"words\": [\"x\"]}, {\"key\": \"l\"}] }";

START_TEST(json_values)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ASSERT_OK(json(good_json, &t, &arena, &err), &err);
    ck_assert_str_eq(t.name, "n");
    ck_assert_str_eq(t.deep, "d\xc3\xa9\n");
    ck_assert_int_eq(t.count, 42);
    ck_assert(t.flag);
    ck_assert_uint_eq(t.words.n, 2);
    ck_assert_str_eq(word(&t.words, 1), "two");
    ck_assert_uint_eq(t.parts.n, 2);
    const struct part *p = FIELD_ROW(&t.parts, const struct part, 0);
    ck_assert_str_eq(p->key, "k");
    ck_assert_int_eq(p->n, -1);
    ck_assert_str_eq(word(&p->words, 0), "x");
}
END_TEST

START_TEST(json_cut_off_anywhere)
{
    for (size_t n = 0; n < strlen(good_json); n++) {
        AUTO_ARENA arena = { 0 };
        AUTO_ERROR err = { 0 };
        struct thing t = { 0 };
        ck_assert_msg(!json_n(good_json, n, &t, &arena, &err), "cut at %zu", n);
        ck_assert_int_eq(err.domain, ERROR_PARSE);
        ck_assert_ptr_nonnull(strstr(err.message, n == 0 ? "it is empty" : "it is cut off"));
    }
}
END_TEST

START_TEST(json_refused)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "{}", "`name` is missing" },
        { "{\"name\":null}", "`name` is missing" },
        { "{\"name\":1}", "`name` is not a string" },
        { "{\"name\":[\"n\"]}", "`name` is not a string" },
        { "{\"name\":\"n\",\"a\":{\"b\":{\"c\":1}}}", "`a/b/c` is not a string" },
        { "{\"name\":\"n\",\"count\":\"1\"}", "`count` is not a whole number" },
        { "{\"name\":\"n\",\"count\":1.0}", "`count` is not a whole number" },
        { "{\"name\":\"n\",\"flag\":\"true\"}", "`flag` is not true or false" },
        { "{\"name\":\"n\",\"flag\":1}", "`flag` is not true or false" },
        { "{\"name\":\"n\",\"words\":\"w\"}", "`words` is not a list" },
        { "{\"name\":\"n\",\"words\":{\"0\":\"w\"}}", "`words` is not a list" },
        { "{\"name\":\"n\",\"words\":[\"w\",1]}", "`words` is not a list of strings" },
        { "{\"name\":\"n\",\"words\":[null]}", "`words` is not a list of strings" },
        { "{\"name\":\"n\",\"parts\":[{\"n\":1}]}", "`key` is missing" },
        { "{\"name\":\"n\",\"parts\":[{\"key\":2}]}", "`key` is not a string" },
        { "{\"name\":\"n\",\"parts\":[1]}", "an object was expected" },
        { "{\"name\":\"n\",\"parts\":[null]}", "an object was expected" },
        { "[]", "an object was expected" },
        { "\"name\"", "an object was expected" },
        { "12", "is not JSON" }, /* never the whole of an answer */
        { "null", "is not JSON" },
        { "", "it is empty" },
        { "   ", "it is cut off" },
        { "{\"name\":\"n\"} x", "is not JSON" },
        { "{\"name\":\"n\"}{}", "is not JSON" },
        { "{\"name\":\"n\"},", "is not JSON" },
        { "{\"name\":\"n\",}", "is not JSON" },
        { "{name:\"n\"}", "is not JSON" },
        { "{'name':'n'}", "is not JSON" },
        { "{\"name\":\"n\" /* c */}", "is not JSON" },
        { "{\"name\":\"\xff\"}", "is not JSON" },
        { "{\"name\":\"\xc3\"}", "is not JSON" },
        { "{\"name\":\"n\",\"count\":NaN}", "`count` is not a whole number" },
        { "{\"name\":\"n\",\"count\":01}", "is not JSON" },
        { "<html>", "is not JSON" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ASSERT_FAILS(json(cases[_i].text, &t, &arena, &err), &err, cases[_i].why);
}
END_TEST

/* Every message begins with what was asked. */
START_TEST(json_says_what)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ck_assert(!json("{\"name\":1}", &t, &arena, &err));
    ck_assert_str_eq(err.message, "the answer to GET /x has the wrong form: `name` is not a string");
}
END_TEST

START_TEST(json_accepted)
{
    static const char *const texts[] = {
        "{\"name\":\"n\",\"count\":null,\"flag\":null,\"words\":null,\"parts\":null,\"a\":null}",
        "{\"name\":\"n\",\"a\":{\"b\":null},\"words\":[],\"parts\":[]}",
        " \t\r\n{\"name\":\"n\"}\r\n ",
        "{\"name\":\"m\",\"name\":\"n\"}",
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    ASSERT_OK(json(texts[_i], &t, &arena, &err), &err);
    ck_assert_str_eq(t.name, "n");
    ck_assert_int_eq(t.count, 0);
    ck_assert_uint_eq(t.words.n + t.parts.n, 0);
}
END_TEST

/* A NUL byte ends a C string, and must not end the text early. */
START_TEST(json_nul)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    static const char after[] = "{\"name\":\"n\"}\0{}";
    static const char within[] = "{\"name\":\"n\0m\"}";
    ASSERT_FAILS(json_n(after, sizeof(after) - 1, &t, &arena, &err), &err, "is not JSON");
    ASSERT_FAILS(json_n(within, sizeof(within) - 1, &t, &arena, &err), &err, "is not JSON");
}
END_TEST

START_TEST(json_nesting)
{
    static const struct {
        unsigned depth;
        bool ok;
    } cases[] = { { 6, true }, { 30, true }, { 40, false }, { 80000, false } };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    struct thing t = { 0 };
    strbuf_adds(&text, "{\"name\":\"n\",\"x\":");
    for (unsigned i = 0; i < cases[_i].depth; i++)
        strbuf_addc(&text, '[');
    for (unsigned i = 0; i < cases[_i].depth; i++)
        strbuf_addc(&text, ']');
    strbuf_addc(&text, '}');
    if (cases[_i].ok)
        ASSERT_OK(json(strbuf_str(&text), &t, &arena, &err), &err);
    else
        ASSERT_FAILS(json(strbuf_str(&text), &t, &arena, &err), &err, "nesting");
}
END_TEST

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): gcc's and clang's */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void repeat(struct strbuf *text, const char *piece, size_t size)
{
    for (unsigned i = 0; text->len < size; i++) {
        if (strchr(piece, '#'))
            strbuf_addf(text, "%.*s%u%s", (int)strcspn(piece, "#"), piece, i, strchr(piece, '#') + 1);
        else
            strbuf_adds(text, piece);
    }
}

/* What takes the most: 16 MiB of {} were 4 GB. Everything that is not refused fits, and what is refused costs nothing.
 */
START_TEST(json_memory)
{
    static const struct {
        const char *open, *piece, *close;
    } shapes[] = {
        { "[", "{},", "{}]" },
        { "[", "[],", "0]" },
        { "[", "{\"a\":1},", "0]" },
        { "[", "1,", "0]" },
        { "{", "\"k#\":1,", "\"z\":0}" },
        { "[", "\"\",", "0]" },
        { "[", "1.5,", "0]" },
        { "[", "[[[[]]]],", "0]" },
        { "{", "\"k#\":{},", "\"z\":0}" },
    };
    size_t accepted = 0;
    for (size_t size = 1000; size <= HTTP_LIST_MAX; size *= 2) {
        AUTO_STRBUF text = STRBUF_INIT;
        AUTO_ERROR err = { 0 };
        AUTO_JSON *object = NULL;
        strbuf_adds(&text, shapes[_i].open);
        repeat(&text, shapes[_i].piece, size);
        strbuf_adds(&text, shapes[_i].close);
        size_t before = allocated();
        if (!json_parse(strbuf_str(&text), text.len, "x", &object, &err)) {
            ck_assert_msg(strstr(err.message, "x is too large") != NULL, "%s", err.message);
            break;
        }
        accepted = size;
        ck_assert_uint_le(allocated() - before, JSON_MEMORY_MAX);
    }
    ck_assert_uint_gt(accepted, 50000);
}
END_TEST

START_TEST(xml_memory)
{
    static const struct {
        const char *piece, *why;
    } shapes[] = { { "<partSet><item/></partSet>", NULL },
                   { "<wordSet><item>x</item></wordSet>", NULL },
                   { "<n#/>", "elements" },
                   { "<n a=''/>", "attributes" },
                   { "<name>x</name>", NULL } };
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct thing t = { 0 };
    strbuf_adds(&text, "<R>");
    repeat(&text, shapes[_i].piece, HTTP_LIST_MAX);
    strbuf_adds(&text, "</R>");
    bool ok = xml(strbuf_str(&text), &t, &arena, &err);
    ck_assert(ok || strstr(err.message, "more than"));
    ck_assert(!shapes[_i].why || strstr(err.message, shapes[_i].why));
    ck_assert_uint_le(arena_size(&arena), 2 * (size_t)FIELD_DECODED_MAX + (1 << 16));
}
END_TEST

/* A row of many bytes for an element of few: 7 bytes of XML, 100 of memory. */
START_TEST(xml_rows)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    static const struct field items[] = { { .path = "x", .type = FIELD_STR, .offset = 0 }, { 0 } };
    const struct field fields[] = {
        { .path = "s/i", .type = FIELD_LIST, .offset = 0, .items = items, .item_size = 400 }, { 0 }
    };
    struct field_list rows = { 0 };
    strbuf_adds(&text, "<R><s>");
    repeat(&text, "<i/>", 190000 * 4);
    strbuf_adds(&text, "</s></R>");
    ASSERT_FAILS(xml_decode(strbuf_str(&text), text.len, "R", fields, &rows, &arena, "x", &err), &err,
                 "holds more than 16777216 bytes");
    ck_assert_uint_le(arena_size(&arena), 3 * (size_t)FIELD_DECODED_MAX);
}
END_TEST

static TCase *xml_cases(void)
{
    TCase *t = tcase_create("xml");
    tcase_add_test(t, xml_values);
    tcase_add_test(t, xml_nested_lists);
    tcase_add_loop_test(t, xml_text, 0, 10);
    tcase_add_loop_test(t, xml_refused, 0, 20);
    tcase_add_test(t, xml_text_far_behind);
    tcase_add_test(t, xml_any_root);
    tcase_add_loop_test(t, xml_nesting, 0, 6);
    tcase_add_test(t, xml_long_names_are_refused);
    tcase_add_test(t, page_of_instances);
    tcase_add_test(t, page_cut_off_anywhere);
    tcase_add_loop_test(t, page_with_one_byte_changed, 0, 8);
    tcase_add_test(t, page_without_an_id);
    tcase_add_test(t, rows_without_an_id);
    tcase_add_loop_test(t, forms, 0, 20);
    tcase_add_loop_test(t, instance_of_other_characters, 0, 8);
    return t;
}

static TCase *json_cases(void)
{
    TCase *t = tcase_create("json");
    tcase_add_test(t, json_values);
    tcase_add_test(t, json_cut_off_anywhere);
    tcase_add_loop_test(t, json_refused, 0, 35);
    tcase_add_test(t, json_says_what);
    tcase_add_loop_test(t, json_accepted, 0, 4);
    tcase_add_test(t, json_nul);
    tcase_add_loop_test(t, json_nesting, 0, 4);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, json_memory, 0, 9);
    tcase_add_loop_test(t, xml_memory, 0, 5);
    tcase_add_test(t, xml_rows);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { xml_cases, json_cases };
    return run_suite("codec", all, ARRAY_SIZE(all));
}
