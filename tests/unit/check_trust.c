/* Which configuration files are trusted: real files, links and directories. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mayfly/util/strbuf.h"
#include "mayfly/util/trust.h"
#include "testing.h"

static char base[] = "/tmp/check_trust_XXXXXX";

static void file(const char *path, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert(fd >= 0 && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void directory(const char *path, mode_t mode)
{
    ck_assert(mkdir(path, 0700) == 0 && chmod(path, mode) == 0);
}

/* home/mayfly.ini is what a user has; repo/ is a work tree; ws/ is what some variable names. */
static void setup(void)
{
    static const struct {
        const char *link, *target;
    } links[] = { { "home/to-repo", "../repo/sub/m.ini" },
                  { "home/to-ws", "../ws/m.ini" },
                  { "ws/out", "../home/m.ini" },
                  { "ws/dir", "../home" },
                  { "home/chain", "to-chain" },
                  { "home/to-chain", "../ws/out" },
                  { "home/self", "self" },
                  { "repo/sub/out", "../../home/m.ini" },
                  { "home/none", "nowhere" },
                  { "home/own", "./../home/m.ini" },
                  { "ws-link", "ws" } };
    ck_assert(mkdtemp(base) && chmod(base, 0711) == 0 && chdir(base) == 0);
    umask(077);
    directory("home", 0755);
    directory("repo", 0755);
    directory("repo/.git", 0755);
    directory("repo/sub", 0755);
    directory("tree", 0755);
    file("tree/.git", 0644); /* of `git worktree` and submodules */
    directory("ws", 0755);
    directory("ws-other", 0755);
    directory("open", 0777);
    directory("shared", 0775);
    directory("sticky", 01777);
    file("home/m.ini", 0644);
    file("home/group.ini", 0664);
    file("home/all.ini", 0646);
    file("repo/sub/m.ini", 0644);
    file("tree/m.ini", 0644);
    file("ws/m.ini", 0644);
    file("ws-other/m.ini", 0644);
    file("open/m.ini", 0644);
    file("shared/m.ini", 0644);
    file("sticky/m.ini", 0644);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        ck_assert(symlink(links[i].target, links[i].link) == 0);
    ck_assert(mkfifo("home/fifo", 0600) == 0);
}

