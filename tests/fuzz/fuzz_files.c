/* What lies on this machine: settings of AWS and GitHub, tokens, keys; and what a console showed. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/aws/creds_provider.h"
#include "fuzz.h"
#include "mayfly/github/auth.h"
#include "mayfly/net/url.h"
#include "mayfly/runner/bake.h"
#include "mayfly/runner/launch.h"
#include "mayfly/util/token.h"

/* The next part of the input as a file; to be closed. */
struct file {
    int fd;
    char path[32];
};

static struct file file_make(struct input *in)
{
    size_t len;
    AUTO_FREE char *bytes = fuzz_part(in, &len);
    struct file f = { .fd = memfd_create("fuzz", MFD_CLOEXEC) };
    HOLDS(f.fd >= 0 && write(f.fd, bytes, len) == (ssize_t)len);
    snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
    return f;
}

/* Can it stand in a header? */
static bool is_plain(const char *s)
{
    for (; s && *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

static void check_url(const char *url)
{
    AUTO_ERROR err = { 0 };
    AUTO_URL u = { 0 };
    HOLDS(url_parse(url, "it", &u, &err) && url_is_safe(&u));
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static const struct file *config_file, *credentials_file;

static const char *aws_getenv(const char *name)
{
    if (str_eq(name, "AWS_CONFIG_FILE"))
        return config_file->path;
    if (str_eq(name, "AWS_SHARED_CREDENTIALS_FILE"))
        return credentials_file->path;
    return fuzz_getenv(name);
}

/* The config file, the credentials file, NAME=VALUE lines of the environment. */
void fuzz_aws_config(struct input *in)
{
    static const char *const services[AWS_SERVICES] = { "ec2", "ssm", "sts", "sso", "sso_oidc" };
    const struct file config = file_make(in), credentials = file_make(in);
    AUTO_STRLIST env = fuzz_lines(in), warnings = { 0 };
    AUTO_ERROR err = { 0 };
    struct aws_config c;
    fuzz_environment = &env;
    config_file = &config;
    credentials_file = &credentials;
    const struct aws_flags flags = { .profile = fuzz_getenv("PROFILE"), .region = fuzz_getenv("REGION") };
    fuzz_fill(&c, sizeof(c));
    bool ok = aws_config_load(&flags, aws_getenv, &c, &warnings, &err);
    fuzz_outcome(ok, &err);
    HOLDS(ok || fuzz_is_filled(&c, sizeof(c)));
    for (size_t i = 0; ok && i < AWS_SERVICES; i++) {
        AUTO_FREE char *url = aws_endpoint(&c, services[i], c.region ? c.region : "us-east-1");
        check_url(url);
    }
    if (ok)
        aws_config_clear(&c);
    close(config.fd);
    close(credentials.fd);
}

/* The token file, the key file, NAME=VALUE lines of the environment, of which FILE says which files are given. */
void fuzz_github_config(struct input *in)
{
    const struct file token = file_make(in), key = file_make(in);
    AUTO_STRLIST env = fuzz_lines(in);
    AUTO_ERROR err = { 0 };
    struct github_config c;
    fuzz_environment = &env;
    const char *given = fuzz_getenv("FILE") ? fuzz_getenv("FILE") : "";
    const struct github_settings settings = { .repo = fuzz_getenv("REPO"),
                                              .token_file = strchr(given, 't') ? token.path : NULL,
                                              .app_id = fuzz_getenv("APP"),
                                              .app_key_file = strchr(given, 'k') ? key.path : NULL };
    fuzz_fill(&c, sizeof(c));
    bool ok = github_config_load(&settings, fuzz_getenv, &c, &err);
    fuzz_outcome(ok, &err);
    HOLDS(ok || fuzz_is_filled(&c, sizeof(c)));
    if (ok) {
        check_url(c.api_url);
        HOLDS(c.path[0] == '/' && is_plain(c.path) && !str_ends(c.api_url, "/"));
        HOLDS(c.token.value ? *c.token.value && is_plain(c.token.value) : c.app_id && c.app_key);
        github_config_clear(&c);
    }
    close(token.fd);
    close(key.fd);
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

/* What `aws sso login` wrote. */
void fuzz_aws_sso(struct input *in)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF json = STRBUF_INIT;
    const char *token = "before";
    strbuf_add(&json, in->at, (size_t)(in->end - in->at));
    bool ok = creds_sso_token(&json, "main", env_now(&fuzz_env) / 1000, &arena, &token, &err);
    HOLDS(ok ? *token && is_plain(token) : str_eq(token, "before"));
    fuzz_outcome(ok, &err);
}

/* Of a web identity or a container. */
void fuzz_aws_token(struct input *in)
{
    const struct file f = file_make(in);
    for (int form = TOKEN_WORD; form <= TOKEN_LINE; form++) {
        AUTO_SECRET token = { 0 };
        AUTO_ERROR err = { 0 };
        bool ok = token_read(f.path, (enum token_form)form, "the token", &token, &err);
        HOLDS(ok == secret_is_set(&token));
        HOLDS(!ok || form == TOKEN_LINE || token_is_word(token.value));
        HOLDS(!ok || !strpbrk(token.value, "\r\n"));
        HOLDS(ok || err.hint);
        fuzz_outcome(ok, &err);
    }
    close(f.fd);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* A key that is no secret and always the same: of two primes that RFC 2409 and RFC 3526 publish. */
static EVP_PKEY *make_key(void)
{
    BIGNUM *p = BN_get_rfc2409_prime_1024(NULL), *q = BN_get_rfc3526_prime_1536(NULL), *e = BN_new(), *n = BN_new();
    BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new(), *d = BN_new(), *dp = BN_new(), *dq = BN_new();
    BIGNUM *qi = BN_new();
    BN_CTX *bn = BN_CTX_new();
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    BN_set_word(e, 65537);
    BN_sub_word(p1, 1);
    BN_sub_word(q1, 1);
    BN_mul(n, p, q, bn);
    BN_mul(phi, p1, q1, bn);
    BN_mod_inverse(d, e, phi, bn);
    BN_mod(dp, d, p1, bn);
    BN_mod(dq, d, q1, bn);
    BN_mod_inverse(qi, q, p, bn);
    const struct {
        const char *name;
        BIGNUM *value;
    } numbers[] = {
        { OSSL_PKEY_PARAM_RSA_N, n },          { OSSL_PKEY_PARAM_RSA_E, e },
        { OSSL_PKEY_PARAM_RSA_D, d },          { OSSL_PKEY_PARAM_RSA_FACTOR1, p },
        { OSSL_PKEY_PARAM_RSA_FACTOR2, q },    { OSSL_PKEY_PARAM_RSA_EXPONENT1, dp },
        { OSSL_PKEY_PARAM_RSA_EXPONENT2, dq }, { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, qi },
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        OSSL_PARAM_BLD_push_BN(build, numbers[i].name, numbers[i].value);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    HOLDS(EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) == 1);
    BIGNUM *const all[] = { n, e, d, p, q, dp, dq, qi, p1, q1, phi };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        BN_free(all[i]);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_CTX_free(bn);
    return key;
}

/* PKCS#1 and PKCS#8, made once. */
static const struct strbuf *pem_of(bool pkcs8)
{
    static struct strbuf pems[2] = { STRBUF_INIT, STRBUF_INIT };
    struct strbuf *pem = &pems[pkcs8];
    if (pem->len > 0)
        return pem;
    EVP_PKEY *key = make_key();
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    HOLDS((pkcs8 ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                 : PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL)) == 1);
    long len = BIO_get_mem_data(bio, &bytes);
    strbuf_add(pem, bytes, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

/* The first byte: `r` what follows is the file; else a PKCS#1 (even) or PKCS#8 key, with the line breaks that the next
 * byte says, of which each following three bytes, a place and a byte, change one. */
static void write_key(struct input *in, struct strbuf *out)
{
    static const char *const breaks[] = { "\n", "\r\n", "\\n", "\\r\\n" };
    unsigned char form = fuzz_byte(in);
    if (form == 'r') {
        strbuf_add(out, in->at, (size_t)(in->end - in->at));
        return;
    }
    const char *line = breaks[fuzz_byte(in) % ARRAY_SIZE(breaks)];
    const struct strbuf *pem = pem_of(form & 1);
    for (size_t i = 0; i < pem->len; i++)
        if (pem->data[i] == '\n')
            strbuf_adds(out, line);
        else
            strbuf_addc(out, pem->data[i]);
    while (in->at + 2 < in->end) {
        size_t place = (size_t)fuzz_byte(in) << 8;
        place |= fuzz_byte(in);
        out->data[place % out->len] = (char)fuzz_byte(in);
    }
}

/* What it signs, its own public part verifies. */
static void check_signature(const struct rsa_key *key, const struct strbuf *pem)
{
    AUTO_STRBUF text = STRBUF_INIT, signature = STRBUF_INIT;
    for (size_t i = 0; i < pem->len; i++)
        if (pem->data[i] != '\\' || i + 1 == pem->len || (pem->data[i + 1] != 'n' && pem->data[i + 1] != 'r'))
            strbuf_addc(&text, pem->data[i]);
        else if (pem->data[++i] == 'n')
            strbuf_addc(&text, '\n');
    BIO *bio = BIO_new_mem_buf(strbuf_str(&text), (int)text.len);
    EVP_PKEY *own = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    rsa_sign(key, "it", 2, &signature);
    HOLDS(own && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, own) == 1);
    HOLDS(EVP_DigestVerify(ctx, (unsigned char *)signature.data, signature.len, (const unsigned char *)"it", 2) == 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(own);
    BIO_free(bio);
}

void fuzz_rsa(struct input *in)
{
    AUTO_STRBUF pem = STRBUF_INIT;
    AUTO_RSA_KEY *key = NULL;
    AUTO_ERROR err = { 0 };
    write_key(in, &pem);
    bool ok = rsa_key_read(strbuf_str(&pem), pem.len, "the key", &key, &err);
    HOLDS(ok == (key != NULL));
    HOLDS(ok || strlen(err.message) < 100); /* too little to hold some of it */
    fuzz_outcome(ok, &err);
    if (ok)
        check_signature(key, &pem);
}

/* --- consoles ----------------------------------------------------------------------------------------------------- */

static void tell_nobody(void *ctx UNUSED, const char *who, const char *what)
{
    HOLDS(!str_empty(who) && !strchr(what, '\n'));
}

/* What a bake makes of it. The first byte says whose. */
static void follow(struct input *in, const char *console)
{
    static const struct strlist no_groups;
    static struct cell cell = { .region = "r", .subnet = "s", .type = "m7i.large", .security_groups = &no_groups };
    static const struct plan plan = { .cells = &cell, .n = 1 };
    static const struct bake_config config = { .name = "x",
                                               .fleet = "o/r",
                                               .nonce = "0123",
                                               .image = { .region = "r", .name = "n" },
                                               .plan = &plan,
                                               .smoke = true,
                                               .tell = tell_nobody };
    AUTO_ERROR err = { 0 };
    struct bake b;
    enum bake_role role = fuzz_byte(in) % BAKE_BOXES;
    struct bake_box *x = &b.boxes[role];
    bake_init(&b, &config);
    x->pair.instance = INSTANCE_HAVE;
    x->state = EC2_STOPPED;
    x->off_at = 1;
    const struct event e = { .act = ACT_CONSOLE, .who = role, .outcome = OUTCOME_OK, .text = console, .now = 2 };
    bake_box_answer(x, &e);
    size_t told = x->told.n;
    bake_box_answer(x, &e);
    HOLDS(x->told.n == told); /* each once */
    enum box_state state = bake_box_judge(x, 2, &err);
    HOLDS((state == BOX_FAILED) == (err.domain != ERROR_NONE));
    HOLDS(state != BOX_DONE || strstr(console, "0123"));
    fuzz_outcome(state != BOX_FAILED, &err);
    bake_clear(&b);
}

void fuzz_console(struct input *in)
{
    struct input role = { in->at, in->end };
    (void)fuzz_byte(in);
    AUTO_FREE char *console = fuzz_part(in, NULL);
    AUTO_FREE char *phase = launch_console_phase(console);
    AUTO_FREE char *failure = launch_console_failure(console);
    HOLDS(!phase || (strstr(console, phase) && !strchr(phase, '\n')));
    HOLDS(!failure || (strstr(console, failure) && !strchr(failure, '\n')));
    follow(&role, console);
}
