#include "mayfly/util/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

/* What a person, a supervisor, a shell, a limit of time or a timer of the caller's (alarm() outlives exec) ends a
 * process with. Where nothing is here, nothing changes: SIGTSTP stops, SIGABRT and its like are faults of our own. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGALRM, SIGPROF, SIGVTALRM, SIGPWR };
/* SIGXFSZ: the write fails, and that is an error. SIGTTIN, SIGTTOU: one that is stopped undoes nothing. */
static const int meaningless[] = { SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGIO, SIGSTKFLT };

void signals_ignored(sigset_t *ret)
{
    sigemptyset(ret);
    for (size_t i = 0; i < ARRAY_SIZE(meaningless); i++)
        sigaddset(ret, meaningless[i]);
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
        sigaddset(ret, s);
}

int signals_open(void)
{
    sigset_t set, ignored;
    struct sigaction hangup;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
        sigaddset(&set, ending[i]);
    sigaction(SIGHUP, NULL, &hangup);
    if (hangup.sa_handler == SIG_IGN) /* nohup: what is blocked would come all the same */
        sigdelset(&set, SIGHUP);
    signals_ignored(&ignored);
    for (int s = 1; s <= SIGRTMAX; s++)
        if (sigismember(&ignored, s) == 1)
            signal(s, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGCHLD, SIG_DFL); /* ignored by who started us, it would take the status of a credential_process */
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;
    int last = 0;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        last = (int)info.ssi_signo;
    return last;
}

void signals_put_back(int signal)
{
    kill(getpid(), signal);
}
