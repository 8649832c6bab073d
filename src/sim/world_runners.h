/* GitHub's runners and jobs. */
#ifndef MAYFLY_SIM_WORLD_RUNNERS_H
#define MAYFLY_SIM_WORLD_RUNNERS_H

#include "sim.h"

struct runner {
    int64_t id;
    char *scope, *name, *secret, *work_folder;
    struct strlist labels;
    bool connected, online, busy;     /* connected: was online at least once */
    int64_t group, job;               /* id of the job it runs, 0: none */
    int64_t created, idle_since;      /* simulated ms */
    int64_t online_since, busy_since; /* simulated ms; 0: whoever looks knows */
    int64_t offline_at;               /* goes offline then; 0: no */
    int64_t unlock_at;                /* the lock of a busy machine that died lapses then; 0: no */
};

struct job {
    int64_t id, run_id, attempt;
    char *scope, *name;
    struct strlist labels, commands;
    struct pairs env;
    int64_t duration;                /* ms, of model mode */
    const char *status, *conclusion; /* static; conclusion NULL until completed */
    char *runner_name;
    int64_t runner_id, group, created, started, completed; /* group: of its runner */
    struct strbuf log;
};

struct killed {              /* a job whose machine or record somebody took away */
    int64_t job, age;        /* age: ms of the instance */
    char *runner, *instance; /* instance NULL: the record */
    const char *how;         /* static */
};

struct instance;

struct runner *world_runner(const struct sim *s, int64_t id);
struct job *world_job(const struct sim *s, int64_t id);
void world_remove_runner(struct sim *s, struct runner *r);
void world_connect(struct sim *s, struct runner *r);
bool world_assign_job(struct sim *s, struct runner *r);
/* conclusion: static. remove: its just-in-time runner has done its job. */
void world_finish_job(struct sim *s, struct job *j, const char *conclusion, bool remove);
/* Its machine is gone; GitHub sees it after a while. */
void world_lose_runner(struct sim *s, struct runner *r, int64_t seen_ms);
/* One more like it, whose name ends in other digits, as many as the end of the other had. */
struct runner *world_copy_runner(struct sim *s, const struct runner *like);
/* Somebody took from a job what it ran on. how: static. */
void world_note_killed(struct sim *s, const struct runner *r, const struct instance *i, const char *how);

void runners_tick(struct sim *s, int64_t now);
/* When they change next by themselves, after now; INT64_MAX: never. */
int64_t runners_next(const struct sim *s, int64_t now);
void runners_clear(struct sim *s);

#endif
