/* Filters of EC2's descriptions: written so that EC2 reads their values literally, and what they bring compared. */
#ifndef MAYFLY_AWS_EC2_FILTER_H
#define MAYFLY_AWS_EC2_FILTER_H

#include "mayfly/util/strbuf.h"

struct ec2_instance;
struct ec2_leftover;

/* ("tag:mayfly:fleet", values). To EC2 a value is a pattern of *, ? and \; the calls escape it, so that it means
 * itself.
 */
struct ec2_filter {
    const char *name;
    const struct strlist *values; /* at least one */
    bool pattern;                 /* values are meant as patterns, and are escaped where they are made */
};

/* Appends a value that EC2 takes literally in a pattern. */
void ec2_escape(struct strbuf *ret, const char *value);
/* Do the tags, ids, client token and image of a row have exactly the values of the filters that brought it? States are
 * not compared, nor what a pattern asks for. Nothing is done to a row of which this is false. */
bool ec2_filters_take(const struct ec2_filter *filters, size_t n, const struct ec2_instance *i);
/* The same; of an image also its name. */
bool ec2_filters_take_leftover(const struct ec2_filter *filters, size_t n, const struct ec2_leftover *l);

#endif
