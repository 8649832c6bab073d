/* A GitHub App's key, its signatures, and the settings that name it. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

#include "mayfly/github/app.h"
#include "mayfly/util/encode.h"
#include "testing.h"

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* The key that RFC 7515, appendix A.2, publishes, and what it signs there. */
#define RFC_PKCS1                                                                                                      \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                                                \
    "MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0\n"                                               \
    "l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC\n"                                               \
    "gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX\n"                                               \
    "ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\n"                                               \
    "Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8\n"                                               \
    "q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S\n"                                               \
    "bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf\n"                                               \
    "UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O\n"                                               \
    "n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK\n"                                               \
    "Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f\n"                                               \
    "40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU\n"                                               \
    "bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE\n"                                               \
    "tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG\n"                                               \
    "BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE\n"                                               \
    "fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs\n"                                               \
    "p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD\n"                                               \
    "zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7\n"                                               \
    "DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4\n"                                               \
    "U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm\n"                                               \
    "27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN\n"                                               \
    "54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC\n"                                               \
    "Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S\n"                                               \
    "0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z\n"                                               \
    "NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE\n"                                               \
    "6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1\n"                                                           \
    "-----END RSA PRIVATE KEY-----\n"
#define RFC_PKCS8                                                                                                      \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"                                               \
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"                                               \
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"                                               \
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"                                               \
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"                                               \
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"                                               \
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"                                               \
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"                                               \
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"                                               \
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"                                               \
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"                                               \
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"                                               \
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"                                               \
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"                                               \
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"                                               \
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"                                               \
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"                                               \
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"                                               \
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"                                               \
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"                                               \
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"                                               \
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"                                               \
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"                                               \
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"                                               \
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"                                               \
    "03k2+ZQwVK0JKSHuLFkuQ3U=\n"                                                                                       \
    "-----END PRIVATE KEY-----\n"
static const char rfc_message[] =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9"
    "pc19yb290Ijp0cnVlfQ";
static const char rfc_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG"
    "bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6"
    "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static struct rsa_key *read_key(const char *pem)
{
    AUTO_ERROR err = { 0 };
    struct rsa_key *key = NULL;
    ASSERT_OK(rsa_key_read(pem, strlen(pem), "the key", &key, &err), &err);
    return key;
}

static char *sign(const char *pem, const char *message)
{
    AUTO_RSA_KEY *key = read_key(pem);
    AUTO_STRBUF signature = STRBUF_INIT, text = STRBUF_INIT;
    rsa_sign(key, message, strlen(message), &signature);
    encode_base64url(&text, signature.data, signature.len);
    return strbuf_steal(&text);
}

START_TEST(known_answer)
{
    AUTO_FREE char *by_pkcs1 = sign(RFC_PKCS1, rfc_message), *by_pkcs8 = sign(RFC_PKCS8, rfc_message);
    ck_assert_str_eq(by_pkcs1, rfc_signature);
    ck_assert_str_eq(by_pkcs8, rfc_signature);
}
END_TEST

/* Every `from` becomes `to`; owned. */
static char *replace(const char *s, const char *from, const char *to)
{
    AUTO_STRBUF out = STRBUF_INIT;
    while (*s) {
        if (str_starts(s, from)) {
            strbuf_adds(&out, to);
            s += strlen(from);
        } else {
            strbuf_addc(&out, *s++);
        }
    }
    return strbuf_steal(&out);
}

