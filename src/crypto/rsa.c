#include "mayfly/crypto/rsa.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "mayfly/util/encode.h"
#include "mayfly/util/text.h"

enum { BITS_MIN = 2048 };

struct rsa_key {
    EVP_PKEY *pkey;
};

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

void rsa_key_free(struct rsa_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

void rsa_key_free_pointer(struct rsa_key **key)
{
    rsa_key_free(STEAL(*key));
}

static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----", blanks[] = " \t\r\n";

/* Line breaks that were written as \n and \r become real ones: no PEM has a backslash of its own. */
static void restore_lines(const char *pem, size_t len, struct strbuf *out)
{
    for (size_t i = 0; i < len; i++) {
        char next = i + 1 < len ? pem[i + 1] : '\0';
        if (pem[i] != '\\' || (next != 'n' && next != 'r')) {
            strbuf_addc(out, pem[i]);
            continue;
        }
        if (next == 'n')
            strbuf_addc(out, '\n');
        i++;
    }
}

/* Where the title of the first private key begins, "-----BEGIN RSA PRIVATE KEY-----", and the length of its name; or
 * NULL: there may be certificates before it. */
static const char *find_title(const char *pem, size_t *ret_name)
{
    static const char kind[] = "PRIVATE KEY";
    for (const char *at = strstr(pem, begin); at; at = strstr(at + 1, begin)) {
        const char *name = at + strlen(begin), *close = strstr(name, dashes);
        *ret_name = close ? (size_t)(close - name) : 0;
        if (*ret_name >= strlen(kind) && str_starts(close - strlen(kind), kind))
            return at;
    }
    return NULL;
}

/* A key whose line breaks became blanks, or that is indented: rewritten, or left as it is where that cannot be. */
static void restore_layout(struct strbuf *pem)
{
    size_t name, column = 0;
    const char *title = find_title(strbuf_str(pem), &name);
    if (!title)
        return;
    AUTO_FREE char *last = xasprintf("%s%.*s%s", end, (int)name, title + strlen(begin), dashes);
    const char *body = title + strlen(begin) + name + strlen(dashes), *over = strstr(body, last);
    AUTO_STRBUF text = STRBUF_INIT;
    text.secret = true;
    if (!over || memchr(body, ':', (size_t)(over - body))) /* headers, of a key with a passphrase */
        return;
    strbuf_add(&text, title, (size_t)(body - title));
    for (; body < over; body++) {
        if (strchr(blanks, *body))
            continue;
        if (column++ % 64 == 0)
            strbuf_addc(&text, '\n');
        strbuf_addc(&text, *body);
    }
    strbuf_addf(&text, "\n%s\n", last);
    strbuf_clear(pem);
    strbuf_add(pem, text.data, text.len);
}

/* PEM as OpenSSL reads it, out of what people make of it to get it into one line of an environment: \n for line breaks,
 * blanks for line breaks, base64 of the whole. */
static void normalize(const char *given, size_t len, struct strbuf *out)
{
    AUTO_STRBUF decoded = STRBUF_INIT;
    decoded.secret = out->secret = true;
    restore_lines(given, len, out);
    if (!strstr(strbuf_str(out), begin) && decode_base64(&decoded, strbuf_str(out), out->len) &&
        strstr(strbuf_str(&decoded), begin)) {
        strbuf_clear(out);
        restore_lines(strbuf_str(&decoded), decoded.len, out);
    }
    restore_layout(out);
}

/* Called by OpenSSL for a key with a passphrase alone. */
static int no_passphrase(char *out UNUSED, int size UNUSED, int writing UNUSED, void *ctx)
{
    *(bool *)ctx = true;
    return -1;
}

/* What was given instead of a key: the first row whose words are in it. hint NULL: the caller knows where keys are. */
static const struct {
    const char *words, *message, *hint;
} others[] = {
    { "Proc-Type: 4,ENCRYPTED", "has a passphrase", "`openssl pkey -in KEY.pem -out PLAIN.pem` removes it" },
    { "BEGIN ENCRYPTED PRIVATE KEY", "has a passphrase", "`openssl pkey -in KEY.pem -out PLAIN.pem` removes it" },
    { "BEGIN OPENSSH PRIVATE KEY", "is an SSH key", NULL },
    { "BEGIN PUBLIC KEY", "is a public key", NULL },
    { "BEGIN RSA PUBLIC KEY", "is a public key", NULL },
    { "BEGIN CERTIFICATE", "is a certificate", NULL },
    { "PRIVATE KEY-----", "is a damaged private key",
      "give all of it, with its line breaks, from -----BEGIN to the end of -----END …-----" },
    { "", "is not a private key in PEM form", NULL },
};

static bool refuse(const char *pem, const char *what, struct error *err)
{
    size_t i = 0;
    while (!strstr(pem, others[i].words))
        i++;
    error_set(err, ERROR_CONFIG, 0, "%s %s", what, others[i].message);
    if (others[i].hint)
        error_hint(err, "%s", others[i].hint);
    return false;
}

static void free_digest(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static bool sign(EVP_PKEY *pkey, const void *bytes, size_t len, struct strbuf *out)
{
    CLEANUP(free_digest) EVP_MD_CTX *ctx = must(EVP_MD_CTX_new());
    size_t n = (size_t)EVP_PKEY_get_size(pkey);
    AUTO_FREE unsigned char *signature = xmalloc(n);
    if (EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) != 1 ||
        EVP_DigestSign(ctx, signature, &n, bytes, len) != 1)
        return false;
    strbuf_add(out, signature, n);
    return true;
}

/* OpenSSL reads any numbers: what one wrong letter in the middle makes of a key, GitHub alone would notice. */
static bool is_whole(EVP_PKEY *pkey)
{
    static const char text[] = "mayfly";
    CLEANUP(free_digest) EVP_MD_CTX *ctx = must(EVP_MD_CTX_new());
    AUTO_STRBUF signature = STRBUF_INIT;
    bool ok = sign(pkey, text, strlen(text), &signature) &&
              EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)signature.data, signature.len, (const unsigned char *)text,
                               strlen(text)) == 1;
    ERR_clear_error();
    return ok;
}

