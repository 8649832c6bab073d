/* Requests that wait, because a scripted fault holds them. */
#include <stdio.h>

#include "exchange.h"
#include "faults.h"
#include "held.h"
#include "sim.h"
#include "to_json.h"

static struct json_object *held_row(const struct exchange *x)
{
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "n", x->n);
    json_add_text(o, "service", x->request.service);
    json_add_text(o, "action", x->request.action);
    json_add_text(o, "method", x->request.method);
    json_add_text(o, "path", x->request.path);
    json_add_text(o, "when", x->served ? "after" : "before");
    json_add_text(o, "fault", x->fault);
    return o;
}

void held_add(struct sim *s, struct exchange *x, const struct fault *f)
{
    x->waits = true;
    x->close_then = f->kind->close;
    x->until = f->ms >= 0 ? sim_now(s) + f->ms : INT64_MAX;
    x->next = s->held;
    s->held = x;
    if (s->options.verbose) { /* who reads this need not ask for /_sim/held again and again */
        struct json_object *row = held_row(x);
        fprintf(stderr, "%s\n", json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN));
        json_object_put(row);
    }
}

void held_remove(struct sim *s, const struct exchange *x)
{
    struct exchange **at = &s->held;
    while (*at && *at != x)
        at = &(*at)->next;
    if (*at)
        *at = x->next;
}

static void let_go(struct sim *s, struct exchange *x, bool drop)
{
    held_remove(s, x);
    x->waits = false;
    if (drop)
        x->ending = END_CLOSE;
    server_resume(x->http);
}

struct json_object *held_json(const struct sim *s)
{
    struct json_object *rows = must(json_object_new_array());
    for (const struct exchange *x = s->held; x; x = x->next)
        json_object_array_add(rows, held_row(x));
    return rows;
}

size_t held_release(struct sim *s, int64_t n, bool drop)
{
    size_t released = 0;
    for (struct exchange *x = s->held, *next; x; x = next) {
        next = x->next;
        if (n && x->n != n)
            continue;
        let_go(s, x, drop);
        released++;
    }
    return released;
}

void held_tick(struct sim *s)
{
    int64_t now = sim_now(s);
    for (struct exchange *x = s->held, *next; x; x = next) {
        next = x->next;
        if (now >= x->until)
            let_go(s, x, x->close_then);
    }
}

int64_t held_next(const struct sim *s)
{
    int64_t next = INT64_MAX;
    for (const struct exchange *x = s->held; x; x = x->next)
        if (x->until < next)
            next = x->until;
    return next;
}