/* The ways in which variables, files and CI systems hold a key. */
START_TEST(keys_of_other_line_breaks)
{
    static const struct {
        const char *lines, *before, *after;
    } cases[] = {
        { "\r\n", "", "" },
        { "\\n", "", "" },
        { "\\r\\n", "", "" },
        { "\n", "\n\n", "\n\n" },
        { "\n", "", " \t\n" },
        { "\n", "Bag Attributes\n    localKeyID: 01\n", "" },
        { "\\n", "\n", "\n" },
        { " ", "", "" },
        { " ", " ", " " },
        { "\n    ", "", "" },
        { "\r\n\r\n", "", "" },
        { "", "", "" },
        { "\n", "\xef\xbb\xbf", "" },
        { "\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "" },
        { " ", "-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE----- ", "" },
    };
    static const char *const keys[] = { RFC_PKCS1, RFC_PKCS8 };
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
        AUTO_FREE char *pem = replace(keys[k], "\n", cases[_i].lines);
        AUTO_FREE char *all = xasprintf("%s%s%s", cases[_i].before, pem, cases[_i].after);
        AUTO_FREE char *signature = sign(all, rfc_message);
        ck_assert_str_eq(signature, rfc_signature);
        /* base64 of it, as terraform-aws-github-runner stores it; also wrapped */
        AUTO_STRBUF coded = STRBUF_INIT;
        encode_base64(&coded, all, strlen(all));
        AUTO_FREE char *by_base64 = sign(strbuf_str(&coded), rfc_message);
        ck_assert_str_eq(by_base64, rfc_signature);
        AUTO_FREE char *wrapped = xasprintf("%.76s\n%s\n", strbuf_str(&coded), strbuf_str(&coded) + 76);
        AUTO_FREE char *by_wrapped = sign(wrapped, rfc_message);
        ck_assert_str_eq(by_wrapped, rfc_signature);
    }
}
END_TEST

START_TEST(no_key)
{
    static const char cut[] = RFC_PKCS1;
    AUTO_FREE char *half = xstrndup(cut, sizeof(cut) / 2);
    /* One letter of the modulus: OpenSSL reads it all the same. */
    AUTO_FREE char *letter = xstrdup(RFC_PKCS1);
    char *at = letter + strlen(letter) / 8;
    *at = *at == 'A' ? 'B' : 'A';
    AUTO_STRBUF twice = STRBUF_INIT, coded = STRBUF_INIT;
    encode_base64(&coded, RFC_PKCS1, strlen(RFC_PKCS1));
    encode_base64(&twice, strbuf_str(&coded), coded.len);
    AUTO_FREE char *other_end = replace(RFC_PKCS8, "END PRIVATE", "END RSA PRIVATE"),
                   *no_end = replace(RFC_PKCS8, "-----END", "----END");
    const struct {
        const char *pem, *why;
    } cases[] = {
        { "", "the key is not a private key in PEM form" },
        { "ghp_something", "is not a private key in PEM form" },
        { "/home/me/key.pem", "is not a private key in PEM form" },
        { half, "is a damaged private key" },
        { letter, "is a damaged private key" },
        { other_end, "is a damaged private key" },
        { strbuf_str(&twice), "is not a private key in PEM form" },
        { no_end, "is a damaged private key" },
        { "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "is a damaged private key" },
        { "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "is an SSH key" },
        { "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is a public key" },
        { "-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "is a public key" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is a certificate" },
    };
    AUTO_ERROR err = { 0 };
    struct rsa_key *key = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ASSERT_FAILS(rsa_key_read(cases[i].pem, strlen(cases[i].pem), "the key", &key, &err), &err, cases[i].why);
        ck_assert_ptr_null(key);
    }
    static const char wide[] = "-\0-\0-\0-\0-\0B\0E\0G\0I\0N\0";
    ASSERT_FAILS(rsa_key_read(wide, sizeof(wide), "the key", &key, &err), &err, "the key is UTF-16");
}
END_TEST

/* A key as OpenSSL writes it; cipher and passphrase, or NULL. Owned. */
static char *write_key(EVP_PKEY *pkey, bool pkcs1, const char *passphrase)
{
    BIO *bio = must(BIO_new(BIO_s_mem()));
    char *bytes;
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    int n = passphrase ? (int)strlen(passphrase) : 0;
    const unsigned char *words = (const unsigned char *)passphrase;
    ck_assert_int_eq(pkcs1 ? PEM_write_bio_PrivateKey_traditional(bio, pkey, cipher, words, n, NULL, NULL)
                           : PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, passphrase, n, NULL, NULL),
                     1);
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = xstrndup(bytes, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return text;
}

START_TEST(keys_refused)
{
    AUTO_FREE char *small = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), true, NULL);
    AUTO_FREE char *odd = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2040), false, NULL);
    AUTO_FREE char *curve = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), true, NULL);
    AUTO_FREE char *edwards = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false, NULL);
    AUTO_FREE char *locked1 = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), true, "open sesame");
    AUTO_FREE char *locked8 = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), false, "open sesame");
    const struct {
        const char *pem, *why, *hint;
    } cases[] = {
        { small, "the key has 1024 bits: at least 2048 are safe", NULL },
        { odd, "has 2040 bits", NULL },
        { curve, "is of the kind EC, not RSA", NULL },
        { edwards, "is of the kind ED25519, not RSA", NULL },
        { locked1, "has a passphrase", "openssl pkey" },
        { locked8, "has a passphrase", "openssl pkey" },
    };
    struct rsa_key *key = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR err = { 0 };
        ck_assert(!rsa_key_read(cases[i].pem, strlen(cases[i].pem), "the key", &key, &err));
        ck_assert_msg(strstr(err.message, cases[i].why) != NULL, "%s", err.message);
        ck_assert_int_eq(err.domain, ERROR_CONFIG);
        ck_assert_msg(!cases[i].hint || strstr(err.hint, cases[i].hint), "%s", err.hint);
    }
}
END_TEST

