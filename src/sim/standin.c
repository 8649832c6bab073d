/* `mayfly-sim runner`: stands in for the GitHub Actions runner inside an instance. It reads the just-in-time
 * configuration as the real one does, goes online, runs the commands of one job, and exits. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standin.h"
#include "to_json.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { POLL_MS = 200, ANSWER_MAX = 1 << 20 };

struct standin {
    char *broker, *secret, *name;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static size_t take(char *bytes, size_t size, size_t n, void *ctx)
{
    strbuf_add(ctx, bytes, size * n);
    return size * n;
}

/* The HTTP status, or 0. */
static long ask(const struct standin *r, const char *what, const char *body, size_t len, struct strbuf *ret)
{
    AUTO_FREE char *url = xasprintf("%s%s", r->broker, what);
    AUTO_FREE char *authorization = xasprintf("Authorization: Bearer %s", r->secret);
    CURL *easy = must(curl_easy_init());
    struct curl_slist *headers = must(curl_slist_append(NULL, authorization));
    long status = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, ret);
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return status;
}

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *line = xvasprintf(fmt, ap);
    va_end(ap);
    printf("%s: %s\n", clock_rfc3339(env_now(&env_system) / 1000).s, line);
    fflush(stdout);
}

/* One file of the configuration: decoded, written beside run.sh, parsed. */
static bool take_file(struct json_object *files, const char *name, struct json_object **ret, struct error *err)
{
    struct json_object *member = NULL;
    AUTO_STRBUF text = STRBUF_INIT;
    const char *encoded = json_object_object_get_ex(files, name, &member) ? json_object_get_string(member) : "";
    if (*encoded == '\0' || !decode_base64(&text, encoded, strlen(encoded)))
        return error_set(err, ERROR_PARSE, 0, "%s is missing or no base64", name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len || close(fd) != 0)
        return error_errno(err, errno, "writing %s", name);
    return json_parse(strbuf_str(&text), text.len, name, ret, err);
}

static char *string_at(struct json_object *object, const char *key)
{
    struct json_object *member = NULL;
    return json_object_object_get_ex(object, key, &member) ? xstrdup(json_object_get_string(member)) : xstrdup("");
}

static bool configure(struct standin *r, struct error *err)
{
    const char *encoded = getenv("ACTIONS_RUNNER_INPUT_JITCONFIG");
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_JSON *files = NULL, *runner = NULL, *credentials = NULL, *rsa = NULL;
    struct json_object *data = NULL;
    if (str_empty(encoded) || !decode_base64(&text, encoded, strlen(encoded)))
        return error_set(err, ERROR_CONFIG, 0, "ACTIONS_RUNNER_INPUT_JITCONFIG is missing or no base64");
    unsetenv("ACTIONS_RUNNER_INPUT_JITCONFIG");
    if (!json_parse(strbuf_str(&text), text.len, "the configuration", &files, err) ||
        !take_file(files, ".runner", &runner, err) || !take_file(files, ".credentials", &credentials, err) ||
        !take_file(files, ".credentials_rsaparams", &rsa, err))
        return false;
    if (!json_object_object_get_ex(credentials, "Data", &data))
        return error_set(err, ERROR_PARSE, 0, ".credentials has no Data");
    r->broker = string_at(runner, "ServerUrlV2");
    r->name = string_at(runner, "AgentName");
    r->secret = string_at(data, "ClientId");
    return true;
}

