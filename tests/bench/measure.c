/* measure FILE COMMAND…: runs it and appends "CPU_MS RSS_KIB WALL_MS" to the file: its processor time, user's and
 * system's, the most memory that was resident, and how long it took. Small, since a child's figure begins with what its
 * parent had. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "now.h"

static long long micros(struct timeval t)
{
    return (long long)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;
    FILE *out = argc > 2 ? fopen(argv[1], "ae") : NULL;
    double start = now_ms();
    pid_t pid = out ? fork() : -1;
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
        fprintf(stderr, "measure: %s\n", argc > 2 ? strerror(errno) : "usage: measure FILE COMMAND…");
        return 125;
    }
    fprintf(out, "%.1f %ld %.1f\n", (double)(micros(usage.ru_utime) + micros(usage.ru_stime)) / 1000, usage.ru_maxrss,
            now_ms() - start);
    fclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