START_TEST(big_key)
{
    AUTO_FREE char *pem = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)4096), false, NULL);
    AUTO_FREE char *signature = sign(pem, "x");
    ck_assert_uint_eq(strlen(signature), 683); /* 512 bytes */
}
END_TEST

/* --- the App's own token ------------------------------------------------------------------------------------------ */

static char *part(const char *text)
{
    AUTO_STRBUF out = STRBUF_INIT;
    encode_base64url(&out, text, strlen(text));
    return strbuf_steal(&out);
}

START_TEST(web_token)
{
    AUTO_RSA_KEY *key = read_key(RFC_PKCS1);
    CLEANUP(secret_clear) struct secret jwt = { 0 };
    AUTO_FREE char *header = part("{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    AUTO_FREE char *claims = part("{\"iat\":1699999940,\"exp\":1700000540,\"iss\":\"Iv23liExample\"}");
    AUTO_FREE char *text = xasprintf("%s.%s", header, claims);
    AUTO_FREE char *signature = sign(RFC_PKCS1, text), *want = xasprintf("%s.%s", text, signature);
    github_app_jwt(key, "Iv23liExample", 1700000000, &jwt);
    ck_assert_str_eq(jwt.value, want);
    ck_assert_ptr_null(strpbrk(jwt.value, "+/="));
}
END_TEST

/* --- settings ----------------------------------------------------------------------------------------------------- */

static char path[] = "/tmp/mayfly-check-app.XXXXXX";

static void make_file(void)
{
    static const char pem[] = RFC_PKCS8;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, pem, sizeof(pem) - 1), (ssize_t)sizeof(pem) - 1);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

