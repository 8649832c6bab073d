/* Prints a GitHub App's own token as Mayfly signs it, for tests/contract/webtokens: KEY_FILE APP_ID SECONDS. Test only.
 */
#include <stdio.h>

#include "mayfly/github/app.h"
#include "mayfly/util/encode.h"

int main(int argc, char **argv)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF pem = STRBUF_INIT;
    AUTO_RSA_KEY *key = NULL;
    CLEANUP(secret_clear) struct secret jwt = { 0 };
    uint64_t now;
    if (argc != 4 || !parse_uint(argv[3], INT64_MAX / 2, &now))
        return 2;
    if (!strbuf_read_file(&pem, argv[1], "the key", &err) ||
        !rsa_key_read(strbuf_str(&pem), pem.len, "the key", &key, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    github_app_jwt(key, argv[2], (int64_t)now, &jwt);
    puts(jwt.value);
    secret_forget_all();
    return 0;
}
