#include "mayfly/util/trust.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mayfly/util/home.h"
#include "mayfly/util/strbuf.h"

enum { LINKS_MAX = 40 }; /* as the kernel has it */

/* Where CI systems check out to: GitHub, GitLab, Jenkins (and Bazel), Buildkite, CircleCI, Azure Pipelines, Bitbucket,
 * Travis, Drone, Woodpecker, Cirrus, AppVeyor, Semaphore, TeamCity, Bamboo, CodeBuild, Tekton, Argo's default. */
static const char *const workspaces[] = { "GITHUB_WORKSPACE",
                                          "RUNNER_WORKSPACE",
                                          "CI_PROJECT_DIR",
                                          "WORKSPACE",
                                          "BUILDKITE_BUILD_CHECKOUT_PATH",
                                          "CIRCLE_WORKING_DIRECTORY",
                                          "BUILD_SOURCESDIRECTORY",
                                          "SYSTEM_DEFAULTWORKINGDIRECTORY",
                                          "PIPELINE_WORKSPACE",
                                          "BITBUCKET_CLONE_DIR",
                                          "TRAVIS_BUILD_DIR",
                                          "DRONE_WORKSPACE",
                                          "CI_WORKSPACE",
                                          "CIRRUS_WORKING_DIR",
                                          "APPVEYOR_BUILD_FOLDER",
                                          "SEMAPHORE_GIT_DIR",
                                          "TEAMCITY_BUILD_CHECKOUTDIR",
                                          "bamboo_build_working_directory",
                                          "CODEBUILD_SRC_DIR" };
/* One of these is set: it is a job of some CI system, so that the current directory may be a checkout. */
static const char *const jobs[] = { "CI",       "GITHUB_ACTIONS",     "JENKINS_URL",
                                    "TF_BUILD", "CODEBUILD_BUILD_ID", "TEAMCITY_VERSION" };
static const char *const marks[] = { ".git", ".hg", ".svn" };

static bool is_in(const char *file, const char *directory)
{
    size_t n = strlen(directory);
    return strncmp(file, directory, n) == 0 && (file[n] == '/' || n == 1);
}

/* The directory as it is, or NULL. */
static char *real_directory(const char *value, const char *(*getenv_fn)(const char *))
{
    AUTO_FREE char *home = value[0] == '~' ? home_directory(getenv_fn) : NULL; /* CircleCI */
    AUTO_FREE char *expanded = home ? xasprintf("%s%s", home, value + 1) : NULL;
    return realpath(expanded ? expanded : value, NULL);
}