START_TEST(settings)
{
    static const char none[] = "X";
    const struct {
        const char *const *env;
        struct github_settings flags;
        const char *why, *hint; /* NULL: it is taken */
    } cases[] = {
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1), { "o/r", NULL, "Iv23li.x-1_2", NULL }, NULL, NULL },
        { ENV("INPUT_APP-KEY", RFC_PKCS1), { "o", NULL, "4711", NULL }, NULL, NULL },
        { ENV("INPUT_APP_KEY", RFC_PKCS1), { "o/r", NULL, "4711", NULL }, NULL, NULL },
        { ENV("INPUT_APP_KEY", RFC_PKCS1, "MAYFLY_APP_KEY", "bad"), { "o/r", NULL, "4711", NULL }, NULL, NULL },
        { ENV("MAYFLY_APP_KEY", "bad"), { "o/r", NULL, "4711", path }, NULL, NULL }, /* a file wins */
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1, "GITHUB_TOKEN", "t"), { "o/r", NULL, "4711", NULL }, NULL, NULL },
        { ENV("MAYFLY_APP_KEY", "", "MAYFLY_GITHUB_TOKEN", ""),
          { "o/r", "", "4711", NULL },
          "--app-id without the GitHub App's private key",
          "MAYFLY_APP_KEY" },
        { ENV("MAYFLY_APP_KEY", "bad"),
          { "o/r", NULL, "4711", NULL },
          "the GitHub App's key from MAYFLY_APP_KEY is not a private key in PEM form",
          "Generate a private key" },
        { ENV("INPUT_APP-KEY", "bad"), { "o/r", NULL, "4711", NULL }, "from INPUT_APP-KEY is no", "Generate" },
        { ENV(none, none), { "o/r", NULL, "4711", "/nonexistent/key" }, "No such file", "--app-key-file" },
        { ENV(none, none), { "o/r", NULL, "4711", "/tmp" }, "directory", "--app-key-file" },
        { ENV(none, none), { "o/r", NULL, "4711", "/dev/null" }, "in `/dev/null` is not a private key", "Generate" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1),
          { "o/r", NULL, "47 11", NULL },
          "--app-id: `47 11` is neither a client ID nor an app ID",
          "settings page" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1, "MAYFLY_GITHUB_TOKEN", "t"),
          { "o/r", NULL, "4711", NULL },
          "both a GitHub App (--app-id) and a token (MAYFLY_GITHUB_TOKEN) are given",
          "use only one" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1, "INPUT_GITHUB-TOKEN", "t"),
          { "o/r", NULL, "4711", NULL },
          "a token (INPUT_GITHUB-TOKEN)",
          "use only one" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1),
          { "o/r", "/some/file", "4711", NULL },
          "a token (--github-token-file)",
          "use only one" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1, "GITHUB_TOKEN", "t"),
          { "o/r", NULL, NULL, NULL },
          "a GitHub App's key (MAYFLY_APP_KEY) without the App's ID",
          "--app-id" },
        { ENV("GITHUB_TOKEN", "t"), { "o/r", NULL, "", "/some/key" }, "key (--app-key-file) without", "--app-id" },
        { ENV("MAYFLY_APP_KEY", RFC_PKCS1),
          { "enterprises/acme", NULL, "4711", NULL },
          "a GitHub App cannot manage the runners of an enterprise (enterprises/acme)",
          "manage_runners:enterprise" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR err = { 0 };
        struct github_config c = { 0 };
        environment = cases[i].env;
        bool ok = github_config_load(&cases[i].flags, fake_getenv, &c, &err);
        ck_assert_msg(ok == !cases[i].why, "%zu: %s", i, ok ? "taken" : err.message);
        if (ok) {
            ck_assert_str_eq(c.app_id, cases[i].flags.app_id);
            ck_assert_ptr_nonnull(c.app_key);
            ck_assert(!secret_is_set(&c.token));
            github_config_clear(&c);
            continue;
        }
        ck_assert_int_eq(err.domain, ERROR_CONFIG);
        ck_assert_msg(strstr(err.message, cases[i].why) != NULL, "%zu: %s", i, err.message);
        ck_assert_msg(err.hint && strstr(err.hint, cases[i].hint), "%zu: %s", i, err.hint ? err.hint : "no hint");
    }
}
END_TEST

/* An endpoint that fails is asked less and less often. */
START_TEST(pauses)
{
    static const int64_t want[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    int64_t pause = 0;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        pause = github_app_pause(pause);
        ck_assert_int_eq(pause, want[i]);
    }
}
END_TEST

static TCase *all(void)
{
    TCase *t = tcase_create("app");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, make_file, remove_file);
    tcase_add_test(t, known_answer);
    tcase_add_loop_test(t, keys_of_other_line_breaks, 0, 15);
    tcase_add_test(t, no_key);
    tcase_add_test(t, keys_refused);
    tcase_add_test(t, big_key);
    tcase_add_test(t, web_token);
    tcase_add_test(t, settings);
    tcase_add_test(t, pauses);
    return t;
}

int main(void)
{
    TCase *(*const cases[])(void) = { all };
    return run_suite("app", cases, ARRAY_SIZE(cases));
}
