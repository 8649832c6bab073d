/* first FILE COMMAND…: runs it with this program as its EC2, STS and GitHub, and appends to the file the milliseconds
 * from its exec to the first byte that it asks with; then kills it. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "now.h"

enum { PATIENCE_MS = 20000 };

/* A listening socket, told to the command by its environment. */
static int listen_as_all(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        return -1;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(a.sin_port));
    setenv("AWS_ENDPOINT_URL", url, 1);
    strcat(url, "/api/v3");
    setenv("GITHUB_API_URL", url, 1);
    return fd;
}

/* Until something can be read of it. */
static int ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return fd >= 0 && poll(&p, 1, PATIENCE_MS) == 1;
}

int main(int argc, char **argv)
{
    int fd = listen_as_all(), status, asked = 0;
    char byte;
    FILE *out = argc > 2 && fd >= 0 ? fopen(argv[1], "ae") : NULL;
    double start = now_ms(), ms = 0;
    pid_t pid = out ? fork() : -1;
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0) {
        fprintf(stderr, "first: %s\n", argc > 2 ? strerror(errno) : "usage: first FILE COMMAND…");
        return 125;
    }
    if (ready(fd)) {
        int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        asked = ready(connection) && recv(connection, &byte, 1, 0) == 1;
        ms = now_ms() - start;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!asked) {
        fputs("first: it asked for nothing\n", stderr);
        return 126;
    }
    fprintf(out, "%.2f\n", ms);
    return fclose(out) != 0;
}
