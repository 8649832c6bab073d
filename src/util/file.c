#include "mayfly/util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mayfly/util/text.h"

/* Waits until fd is ready. False: FILE_WAIT_MS are over, and errno says so. */
static bool wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n = poll(&p, 1, FILE_WAIT_MS);
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0 || (n < 0 && errno == EINTR);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static const char *unreadable(mode_t mode)
{
    return S_ISREG(mode) || S_ISCHR(mode) || S_ISFIFO(mode) ? NULL
           : S_ISBLK(mode)                                  ? "is a disk"
           : S_ISSOCK(mode)                                 ? "is a socket"
                                                            : "is no file";
}

/* pipe: its writer may come later, and then the end of the file is none until there was one. */
static bool read_all(int fd, bool pipe, struct strbuf *sb, const char *path, const char *what, struct error *err)
{
    char chunk[4096];
    bool ok = false, began = !pipe;
    while (!ok) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if ((n < 0 && errno == EAGAIN) || (n == 0 && !began)) {
            began = wait_for(fd, POLLIN);
            if (began)
                continue;
            error_set(err, ERROR_CONFIG, 0, "%s `%s`: nothing was written to it for %d s", what, path,
                      FILE_WAIT_MS / 1000);
            break;
        }
        if (n < 0) {
            error_errno(err, errno, "reading %s `%s`", what, path);
            break;
        }
        ok = n == 0;
        began = true;
        strbuf_add(sb, chunk, (size_t)n);
        if (sb->overflow) {
            error_set(err, ERROR_CONFIG, 0, "%s `%s` is larger than %zu bytes", what, path, sb->max);
            break;
        }
    }
    if (sb->secret)
        OPENSSL_cleanse(chunk, sizeof(chunk));
    return ok && !sb->overflow;
}

bool strbuf_read_file(struct strbuf *sb, const char *path, const char *what, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno, "reading %s `%s`", what, path);
    bool ok = false;
    if (fstat(fd, &st) != 0)
        error_errno(err, errno, "reading %s `%s`", what, path);
    else if (S_ISDIR(st.st_mode))
        error_errno(err, EISDIR, "reading %s `%s`", what, path);
    else if (unreadable(st.st_mode))
        error_set(err, ERROR_CONFIG, 0, "reading %s `%s`: it %s", what, path, unreadable(st.st_mode));
    else
        ok = read_all(fd, S_ISFIFO(st.st_mode), sb, path, what, err);
    close(fd);
    return ok;
}