static bool check(const EVP_PKEY *pkey, const char *what, struct error *err)
{
    const char *kind = EVP_PKEY_get0_type_name(pkey);
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return error_set(err, ERROR_CONFIG, 0, "%s is of the kind %s, not RSA", what, kind ? kind : "unknown");
    if (EVP_PKEY_get_bits(pkey) < BITS_MIN)
        return error_set(err, ERROR_CONFIG, 0, "%s has %d bits: at least %d are safe", what, EVP_PKEY_get_bits(pkey),
                         BITS_MIN);
    return true;
}

bool rsa_key_read(const char *pem, size_t len, const char *what, struct rsa_key **ret, struct error *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    bool passphrase = false;
    if (!text_begin(&pem, &len, what, err))
        return false;
    normalize(pem, len, &text);
    const char *plain = strbuf_str(&text); /* may have come out of base64 */
    size_t plain_len = text.len;
    if (!text_begin(&plain, &plain_len, what, err))
        return false;
    CLEANUP(free_bio) BIO *bio = must(BIO_new_mem_buf(plain, (int)plain_len));
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &passphrase);
    ERR_clear_error();
    AUTO_RSA_KEY *key = xcalloc(1, sizeof(*key));
    key->pkey = pkey;
    if (!pkey)
        return refuse(passphrase ? others[0].words : plain, what, err);
    if (!check(pkey, what, err))
        return false;
    if (!is_whole(pkey))
        return refuse("PRIVATE KEY-----", what, err);
    *ret = STEAL(key);
    return true;
}

void rsa_sign(const struct rsa_key *key, const void *bytes, size_t len, struct strbuf *out)
{
    /* With a key that was checked, lack of memory is all that can go wrong. */
    if (!sign(key->pkey, bytes, len, out))
        oom();
}
