#include "mayfly/aws/sigv4.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"
#include "testing.h"

static const char form[] = "application/x-www-form-urlencoded; charset=utf-8";

static int64_t at(const char *rfc3339)
{
    int64_t t;
    ck_assert(clock_parse_rfc3339(rfc3339, &t));
    return t;
}

/* AWS General Reference, "Examples of how to derive a signing key for Signature Version 4". */
START_TEST(key_of_the_documentation)
{
    static const struct {
        const char *date, *region, *service, *key;
    } examples[] = {
        { "2012-02-15T00:00:00Z", "us-east-1", "iam",
          "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" },
        { "2015-08-30T12:36:00Z", "us-east-1", "iam",
          "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" },
    };
    uint8_t key[SHA256_LEN];
    AUTO_STRBUF hex = STRBUF_INIT;
    const struct sigv4_scope scope = { examples[_i].region, examples[_i].service, at(examples[_i].date) };
    sigv4_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope, key);
    encode_hex(&hex, key, sizeof(key));
    ck_assert_str_eq(strbuf_str(&hex), examples[_i].key);
}
END_TEST

/* AWS General Reference, "Create a canonical request" to "Add the signature": GET of IAM's ListUsers. */
START_TEST(list_users_of_the_documentation)
{
    const struct sigv4_key key = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL };
    const struct sigv4_request r = { .method = "GET",
                                     .path = "/",
                                     .query = "Action=ListUsers&Version=2010-05-08",
                                     .host = "iam.amazonaws.com",
                                     .content_type = form,
                                     .body = "" };
    const struct sigv4_scope scope = { "us-east-1", "iam", at("2015-08-30T12:36:00Z") };
    AUTO_STRBUF canonical = STRBUF_INIT, hash = STRBUF_INIT;
    AUTO_STRLIST headers = { 0 };
    sigv4_canonical(&canonical, &key, &r, &scope);
    crypto_sha256_hex(&hash, canonical.data, canonical.len);
    ck_assert_str_eq(strbuf_str(&hash), "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    sigv4_sign(&headers, &key, &r, &scope);
    ck_assert_str_eq(headers.v[headers.n - 1],
                     "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                     "SignedHeaders=content-type;host;x-amz-date, "
                     "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}
END_TEST

/* Made by botocore 1.43: forms and JSON, with a session token and a target. */
START_TEST(vectors_of_botocore)
{
    static const struct {
        const char *service, *region, *host, *body, *token, *content_type, *target, *canonical, *signature;
    } vectors[] = {
        { "ec2", "us-east-1", "ec2.us-east-1.amazonaws.com",
          "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aghr%3Arepo&Filter.1.Value.1=org%2Frepo",
          NULL, form, NULL, "55096720d5881ff7e5dc185c555fee9d1b908f81fe912184f1d32a5cd3864401",
          "4f289c0ef66aff12bdbbe6dcd69bf37264d5ea53615b9254f7da7d89c3b8a707" },
        { "ec2", "eu-central-1", "ec2.eu-central-1.amazonaws.com", "Action=DescribeRegions&Version=2016-11-15",
          "FwoGZXIvTOKEN//EXAMPLE==", form, NULL, "416c9c775e1336053e8e2dc6fc5237e29d35d3e267136447d4cdb1e050e1ff7a",
          "d8848dd64d93233c7ef93d5a06343f64fa63a969a40b35001f83560fb44cf840" },
        { "sts", "us-east-1", "sts.us-east-1.amazonaws.com", "Action=GetCallerIdentity&Version=2011-06-15", NULL, form,
          NULL, "8950aa637e8c92025b0538006475e7a6bfe500443fed4346748d7411aba800df",
          "b57eccc771c57ff3d2d1121eb0768f9b5a596f1e2aa97e452275256232edfb15" },
        { "ssm", "us-east-1", "ssm.us-east-1.amazonaws.com", "{\"Name\":\"/x\"}", NULL, "application/x-amz-json-1.1",
          "AmazonSSM.GetParameter", "110bd382529d2d018e339e57f49092358a4cbe8b4b9e67c317c65f2a2f1d613f",
          "0a4238626f1a08c48cc39e478412e8be45a6c6654348744c27bb713a7076bbab" },
    };
    const struct sigv4_key key = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", vectors[_i].token };
    const struct sigv4_request r = { .method = "POST",
                                     .path = "/",
                                     .query = "",
                                     .host = vectors[_i].host,
                                     .content_type = vectors[_i].content_type,
                                     .target = vectors[_i].target,
                                     .body = vectors[_i].body,
                                     .body_len = strlen(vectors[_i].body) };
    const struct sigv4_scope scope = { vectors[_i].region, vectors[_i].service, at("2026-01-02T03:04:05Z") };
    AUTO_STRBUF canonical = STRBUF_INIT, hash = STRBUF_INIT;
    AUTO_STRLIST headers = { 0 };
    sigv4_canonical(&canonical, &key, &r, &scope);
    crypto_sha256_hex(&hash, canonical.data, canonical.len);
    ck_assert_str_eq(strbuf_str(&hash), vectors[_i].canonical);
    sigv4_sign(&headers, &key, &r, &scope);
    ck_assert(str_ends(headers.v[headers.n - 1], vectors[_i].signature));
}
END_TEST

START_TEST(header_values_are_folded)
{
    const struct sigv4_key key = { "A", "S", NULL };
    struct sigv4_request r = { .method = "POST", .path = "/", .query = "", .host = "h:1", .body = "" };
    const struct sigv4_scope scope = { "us-east-1", "ec2", 0 };
    AUTO_STRBUF a = STRBUF_INIT, b = STRBUF_INIT;
    r.content_type = "  text/plain;  \t a=b ";
    sigv4_canonical(&a, &key, &r, &scope);
    r.content_type = "text/plain; a=b";
    sigv4_canonical(&b, &key, &r, &scope);
    ck_assert_str_eq(strbuf_str(&a), strbuf_str(&b));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&a), "\nhost:h:1\n"));
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("sigv4");
    tcase_add_loop_test(t, key_of_the_documentation, 0, 2);
    tcase_add_test(t, list_users_of_the_documentation);
    tcase_add_loop_test(t, vectors_of_botocore, 0, 4);
    tcase_add_test(t, header_values_are_folded);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("sigv4", all, ARRAY_SIZE(all));
}
