#include "mayfly/util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID_MAX = 32 };

/* Its text as it stands; false: this is no process id. An empty file has none yet. */
static bool read_pid(int fd, char ret[static PID_MAX + 1])
{
    ssize_t n = pread(fd, ret, PID_MAX, 0);
    ret[n > 0 ? n : 0] = '\0';
    size_t digits = strspn(ret, "0123456789");
    bool whole = str_empty(ret) || (digits > 0 && str_eq(ret + digits, "\n"));
    ret[digits] = '\0';
    return n >= 0 && whole;
}

/* What may not be overwritten: a file that somebody else put there, or one that was named by mistake. */
static const char *find_fault(int fd, char pid[static PID_MAX + 1])
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return "is not a file";
    if (st.st_uid != geteuid() || st.st_nlink != 1)
        return "is not accessible to this user only";
    return read_pid(fd, pid) ? NULL : "contains something other than a process ID";
}

static bool held(const char *path, const char *pid, struct error *err)
{
    error_set(err, ERROR_SYSTEM, EWOULDBLOCK, "the lock `%s` is held by another run%s%s", path,
              str_empty(pid) ? "" : ", process ", pid);
    error_hint(err, "the lock is released when that process exits; if it hangs: kill %s", str_empty(pid) ? "PID" : pid);
    err->try_later = true;
    return false;
}

static bool take(int fd, const char *path, struct error *err)
{
    char pid[PID_MAX + 1];
    const char *fault = find_fault(fd, pid);
    if (fault) {
        error_set(err, ERROR_CONFIG, 0, "the lock `%s` %s", path, fault);
        error_hint(err, "use a file for this only, in a directory that only this user can write to");
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? held(path, pid, err) : error_errno(err, errno, "locking `%s`", path);
    AUTO_FREE char *line = xasprintf("%ld\n", (long)getpid());
    size_t n = strlen(line);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line, n, 0) != (ssize_t)n)
        return error_errno(err, errno, "writing the lock `%s`", path);
    return true;
}

bool lock_take(const char *path, int *ret_fd, struct error *err)
{
    /* A FIFO or a terminal that stands there must not hold us up. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
    if (fd < 0) {
        error_errno(err, errno, "opening the lock `%s`", path);
        err->domain = ERROR_CONFIG;
        error_hint(err, "use a file that this user can write; a symbolic link is not followed");
        return false;
    }
    if (!take(fd, path, err)) {
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

void lock_release(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