bool strbuf_read_text(struct strbuf *sb, const char *path, const char *what, struct error *err)
{
    AUTO_FREE char *named = xasprintf("%s `%s`", what, path);
    if (!strbuf_read_file(sb, path, what, err))
        return false;
    const char *text = strbuf_str(sb);
    size_t len = sb->len;
    if (!text_begin(&text, &len, named, err))
        return false;
    if (len < sb->len) {
        memmove(sb->data, text, len + 1);
        strbuf_truncate(sb, len);
    }
    return true;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool refuse(const char *path, const char *what, const char *why, const char *hint, struct error *err)
{
    error_set(err, ERROR_CONFIG, 0, "%s `%s` %s", what, path, why);
    error_hint(err, "%s", hint);
    return false;
}

/* What stands there as it can be written. */
static bool classify(const struct stat *st, const char *path, const char *what, enum file_kind *ret, struct error *err)
{
    static const char hint[] = "name a file";
    if (S_ISDIR(st->st_mode))
        return refuse(path, what, "is a directory", "name a file in it", err);
    if (S_ISSOCK(st->st_mode))
        return refuse(path, what, "is a socket", hint, err);
    if (S_ISBLK(st->st_mode))
        return refuse(path, what, "is a disk", hint, err);
    *ret = S_ISREG(st->st_mode) ? FILE_REGULAR : FILE_STREAM;
    return true;
}

/* Another user's link leads where that user wants; root's own lead to streams. */
static bool may_follow(const struct stat *link, const struct stat *file)
{
    bool stream = !S_ISREG(file->st_mode);
    return (link->st_uid == geteuid() || (link->st_uid == 0 && stream)) && (stream || file->st_uid == geteuid());
}

bool file_look(const char *path, const char *what, enum file_kind *ret_kind, char **ret_target, struct error *err)
{
    struct stat own, st;
    enum file_kind kind = FILE_NONE;
    if (lstat(path, &own) != 0) {
        if (errno != ENOENT)
            return error_errno(err, errno, "%s `%s`", what, path);
        *ret_kind = kind;
        *ret_target = xstrdup(path);
        return true;
    }
    if (!S_ISLNK(own.st_mode)) {
        if (!classify(&own, path, what, &kind, err))
            return false;
        *ret_kind = kind;
        *ret_target = xstrdup(path);
        return true;
    }
    if (stat(path, &st) != 0)
        return refuse(path, what, "is a symbolic link to nothing that can be read", "name the file that is meant", err);
    if (!classify(&st, path, what, &kind, err))
        return false;
    if (!may_follow(&own, &st))
        return refuse(path, what, "is a symbolic link, and it or the file behind it is another user's",
                      "name the file itself, in a directory that only this user writes to", err);
    AUTO_FREE char *target = kind == FILE_REGULAR ? realpath(path, NULL) : xstrdup(path);
    if (!target)
        return error_errno(err, errno, "%s `%s`", what, path);
    *ret_kind = kind;
    *ret_target = STEAL(target);
    return true;
}

/* Something else may have come there since it was looked at. */
static bool check_opened(int fd, enum file_kind kind, const char *path, const char *what, struct error *err)
{
    struct stat st;
    enum file_kind now;
    if (fstat(fd, &st) != 0)
        return error_errno(err, errno, "%s `%s`", what, path);
    if (!classify(&st, path, what, &now, err))
        return false;
    if (now == (kind == FILE_NONE ? FILE_REGULAR : kind))
        return true;
    return refuse(path, what, "was replaced meanwhile", "name a file in a directory that only this user writes to",
                  err);
}

bool file_open(const char *path, const char *what, enum file_mode how, mode_t mode, int *ret_fd, struct error *err)
{
    enum file_kind kind;
    AUTO_FREE char *target = NULL;
    if (!file_look(path, what, &kind, &target, err))
        return false;
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    flags |= kind == FILE_STREAM ? 0 : O_CREAT | O_NOFOLLOW;
    int fd = open(target, flags, mode);
    if (fd < 0 && errno == ENXIO)
        return refuse(path, what, "is a pipe that nobody reads", "start its reader first, or name a file", err);
    if (fd < 0)
        return error_errno(err, errno, "opening %s `%s`", what, path);
    bool ok = check_opened(fd, kind, path, what, err);
    if (ok && how == FILE_REPLACE && kind == FILE_REGULAR && ftruncate(fd, 0) != 0)
        ok = error_errno(err, errno, "emptying %s `%s`", what, path);
    if (ok)
        *ret_fd = fd;
    else
        close(fd);
    return ok;
}

bool file_write(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno == EAGAIN && !wait_for(fd, POLLOUT))
            return false;
        else if (errno != EINTR && errno != EAGAIN)
            return false;
    }
    return true;
}

bool file_put(const char *path, const char *what, enum file_mode how, mode_t mode, const void *bytes, size_t len,
              struct error *err)
{
    int fd;
    if (!file_open(path, what, how, mode, &fd, err))
        return false;
    bool ok = file_write(fd, bytes, len);
    int problem = errno;
    if (close(fd) != 0 && ok) { /* a full disk may say so only now */
        ok = false;
        problem = errno;
    }
    return ok || error_errno(err, problem, "writing %s `%s`", what, path);
}

bool file_swap(const char *path, const char *what, mode_t mode, const void *bytes, size_t len, struct error *err)
{
    AUTO_FREE char *new = xasprintf("%s.XXXXXX", path);
    int fd = mkostemp(new, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return error_errno(err, errno, "writing %s `%s`", what, path);
    bool ok = fchmod(fd, mode) == 0 && file_write(fd, bytes, len) && fsync(fd) == 0;
    int problem = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        problem = errno;
    }
    if (ok && rename(new, path) == 0)
        return true;
    problem = ok ? errno : problem;
    unlink(new);
    return error_errno(err, problem, "writing %s `%s`", what, path);
}
