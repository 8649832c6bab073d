/* The only place that knows Mayfly's tags, and the names of labels and runners. Pure. */
#ifndef MAYFLY_RUNNER_TAGS_H
#define MAYFLY_RUNNER_TAGS_H

#include "mayfly/aws/ec2.h"

#define TAG_PREFIX "mayfly:"
#define TAG_FLEET "mayfly:fleet"         /* whose: everything one GitHub scope owns in an account */
#define TAG_SCOPE "mayfly:scope"         /* the GitHub scope of the runner: owner/repo or org */
#define TAG_REPO "mayfly:repo"           /* the repository of the workflow run */
#define TAG_LABEL "mayfly:label"         /* the launch */
#define TAG_RUNNER "mayfly:runner"       /* the runner's name */
#define TAG_RUNNER_ID "mayfly:runner-id" /* the runner record's id */
#define TAG_RUN "mayfly:run"             /* "<run id>/<attempt>" */
#define TAG_ROLE "mayfly:role"           /* "runner", "bake", "smoke" */
#define TAG_NAME "mayfly:name"           /* --name of the start */
#define TAG_LIMITS                                                                                                     \
    "mayfly:limits" /* "boot=600,idle=1800,life=21600", seconds; of an image: until it is                              \
                      proven */
#define TAG_HANDED                                                                                                     \
    "mayfly:handed" /* by a start that succeeded: the regions of its instances; later jobs have its outputs */
#define TAG_VERSION "mayfly:version"
#define TAG_KEEP "mayfly:keep" /* protects from the reaper */
#define TAG_MARK "mayfly:reap-mark"
#define TAG_RUNNER_VERSION "mayfly:runner-version" /* of a baked image */
#define TAG_SOURCE "mayfly:source"                 /* the image that a bake began with: id and name */
#define TAG_STEPS "mayfly:steps"                   /* of its recipe */
#define TAG_COMMIT "mayfly:commit"                 /* that it was baked at: GITHUB_SHA */

enum { TAG_VALUE_MAX = 256 };
enum { TAGS_FOR_USERS = 36 }; /* a resource takes 50; 12 are ours at launch, start and reaper add a mark each */

/* Seconds from launch. */
struct limits {
    int64_t boot; /* a runner that is not online by then never comes */
    int64_t idle; /* without a job */
    int64_t life; /* past it the instance must not exist */
};

#define LIMITS_DEFAULT ((struct limits){ .boot = 600, .idle = 1800, .life = 21600 })

/* The value of TAG_LIMITS, owned. */
char *limits_format(const struct limits *l);
/* Keys in any order; unknown keys are skipped, missing ones keep what *ret has. False, *ret untouched, when malformed.
 */
MUST_CHECK bool limits_parse(const char *s, struct limits *ret);

/* Whose and what for; strings are borrowed, NULL leaves a tag out. */
struct tag_values {
    const char *fleet, *scope, *repo, *label, *runner, *run, *name, *version;
    int64_t runner_id;
    struct limits limits;
    const struct field_list *more; /* struct ec2_tag: the user's own, or NULL; a `Name` among them wins */
};
/* The tags of a runner's instance, in the arena. */
void tags_of_runner(const struct tag_values *v, struct arena *arena, struct ec2_tag **ret, size_t *ret_n);

/* Of a bake: its builder, its smoke boot, its image with the snapshots. Strings are borrowed, NULL leaves a tag out. */
struct bake_tags {
    const char *role;  /* "bake", "smoke" */
    const char *title; /* Name, unless the user's own has one */
    const char *fleet, *name, *run, *version;
    const char *runner_version, *source, *steps, *commit; /* of an image */
    int64_t life;                                         /* seconds; of an image: until it is proven */
    const struct field_list *more;
};
void tags_of_bake(const struct bake_tags *v, struct arena *arena, struct ec2_tag **ret, size_t *ret_n);

/* The fleet of a scope, where none is named: in small letters, since GitHub takes its names in any case and EC2's
 * filters do not. Owned. */
char *fleet_of_scope(const char *scope);

enum { RUNNER_NAME_MAX = 64 }; /* bytes that GitHub takes */

/* "mf-<6 characters of the hash of account and fleet>-": begins every runner name of the fleet. Owned. */
char *runner_name_mark(const char *account, const char *fleet);
/* mark + "<region>-<launch epoch in base 36>": what launch adds random characters to. Owned. */
char *runner_name_prefix(const char *mark, const char *region, int64_t epoch);

/* Takes a runner's name apart: false when it does not begin with the mark or has another form. *ret_region: owned. */
MUST_CHECK bool runner_name_parse(const char *name, const char *mark, char **ret_region, int64_t *ret_epoch);

/* "mayfly-<run id>-<attempt>-<6 random characters>", each as far as a label may hold it; without a run "mayfly-<epoch
 * in base 36>-<random>". random: 6 bytes. Owned. */
char *label_make(const char *run_id, const char *attempt, int64_t epoch, const uint8_t random[static 6]);
/* The SSM parameter that a bake publishes images of this TAG_NAME in, unless it is told another, and the one where what
 * was published before goes. Owned. */
char *image_parameter(const char *name);
char *image_parameter_before(const char *parameter);
/* 1 to 100 letters, digits and - _ . */
bool name_is_valid(const char *name);
/* A label that GitHub and EC2 both take: 1 to 100 characters of LABEL_CHARACTERS, and no - first. None of them means
 * something in a filter of EC2's, in a list with commas or in quotes. */
#define LABEL_CHARACTERS "letters, digits and - _ . / : @ + = # ~"
bool label_is_valid(const char *label);

#endif
