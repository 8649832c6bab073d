/* What the agent of a baked image reads from the instance metadata service. It is one file, so it is included. */
#include "fuzz.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
int agent_main(int argc, char *argv[]);
#define main agent_main
#include "../../src/agent/agent.c" /* NOLINT(bugprone-suspicious-include) */
#undef main
#pragma clang diagnostic pop

static void read_json(const char *text)
{
    char value[32] = "before";
    if (json_string(text, "time", value, sizeof(value)))
        HOLDS(*value && is_plain(value, strlen(value)) && strlen(value) < sizeof(value));
    else
        HOLDS(str_eq(value, "before"));
}

static void read_endpoint(const char *text)
{
    struct sockaddr_in to = { .sin_family = AF_UNIX };
    HOLDS(endpoint_parse(text, &to) == (to.sin_family == AF_INET));
    HOLDS(to.sin_family != AF_INET || to.sin_port != 0);
}

void fuzz_agent(struct input *in)
{
    size_t len;
    AUTO_FREE char *text = fuzz_part(in, &len);
    struct answer whole = { .status = -1 }, piece;
    enum http at_end = http_parse(text, len, true, &whole);
    HOLDS(at_end != HTTP_MORE);
    if (at_end == HTTP_DONE) {
        HOLDS(whole.status >= 100 && whole.status <= 599 && whole.len <= BODY_MAX);
        HOLDS(whole.body >= text && whole.body + whole.len <= text + len);
    }
    HOLDS(at_end == HTTP_DONE || whole.status == -1);
    /* However the bytes come, the end is the same. */
    enum http state = HTTP_MORE;
    for (size_t n = 0; n <= len && state == HTTP_MORE; n++) {
        char *cut = must(malloc(n + 1));
        memcpy(cut, text, n);
        cut[n] = '\0';
        state = http_parse(cut, n, false, &piece);
        HOLDS(state != HTTP_DONE || (at_end == HTTP_DONE && piece.status == whole.status));
        free(cut);
    }
    HOLDS(state != HTTP_BAD || at_end == HTTP_BAD);
    read_json(at_end == HTTP_DONE ? whole.body : text);
    read_endpoint(text);
}