/* Runs one command as GitHub runs a step, its output to the console and the job's log. */
static int run_command(const struct standin *r, const char *command)
{
    int out[2], status;
    char chunk[4096];
    ssize_t n;
    if (pipe2(out, O_CLOEXEC) != 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        execl("/bin/bash", "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    while ((n = read(out[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
        AUTO_STRBUF ignored = STRBUF_MAX(ANSWER_MAX);
        if (n < 0)
            continue;
        fwrite(chunk, 1, (size_t)n, stdout);
        fflush(stdout);
        ask(r, "log", chunk, (size_t)n, &ignored);
    }
    close(out[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool run_hook(const struct standin *r, const char *variable)
{
    const char *hook = getenv(variable);
    if (str_empty(hook))
        return true;
    AUTO_FREE char *command = xasprintf("exec bash -e \"$%s\"", variable);
    return run_command(r, command) == 0;
}

static void set_environment(const struct standin *r, struct json_object *job)
{
    struct pairs env = { 0 };
    AUTO_FREE char *repository = string_at(job, "repository"), *name = string_at(job, "name");
    AUTO_FREE char *run_id = string_at(job, "run_id");
    const char *const fixed[][2] = { { "CI", "true" },
                                     { "GITHUB_ACTIONS", "true" },
                                     { "GITHUB_REPOSITORY", repository },
                                     { "GITHUB_JOB", name },
                                     { "GITHUB_RUN_ID", run_id },
                                     { "RUNNER_NAME", r->name },
                                     { "RUNNER_OS", "Linux" },
                                     { "RUNNER_ENVIRONMENT", "self-hosted" } };
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        setenv(fixed[i][0], fixed[i][1], 1);
    pairs_take_json(&env, job, "env");
    for (size_t i = 0; i < env.n; i++)
        setenv(env.v[2 * i], env.v[2 * i + 1], 1);
    pairs_clear(&env);
}

static void run_job(const struct standin *r, struct json_object *job)
{
    struct json_object *commands = NULL;
    AUTO_FREE char *name = string_at(job, "name");
    AUTO_STRBUF ignored = STRBUF_MAX(ANSWER_MAX);
    say("Running job: %s", name);
    set_environment(r, job);
    bool ok = (mkdir("_work", 0755) == 0 || errno == EEXIST) && chdir("_work") == 0;
    ok = ok && run_hook(r, "ACTIONS_RUNNER_HOOK_JOB_STARTED");
    json_object_object_get_ex(job, "commands", &commands);
    for (size_t i = 0; ok && i < json_object_array_length(commands); i++)
        ok = run_command(r, json_object_get_string(json_object_array_get_idx(commands, i))) == 0;
    ok = run_hook(r, "ACTIONS_RUNNER_HOOK_JOB_COMPLETED") && ok;
    const char *result = ok ? "Succeeded" : "Failed";
    say("Job %s completed with result: %s", name, result);
    ask(r, "complete", result, strlen(result), &ignored);
}

static void work(const struct standin *r)
{
    bool listening = false;
    while (!interrupted) {
        AUTO_STRBUF answer = STRBUF_MAX(ANSWER_MAX);
        AUTO_ERROR err = { 0 };
        AUTO_JSON *job = NULL;
        long status = ask(r, listening ? "message" : "session", "", 0, &answer);
        if (status == 404) {
            puts("The runner no longer exists on the server. Cleaning up local configuration.");
            return;
        }
        if (status == 204 && !listening) {
            listening = true;
            puts("\xe2\x88\x9a Connected to GitHub\n\nCurrent runner version: '2.337.0'");
            say("Listening for Jobs");
            continue;
        }
        if (status == 200 && json_parse(strbuf_str(&answer), answer.len, "the job", &job, &err)) {
            run_job(r, job);
            return;
        }
        usleep(POLL_MS * 1000);
    }
    AUTO_STRBUF ignored = STRBUF_MAX(ANSWER_MAX);
    ask(r, "close", "", 0, &ignored);
    puts("Exiting...");
}

int standin_main(void)
{
    prctl(PR_SET_NAME, "Runner.Listener"); /* what the boot script looks for */
    AUTO_ERROR err = { 0 };
    struct standin r = { 0 };
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bool ok = configure(&r, &err);
    if (ok) {
        work(&r);
    } else {
        AUTO_FREE char *message = error_format(&err);
        printf("An error occurred: %s\n", message);
    }
    free(r.broker);
    free(r.secret);
    free(r.name);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