static int remove_one(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

static void teardown(void)
{
    ck_assert(chdir("/") == 0 && nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static const struct {
    const char *const *env;        /* values that begin with a / are below the base */
    const char *cwd, *path, *want; /* want: part of the doubt, or NULL */
} cases[] = {
    { ENV(NULL), "", "home/m.ini", NULL },
    { ENV(NULL), "home", "m.ini", NULL },
    { ENV(NULL), "home", "./../home//m.ini", NULL },
    { ENV(NULL), "", "home/own", NULL },
    { ENV(NULL), "", "sticky/m.ini", NULL },
    { ENV(NULL), "", "/etc/passwd", NULL },
    { ENV(NULL), "", "home/nothing", "cannot be found" },
    { ENV(NULL), "", "home/none", "cannot be found" },
    { ENV(NULL), "", "home/self", "links cannot be followed" },
    /* Work trees. */
    { ENV(NULL), "", "repo/sub/m.ini", "repo/.git" },
    { ENV(NULL), "repo/sub", "m.ini", "repo/.git" },
    { ENV(NULL), "", "tree/m.ini", "tree/.git" },
    { ENV(NULL), "", "home/to-repo", "repo/.git" },
    { ENV(NULL), "", "repo/sub/out", "repo/.git" },
    { ENV(NULL), "", "repo/../home/m.ini", NULL },
    /* Rights. */
    { ENV(NULL), "", "home/group.ini", "it can be written by its group" },
    { ENV(NULL), "", "home/all.ini", "it can be written by everybody" },
    { ENV(NULL), "", "open/m.ini", "its directory can be written by everybody" },
    { ENV(NULL), "", "shared/m.ini", "its directory can be written by its group" },
    /* Workspaces, by what names them. */
    { ENV(NULL), "", "ws/m.ini", NULL },
    { ENV("GITHUB_WORKSPACE", "/ws"), "", "ws/m.ini", "it is in $GITHUB_WORKSPACE" },
    { ENV("CI_PROJECT_DIR", "/ws"), "", "ws/m.ini", "it is in $CI_PROJECT_DIR" },
    { ENV("WORKSPACE", "/ws"), "", "ws/m.ini", "it is in $WORKSPACE" },
    { ENV("BUILDKITE_BUILD_CHECKOUT_PATH", "/ws"), "", "ws/m.ini", "BUILDKITE" },
    { ENV("BUILD_SOURCESDIRECTORY", "/ws"), "", "ws/m.ini", "BUILD_SOURCES" },
    { ENV("CIRCLE_WORKING_DIRECTORY", "~/ws", "HOME", "/"), "", "ws/m.ini", "CIRCLE" },
    { ENV("BITBUCKET_CLONE_DIR", "/ws-link"), "", "ws/m.ini", "BITBUCKET" },
    { ENV("WORKSPACE", "/ws"), "", "ws-link/m.ini", "it is in $WORKSPACE" },
    { ENV("WORKSPACE", "/ws"), "", "home/to-ws", "it is in $WORKSPACE" },
    { ENV("WORKSPACE", "/ws"), "", "ws/out", "it is in $WORKSPACE" },
    { ENV("WORKSPACE", "/ws"), "", "ws/dir/m.ini", "it is in $WORKSPACE" },
    { ENV("WORKSPACE", "/ws"), "", "home/chain", "it is in $WORKSPACE" },
    { ENV("WORKSPACE", "/ws"), "", "ws-other/m.ini", NULL }, /* whose name begins the same */
    { ENV("WORKSPACE", "/ws"), "ws", "../home/m.ini", NULL },
    { ENV("WORKSPACE", ""), "", "ws/m.ini", NULL },
    { ENV("WORKSPACE", "/nowhere"), "", "ws/m.ini", NULL },
    { ENV("GITHUB_WORKSPACE", "/nowhere"), "", "ws/m.ini", "GITHUB_WORKSPACE" }, /* of a runner's other mount */
    /* The current directory, in a job of any CI. */
    { ENV("CI", "true"), "home", "m.ini", "it is in the current directory, and $CI is set" },
    { ENV("CI", "true"), "ws", "../home/m.ini", NULL },
    { ENV("CI", "false"), "home", "m.ini", NULL },
    { ENV("CI", ""), "home", "m.ini", NULL },
    { ENV("JENKINS_URL", "x"), "home", "m.ini", "JENKINS_URL" },
};

START_TEST(doubts)
{
    AUTO_STRLIST env = { 0 };
    AUTO_FREE const char **pointers = xcalloc(9, sizeof(*pointers));
    for (size_t i = 0; cases[_i].env[i]; i++) {
        const char *value = cases[_i].env[i];
        AUTO_FREE char *below = *value == '/' ? xasprintf("%s%s", base, value) : xstrdup(value);
        strlist_add(&env, below);
    }
    for (size_t i = 0; i < env.n; i++)
        pointers[i] = env.v[i];
    environment = pointers;
    ck_assert(chdir(base) == 0 && (*cases[_i].cwd == '\0' || chdir(cases[_i].cwd) == 0));
    AUTO_FREE char *got = trust_doubt(cases[_i].path, fake_getenv);
    AUTO_FREE char *whole = cases[_i].cwd[0] || cases[_i].path[0] == '/' ? xstrdup(cases[_i].path)
                                                                         : xasprintf("%s/%s", base, cases[_i].path);
    AUTO_FREE char *again = trust_doubt(whole, fake_getenv); /* absolute or not is the same */
    ck_assert_pstr_eq(got, again);
    ck_assert_msg(!got == !cases[_i].want && (!got || strstr(got, cases[_i].want)), "%s: %s", cases[_i].path,
                  got ? got : "(none)");
}
END_TEST

/* Only root can give files away. */
START_TEST(other_users)
{
    environment = ENV(NULL);
    if (geteuid() != 0)
        return;
    file("home/theirs.ini", 0644);
    ck_assert(chown("home/theirs.ini", 65534, 0) == 0);
    AUTO_FREE char *theirs = trust_doubt("home/theirs.ini", fake_getenv);
    ck_assert_pstr_eq(theirs, "it belongs to user 65534");
    ck_assert(chown("shared", 65534, 0) == 0);
    AUTO_FREE char *in_theirs = trust_doubt("shared/m.ini", fake_getenv);
    ck_assert_pstr_eq(in_theirs, "its directory belongs to user 65534");
    ck_assert(chown("home/m.ini", 65534, 0) == 0 && seteuid(65534) == 0);
    ck_assert_ptr_null(trust_doubt("home/m.ini", fake_getenv)); /* its own, in one of root */
    ck_assert(seteuid(0) == 0);
}
END_TEST

START_TEST(pipes)
{
    int ends[2];
    environment = ENV(NULL);
    ck_assert(pipe(ends) == 0);
    AUTO_FREE char *path = xasprintf("/dev/fd/%d", ends[0]);
    AUTO_FREE char *doubt = trust_doubt(path, fake_getenv);
    ck_assert_msg(doubt && strstr(doubt, "cannot be found"), "%s", doubt);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static TCase *all_cases(void)
{
    TCase *t = tcase_create("trust");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, doubts, 0, (int)ARRAY_SIZE(cases));
    tcase_add_test(t, other_users);
    tcase_add_test(t, pipes);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { all_cases };
    return run_suite("trust", all, ARRAY_SIZE(all));
}
