/* Scripted faults: which are due, and what they answer. */
#ifndef MAYFLY_SIM_FAULTS_H
#define MAYFLY_SIM_FAULTS_H

#include <stdio.h>

#include "http.h"
#include "sim.h"

#include "mayfly/util/error.h"

enum fault_when { FAULT_DEFAULT, FAULT_BEFORE, FAULT_AFTER }; /* before or after the effect */

enum effect {
    EFFECT_ERROR,      /* an error of the service's own form */
    EFFECT_STATUS,     /* a status with a page that is of no service */
    EFFECT_CLOSE,      /* no answer: the connection is closed */
    EFFECT_RESET,      /* no answer: the connection is reset */
    EFFECT_CUT,        /* half the body */
    EFFECT_GARBAGE,    /* bytes that mean nothing */
    EFFECT_WAIT,       /* for ms, or until it is let go on */
    EFFECT_HIDE,       /* what exists is not seen yet */
    EFFECT_EMPTY_PAGE, /* no rows, but a token */
    EFFECT_LOOP,       /* the first page, and a token for it */
    EFFECT_DATE,       /* a header Date that is wrong */
    EFFECT_LIE,        /* GitHub says of a runner what is not so */
};

struct fault_answer {
    int status;
    const char *code, *message;
};

struct fault_kind {
    const char *name;
    enum effect effect;
    enum fault_when when; /* unless the fault says so itself */
    bool close;           /* EFFECT_WAIT: at the end of it there is no answer */
    struct fault_answer ec2, sts, ssm, github;
};

struct fault {
    char *service, *action, *code, *message;
    const struct fault_kind *kind;
    enum fault_when when;
    int64_t skip, times, status, ms; /* times < 0: for ever; ms < 0: without end */
    int64_t until, seconds;          /* simulated ms, 0: no end; seconds: that the Date is ahead */
    char *runner;                    /* a part of the names that a lie is about; NULL: every one */
    struct pairs match, headers;
};

/* JSON is one fault or a list: {"service", "action", "nth": 1 | "skip": 0, "times": 1,
 * "fault", "when": "before" | "after", "status", "code", "message", "headers", "ms", "for_ms", "seconds", "runner",
 * "match": {parameter: value}}. */
bool faults_add(struct sim *s, struct json_object *json, struct error *err);
struct json_object *faults_json(const struct sim *s);
void faults_clear(struct sim *s);
/* Names the kinds. */
void faults_help(FILE *out);
/* The first fault that is due for this request, at this moment; it is used up by that. */
const struct fault *fault_due(struct sim *s, const struct request *r, enum fault_when when);
/* The answer that a fault puts in the place of the real one. */
void fault_answer(const struct fault *f, const struct request *r, struct response *res);

#endif