static char *doubt_of_workspaces(const char *file, const char *(*getenv_fn)(const char *))
{
    for (size_t i = 0; i < ARRAY_SIZE(workspaces); i++) {
        const char *value = getenv_fn(workspaces[i]);
        AUTO_FREE char *directory = str_empty(value) ? NULL : real_directory(value, getenv_fn);
        if (directory ? is_in(file, directory) : !str_empty(value) && i == 0)
            return xasprintf("it is in $%s", workspaces[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
        const char *value = getenv_fn(jobs[i]);
        AUTO_FREE char *here = str_empty(value) || str_eq(value, "false") ? NULL : realpath(".", NULL);
        if (here && !str_eq(here, "/") && is_in(file, here))
            return xasprintf("it is in the current directory, and $%s is set", jobs[i]);
    }
    return NULL;
}

static bool is_of_root_in_etc(const char *file)
{
    struct stat st;
    return str_starts(file, "/etc/") && lstat(file, &st) == 0 && st.st_uid == 0;
}

static char *doubt_of_trees(const char *file)
{
    AUTO_FREE char *directory = xstrdup(file);
    if (is_of_root_in_etc(file))
        return NULL;
    for (char *slash; (slash = strrchr(directory, '/')) != NULL;) {
        *slash = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
            struct stat st;
            AUTO_FREE char *mark = xasprintf("%s/%s", directory, marks[i]);
            if (lstat(mark, &st) == 0)
                return xasprintf("it is in a work tree, there is %s", mark);
        }
    }
    return NULL;
}

static char *doubt_of_owner(const struct stat *st, const char *what)
{
    return st->st_uid == 0 || st->st_uid == geteuid() ? NULL : xasprintf("%s belongs to user %u", what, st->st_uid);
}

static char *doubt_of_writers(const struct stat *st, const char *what)
{
    if (!(st->st_mode & (S_IWGRP | S_IWOTH)))
        return NULL;
    return xasprintf("%s can be written by %s", what, st->st_mode & S_IWOTH ? "everybody" : "its group");
}

/* Who else may write the file or link, or put another one in its place? */
static char *doubt_of_rights(const char *file)
{
    struct stat st;
    struct statvfs fs;
    AUTO_FREE char *directory = xstrndup(file, (size_t)(strrchr(file, '/') - file));
    const char *in = *directory ? directory : "/";
    if (lstat(file, &st) != 0)
        return xasprintf("it cannot be looked at: %s", strerror(errno));
    char *doubt = doubt_of_owner(&st, "it");
    if (!doubt && !S_ISLNK(st.st_mode)) /* the mode of a link means nothing */
        doubt = doubt_of_writers(&st, "it");
    if (doubt || lstat(in, &st) != 0)
        return doubt;
    bool fixed = statvfs(in, &fs) == 0 && (fs.f_flag & ST_RDONLY);
    doubt = doubt_of_owner(&st, "its directory");
    if (!doubt && !fixed && !(st.st_mode & S_ISVTX))
        doubt = doubt_of_writers(&st, "its directory");
    return doubt;
}

/* A file or link, whose directory is resolved. */
static char *doubt_of_place(const char *file, const char *(*getenv_fn)(const char *))
{
    char *doubt = doubt_of_workspaces(file, getenv_fn);
    if (!doubt)
        doubt = doubt_of_trees(file);
    return doubt;
}

static void leave_last(struct strbuf *path)
{
    const char *slash = path->len ? strrchr(strbuf_str(path), '/') : NULL;
    strbuf_truncate(path, slash ? (size_t)(slash - path->data) : 0);
}

char *trust_doubt(const char *path, const char *(*getenv_fn)(const char *name))
{
    AUTO_STRBUF done = STRBUF_INIT; /* what is resolved: "" or "/a/b" */
    AUTO_FREE char *todo = NULL;
    AUTO_FREE char *here = path[0] == '/' ? xstrdup("") : realpath(".", NULL);
    if (!here)
        return xasprintf("the current directory cannot be found: %s", strerror(errno));
    todo = xasprintf("%s/%s", here, path);
    for (int links = 0; *todo;) {
        const char *name = todo + strspn(todo, "/");
        size_t n = strcspn(name, "/");
        AUTO_FREE char *rest = xstrdup(name + n);
        AUTO_FREE char *part = xstrndup(name, n);
        if (n == 0)
            break;
        if (str_eq(part, "..")) {
            leave_last(&done);
        } else if (!str_eq(part, ".")) {
            struct stat st;
            char target[PATH_MAX];
            strbuf_addf(&done, "/%s", part);
            if (lstat(strbuf_str(&done), &st) != 0)
                return xasprintf("it cannot be found: %s", strerror(errno));
            if (S_ISLNK(st.st_mode)) {
                ssize_t len = readlink(strbuf_str(&done), target, sizeof(target) - 1);
                char *doubt = doubt_of_place(strbuf_str(&done), getenv_fn);
                if (!doubt)
                    doubt = doubt_of_rights(strbuf_str(&done));
                if (doubt)
                    return doubt;
                if (len < 0 || ++links > LINKS_MAX)
                    return xstrdup("its links cannot be followed");
                target[len] = '\0';
                leave_last(&done);
                if (target[0] == '/')
                    strbuf_truncate(&done, 0);
                AUTO_FREE char *next = xasprintf("%s%s", target, rest);
                free(todo);
                todo = STEAL(next);
                continue;
            }
        }
        free(todo);
        todo = STEAL(rest);
    }
    char *doubt = doubt_of_place(strbuf_str(&done), getenv_fn);
    return doubt || done.len == 0 ? doubt : doubt_of_rights(strbuf_str(&done));
}
