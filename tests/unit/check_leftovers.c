#include "mayfly/runner/reap_leftovers.h"
#include "mayfly/runner/tags.h"
#include "testing.h"

/* --- the rules ---------------------------------------------------------------------------------------------------- */

enum { DAY = 86400 };

static bool is_image(enum ec2_kind kind)
{
    return kind == EC2_IMAGE || kind == EC2_SNAPSHOT;
}

/* Every combination of the facts: never foreign, kept, used, young or of unknown age; no image without a retention, and
 * never the newest; but one that was never proven goes at the end of its life, whatever the retention. */
START_TEST(every_combination_of_facts)
{
    static const int64_t ages[] = { -1, 0, 3599, 3600, 3601, 29 * DAY, 30 * DAY, 30 * DAY + 1 };
    static const int64_t retentions[] = { 0, DAY, 30 * DAY };
    for (int kind = 0; kind < EC2_KIND_COUNT; kind++)
        for (unsigned bits = 0; bits < 32; bits++)
            for (size_t a = 0; a < ARRAY_SIZE(ages); a++)
                for (size_t r = 0; r < ARRAY_SIZE(retentions); r++) {
                    const struct leftover_facts f = { .kind = (enum ec2_kind)kind,
                                                      .ours = bits & 1,
                                                      .keep = bits & 2,
                                                      .idle = bits & 4,
                                                      .newest = bits & 8,
                                                      .unproven = (bits & 16) && is_image((enum ec2_kind)kind),
                                                      .life = 3600,
                                                      .age = ages[a] };
                    const struct leftover_ruling ruling = leftover_decide(&f, retentions[r]);
                    bool image = is_image((enum ec2_kind)kind);
                    bool may = f.ours && !f.keep && f.idle && (!f.newest || f.unproven) && f.age >= 0;
                    bool old = f.unproven ? f.age > f.life
                               : image    ? retentions[r] > 0 && f.age > retentions[r]
                                          : f.age > REAP_LEFTOVER_GRACE;
                    ck_assert(*ruling.rule && !strchr(ruling.rule, ' ') && *ruling.reason);
                    ck_assert(ruling.remove == (may && old));
                }
}
END_TEST

/* --- the pass ----------------------------------------------------------------------------------------------------- */

#define FLEET "o/r"
enum { NOW = 1700000000 };
#define OLD "2023-09-01T00:00:00.000Z" /* 74 days */
#define YOUNG "2023-11-14T22:00:00.000Z"
#define MIDDLE "2023-11-01T00:00:00.000Z"

struct item {
    enum ec2_kind kind;
    const char *id, *created, *state, *name, *fleet, *role, *keep, *kin, *limits;
    enum outcome outcome; /* of its removal */
    const char *code;
};

struct world {
    struct leftovers l;
    struct leftovers_config config;
    struct strlist regions;
    struct item items[8];
    size_t n_items;
    enum ec2_kind unreadable;
    bool is_unreadable;
    const char *run, *published, *before; /* images: an instance's; what the parameters of `x` say */
    enum act_kind refused;                /* what is asked of images */
    struct strbuf log;
    struct arena arena;
    struct acts queue;
};

static void world_init(struct world *w)
{
    *w = (struct world){ .config = { .fleet = FLEET, .regions = &w->regions }, .log = STRBUF_INIT };
    strlist_add(&w->regions, "us-east-1");
}

static void world_clear(struct world *w)
{
    leftovers_clear(&w->l);
    strlist_clear(&w->regions);
    strbuf_clear(&w->log);
    arena_clear(&w->arena);
    acts_clear(&w->queue);
}

static void feed(struct world *w, struct event e)
{
    w->l.machine.step(&w->l.machine, &e, &w->queue);
}

static void show(struct world *w, const struct act *a, struct event *e)
{
    struct ec2_leftover *rows = arena_alloc(&w->arena, sizeof(*rows) * (w->n_items + 1));
    ck_assert_str_eq(a->filters[0].name, "tag:mayfly:fleet");
    ck_assert_str_eq(a->filters[0].values->v[0], FLEET);
    for (size_t i = 0; i < w->n_items; i++) {
        const struct item *item = &w->items[i];
        const struct ec2_tag tags[] = { { TAG_FLEET, item->fleet ? item->fleet : FLEET },
                                        { TAG_ROLE, item->role ? item->role : "bake" },
                                        { TAG_KEEP, item->keep },
                                        { TAG_NAME, item->kin },
                                        { TAG_LIMITS, item->limits } };
        if (item->kind != a->leftover || !item->id)
            continue;
        struct ec2_leftover *row = &rows[e->n_leftovers++];
        static const char *const idle[] = { "available", "open", "available", "completed" };
        *row = (struct ec2_leftover){ .id = item->id,
                                      .created = item->created,
                                      .state = item->state ? item->state : idle[item->kind],
                                      .name = item->name,
                                      .architecture = "x86_64" };
        for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
            if (tags[t].value)
                *(struct ec2_tag *)field_list_add(&row->tags, sizeof(struct ec2_tag), &w->arena) = tags[t];
    }
    e->leftovers = rows;
}

/* What uses images. */
static void show_use(const struct world *w, const struct act *a, struct event *e, struct ec2_instance *i,
                     struct error *err)
{
    *i = (struct ec2_instance){ .id = "i-1", .image = w->run };
    e->instances = i;
    e->n_instances = a->kind == ACT_SCAN && w->run && strlist_has(a->filters[0].values, w->run);
    e->text = str_eq(a->name, "/mayfly/ami/x")            ? w->published
              : str_eq(a->name, "/mayfly/ami/x/previous") ? w->before
                                                          : NULL;
    if (a->kind == ACT_GET_PARAMETER && !e->text) {
        e->outcome = OUTCOME_FAILED;
        str_set(&err->code, "ParameterNotFound");
    }
    if (a->kind == w->refused) {
        e->outcome = OUTCOME_FAILED;
        str_set(&err->code, "UnauthorizedOperation");
    }
}

static void answer(struct world *w, const struct act *a)
{
    AUTO_ERROR err = { 0 };
    struct ec2_instance instance;
    struct event e = { .kind = EVENT_ANSWER, .act = a->kind, .who = a->who, .cloud_now = NOW };
    const char *did = a->kind == ACT_REMOVE      ? "remove"
                      : a->kind == ACT_LEFTOVERS ? "list"
                      : a->kind == ACT_SCAN      ? "who runs"
                                                 : "read";
    strbuf_addf(&w->log, "%s%s %s", w->log.len ? ", " : "", did,
                a->kind == ACT_SCAN        ? a->filters[0].values->v[0]
                : a->kind == ACT_LEFTOVERS ? ec2_kind_name(a->leftover)
                                           : a->name);
    if (a->kind == ACT_SCAN || a->kind == ACT_GET_PARAMETER)
        show_use(w, a, &e, &instance, &err);
    else if (a->kind == ACT_LEFTOVERS && w->is_unreadable && w->unreadable == a->leftover) {
        e.outcome = OUTCOME_FAILED;
    } else if (a->kind == ACT_LEFTOVERS) {
        show(w, a, &e);
    } else {
        for (size_t i = 0; i < w->n_items; i++)
            if (str_eq(w->items[i].id, a->name)) {
                e.outcome = w->items[i].outcome;
                error_set(&err, ERROR_AWS, 400, "no");
                str_set(&err.code, w->items[i].code);
            }
    }
    if (e.outcome == OUTCOME_OK)
        error_clear(&err);
    else if (err.domain == ERROR_NONE) {
        AUTO_FREE char *code = STEAL(err.code);
        error_set(&err, ERROR_AWS, 403, "no");
        str_set(&err.code, code);
    }
    e.error = &err;
    feed(w, e);
}

static void pass(struct world *w)
{
    leftovers_init(&w->l, &w->config);
    feed(w, (struct event){ .kind = EVENT_START });
    for (size_t i = 0; i < w->queue.n; i++) {
        struct act a = w->queue.v[i];
        answer(w, &a);
    }
    ck_assert(w->l.machine.done);
}

static const struct leftover *find(const struct world *w, const char *id)
{
    for (size_t i = 0; i < w->l.n; i++)
        if (str_eq(w->l.v[i].id, id))
            return &w->l.v[i];
    return NULL;
}

static void put(struct world *w, struct item item)
{
    w->items[w->n_items++] = item;
}

START_TEST(volumes_and_spot_requests_go)
{
    struct world w;
    world_init(&w);
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-1", .created = OLD });
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-young", .created = YOUNG });
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-used", .created = OLD, .state = "in-use" });
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-foreign", .created = OLD, .fleet = "other" });
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-kept", .created = OLD, .keep = "" });
    put(&w, (struct item){ .kind = EC2_SPOT_REQUEST, .id = "sir-1", .created = OLD });
    put(&w, (struct item){ .kind = EC2_SPOT_REQUEST, .id = "sir-active", .created = OLD, .state = "active" });
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-ageless", .created = "yesterday" });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log), "list volume, remove vol-1, list spot request, remove sir-1, "
                                         "list image, list snapshot");
    ck_assert(find(&w, "vol-1")->removed && find(&w, "sir-1")->removed);
    ck_assert_str_eq(find(&w, "vol-kept")->ruling.rule, "kept"); /* and told */
    world_clear(&w);
}
END_TEST

/* By date, by name, and never what works last; a newer one that failed is no reason to let the last good one go. */
START_TEST(images_go_past_their_retention)
{
    struct world w;
    world_init(&w);
    w.config.retention = 30 * DAY;
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-old", .created = OLD, .name = "mayfly-amd64-20230901" });
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-new", .created = MIDDLE, .name = "mayfly-amd64-20231101" });
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-last", .created = OLD, .name = "mayfly-cuda-20230901" });
    put(&w, (struct item){ .kind = EC2_IMAGE,
                           .id = "ami-failed",
                           .created = MIDDLE,
                           .name = "mayfly-cuda-20231101",
                           .state = "failed" });
    put(&w, (struct item){
                .kind = EC2_IMAGE, .id = "ami-hand", .created = OLD, .name = "mayfly-amd64-1", .role = "runner" });
    put(&w, (struct item){ .kind = EC2_SNAPSHOT, .id = "snap-1", .created = OLD });
    put(&w, (struct item){ .kind = EC2_SNAPSHOT,
                           .id = "snap-used",
                           .created = OLD,
                           .outcome = OUTCOME_FAILED,
                           .code = "InvalidSnapshot.InUse" });
    put(&w, (struct item){ .kind = EC2_SNAPSHOT,
                           .id = "snap-gone",
                           .created = OLD,
                           .outcome = OUTCOME_FAILED,
                           .code = "InvalidSnapshot.NotFound" });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log),
                     "list volume, list spot request, list image, who runs ami-old, remove ami-old, "
                     "list snapshot, remove snap-1, remove snap-used, remove snap-gone");
    ck_assert_str_eq(find(&w, "ami-last")->ruling.rule, "newest");
    ck_assert(find(&w, "snap-gone")->removed);
    ck_assert_str_eq(find(&w, "snap-used")->ruling.rule, "in-use");
    ck_assert_int_eq(find(&w, "snap-used")->error.domain, ERROR_NONE);
    world_clear(&w);
}
END_TEST

/* Going back is publishing an older one: neither that goes, nor what can be gone back to, nor what an instance runs;
 * and nothing of which that is not known. */
START_TEST(images_that_are_needed_stay)
{
    static const struct {
        const char *run, *published, *before;
        enum act_kind refused;
        const char *log, *rule;
        bool failed;
    } cases[] = {
        { "ami-old", NULL, NULL, ACT_NONE, "who runs ami-old", "in-use", false },
        { "ami-new", "ami-old", "ami-new", ACT_NONE, "who runs ami-old, read /mayfly/ami/x", "published", false },
        { NULL, "ami-new", "ami-old", ACT_NONE, "who runs ami-old, read /mayfly/ami/x, read /mayfly/ami/x/previous",
          "published", false },
        { NULL, NULL, NULL, ACT_SCAN, "who runs ami-old", "retention", true },
        { NULL, "ami-new", "ami-new", ACT_GET_PARAMETER, "who runs ami-old, read /mayfly/ami/x", "retention", true },
        { NULL, "ami-new", NULL, ACT_NONE,
          "who runs ami-old, read /mayfly/ami/x, read /mayfly/ami/x/previous, remove ami-old", "retention", false },
    };
    struct world w;
    world_init(&w);
    w.config.retention = 30 * DAY;
    w.config.dry_run = _i % 2;
    w.run = cases[_i / 2].run;
    w.published = cases[_i / 2].published;
    w.before = cases[_i / 2].before;
    w.refused = cases[_i / 2].refused;
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-old", .created = OLD, .name = "a", .kin = "x" });
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-new", .created = MIDDLE, .name = "b", .kin = "x" });
    pass(&w);
    AUTO_FREE char *log = xasprintf("list volume, list spot request, list image, %s, list snapshot", cases[_i / 2].log);
    char *removal = strstr(log, ", remove ami-old");
    if (removal && _i % 2)
        memmove(removal, removal + 16, strlen(removal + 16) + 1);
    ck_assert_str_eq(strbuf_str(&w.log), log);
    ck_assert_str_eq(find(&w, "ami-old")->ruling.rule, cases[_i / 2].rule);
    ck_assert((find(&w, "ami-old")->error.domain != ERROR_NONE) == cases[_i / 2].failed);
    ck_assert_str_eq(find(&w, "ami-new")->ruling.rule, "young");
    world_clear(&w);
}
END_TEST

START_TEST(images_are_left_alone_without_a_retention)
{
    struct world w;
    world_init(&w);
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-old", .created = OLD, .name = "a" });
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-new", .created = YOUNG, .name = "a" });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log), "list volume, list spot request, list image, list snapshot");
    world_clear(&w);
}
END_TEST

/* What a bake began and never got done with: at the end of its life, and a proven one of its name stays the newest. */
START_TEST(unproven_images_go_at_the_end_of_their_life)
{
    struct world w;
    world_init(&w);
    w.config.retention = _i == 0 ? 0 : 30 * DAY;
    put(&w, (struct item){ .kind = EC2_IMAGE, .id = "ami-good", .created = OLD, .name = "a", .kin = "x" });
    put(&w,
        (struct item){
            .kind = EC2_IMAGE, .id = "ami-dead", .created = MIDDLE, .name = "b", .kin = "x", .limits = "life=5400" });
    put(&w,
        (struct item){
            .kind = EC2_IMAGE, .id = "ami-made", .created = YOUNG, .name = "c", .kin = "x", .limits = "life=5400" });
    put(&w, (struct item){ .kind = EC2_SNAPSHOT, .id = "snap-dead", .created = MIDDLE, .limits = "life=5400" });
    put(&w, (struct item){ .kind = EC2_SNAPSHOT, .id = "snap-made", .created = YOUNG, .limits = "life=5400" });
    put(&w, (struct item){ /* of a copy that failed */
                           .kind = EC2_SNAPSHOT,
                           .id = "snap-failed",
                           .created = MIDDLE,
                           .limits = "life=5400",
                           .state = "error" });
    put(&w,
        (struct item){
            .kind = EC2_SNAPSHOT, .id = "snap-pending", .created = MIDDLE, .limits = "life=5400", .state = "pending" });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log), "list volume, list spot request, list image, remove ami-dead, list snapshot, "
                                         "remove snap-dead, remove snap-failed");
    ck_assert_str_eq(find(&w, "ami-dead")->ruling.rule, "unproven");
    ck_assert_str_eq(find(&w, "ami-good")->ruling.rule, _i == 0 ? "no-retention" : "newest");
    world_clear(&w);
}
END_TEST

START_TEST(a_rehearsal_removes_nothing)
{
    struct world w;
    world_init(&w);
    w.config.dry_run = true;
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-1", .created = OLD });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log), "list volume, list spot request, list image, list snapshot");
    ck_assert(find(&w, "vol-1")->ruling.remove && !find(&w, "vol-1")->removed);
    world_clear(&w);
}
END_TEST

START_TEST(what_cannot_be_read_or_removed_is_told)
{
    struct world w;
    world_init(&w);
    w.is_unreadable = true;
    w.unreadable = EC2_VOLUME;
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-1", .created = OLD });
    put(&w, (struct item){ .kind = EC2_SPOT_REQUEST,
                           .id = "sir-1",
                           .created = OLD,
                           .outcome = OUTCOME_FAILED,
                           .code = "UnauthorizedOperation" });
    pass(&w);
    ck_assert_str_eq(strbuf_str(&w.log), "list volume, list spot request, remove sir-1, list image, list snapshot");
    ck_assert_int_eq(w.l.errors[EC2_VOLUME].domain, ERROR_AWS);
    ck_assert_int_eq(w.l.errors[EC2_SPOT_REQUEST].domain, ERROR_NONE);
    ck_assert_int_eq(find(&w, "sir-1")->error.domain, ERROR_AWS);
    world_clear(&w);
}
END_TEST

/* A page of 300: one pass removes 200. */
START_TEST(one_pass_is_bounded)
{
    enum { N = 300 };
    struct world w;
    struct ec2_leftover rows[N];
    struct ec2_tag tag = { TAG_FLEET, FLEET };
    world_init(&w);
    leftovers_init(&w.l, &w.config);
    feed(&w, (struct event){ .kind = EVENT_START });
    for (size_t i = 0; i < N; i++)
        rows[i] = (struct ec2_leftover){ .id = "vol-1", .created = OLD, .state = "available", .tags = { &tag, 1, 1 } };
    feed(&w, (struct event){
                 .kind = EVENT_ANSWER, .act = ACT_LEFTOVERS, .leftovers = rows, .n_leftovers = N, .cloud_now = NOW });
    ck_assert_uint_eq(w.l.n, REAP_LEFTOVERS_MAX);
    ck_assert(w.l.more[EC2_VOLUME]);
    ck_assert_uint_eq(w.queue.n, 1 + 8);
    world_clear(&w);
}
END_TEST

START_TEST(a_signal_ends_it)
{
    struct world w;
    world_init(&w);
    put(&w, (struct item){ .kind = EC2_VOLUME, .id = "vol-1", .created = OLD });
    leftovers_init(&w.l, &w.config);
    feed(&w, (struct event){ .kind = EVENT_START });
    struct act a = w.queue.v[0];
    if (_i == 1)
        answer(&w, &a);
    feed(&w, (struct event){ .kind = EVENT_SIGNAL, .now = 1000 });
    ck_assert(w.l.machine.done == (_i == 0));
    ck_assert_int_eq(w.l.error.domain, ERROR_CANCELLED);
    if (_i == 1) { /* the removal that is under way is waited for, a while */
        a = w.queue.v[1];
        ck_assert_int_eq(w.l.machine.wake, 8000);
        answer(&w, &a);
        ck_assert(w.l.machine.done);
        ck_assert_uint_eq(w.queue.n, 2);
    }
    world_clear(&w);
}
END_TEST

/* --- on the wire -------------------------------------------------------------------------------------------------- */

static struct aws_call *answered(struct aws_call *call, const char *body)
{
    call->call.exchange.response.body = STRBUF_INIT;
    strbuf_adds(&call->call.exchange.response.body, body);
    return call;
}

START_TEST(requests_and_answers)
{
    static const struct {
        enum ec2_kind kind;
        const char *list, *rows, *id, *state, *remove, *removed;
    } cases[] = {
        { EC2_VOLUME,
          "Action=DescribeVolumes&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b&MaxResults=200&NextToken="
          "t",
          "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId><status>available</"
          "status><createTime>" OLD
          "</createTime><attachmentSet/><tagSet><item><key>k</key><value>v</value></item></tagSet></item></volumeSet>"
          "<nextToken>n</nextToken></DescribeVolumesResponse>",
          "vol-1", "available", "Action=DeleteVolume&Version=2016-11-15&VolumeId=x",
          "<DeleteVolumeResponse><return>true</return></DeleteVolumeResponse>" },
        { EC2_SPOT_REQUEST,
          "Action=DescribeSpotInstanceRequests&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b&MaxResults="
          "200"
          "&NextToken=t",
          "<DescribeSpotInstanceRequestsResponse><spotInstanceRequestSet><item><spotInstanceRequestId>sir-1"
          "</spotInstanceRequestId><state>open</state><status><code>x</code></status><createTime>" OLD
          "</createTime><tagSet><item><key>k</key><value>v</value></item></tagSet></item></spotInstanceRequestSet>"
          "<nextToken>n</nextToken></DescribeSpotInstanceRequestsResponse>",
          "sir-1", "open", "Action=CancelSpotInstanceRequests&Version=2016-11-15&SpotInstanceRequestId.1=x",
          "<CancelSpotInstanceRequestsResponse><spotInstanceRequestSet><item><spotInstanceRequestId>x"
          "</spotInstanceRequestId><state>cancelled</state></item></spotInstanceRequestSet>"
          "</CancelSpotInstanceRequestsResponse>" },
        { EC2_IMAGE,
          "Action=DescribeImages&Version=2016-11-15&Owner.1=self&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b&MaxResults="
          "200"
          "&NextToken=t",
          "<DescribeImagesResponse><imagesSet><item><imageId>ami-1</imageId><imageState>available</imageState>"
          "<creationDate>" OLD
          "</creationDate><name>n</name><architecture>arm64</architecture><tagSet><item><key>k</key>"
          "<value>v</value></item></tagSet></item></imagesSet><nextToken>n</nextToken></DescribeImagesResponse>",
          "ami-1", "available", "Action=DeregisterImage&Version=2016-11-15&ImageId=x",
          "<DeregisterImageResponse><return>true</return></DeregisterImageResponse>" },
        { EC2_SNAPSHOT,
          "Action=DescribeSnapshots&Version=2016-11-15&Owner.1=self&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b"
          "&MaxResults=200&NextToken=t",
          "<DescribeSnapshotsResponse><snapshotSet><item><snapshotId>snap-1</snapshotId><status>completed</status>"
          "<startTime>" OLD
          "</startTime><tagSet><item><key>k</key><value>v</value></item></tagSet></item></snapshotSet>"
          "<nextToken>n</nextToken></DescribeSnapshotsResponse>",
          "snap-1", "completed", "Action=DeleteSnapshot&Version=2016-11-15&SnapshotId=x",
          "<DeleteSnapshotResponse><return>true</return></DeleteSnapshotResponse>" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST values = { 0 };
    struct ec2_leftovers page;
    struct aws aws = { 0 };
    const enum ec2_kind kind = cases[_i].kind;
    strlist_add(&values, "b");
    const struct ec2_filter filter = { .name = "tag:a", .values = &values };
    AUTO_CALL *list = &ec2_list_leftovers_call(&aws, "us-east-1", kind, &filter, 1, "t")->call;
    ck_assert_str_eq(strbuf_str(&((struct aws_call *)list)->body), cases[_i].list);
    ASSERT_OK(ec2_list_leftovers_result(answered((struct aws_call *)list, cases[_i].rows), kind, &arena, &page, &err),
              &err);
    ck_assert_uint_eq(page.rows.n, 1);
    const struct ec2_leftover *row = FIELD_ROW(&page.rows, const struct ec2_leftover, 0);
    ck_assert_str_eq(row->id, cases[_i].id);
    ck_assert_str_eq(row->state, cases[_i].state);
    ck_assert_int_eq(ec2_leftover_created(row), 1693526400);
    ck_assert_str_eq(ec2_leftover_tag(row, "k"), "v");
    ck_assert_str_eq(page.next_token, "n");
    AUTO_CALL *remove = &ec2_remove_leftover_call(&aws, "us-east-1", kind, "x")->call;
    ck_assert_str_eq(strbuf_str(&((struct aws_call *)remove)->body), cases[_i].remove);
    ASSERT_OK(ec2_remove_leftover_result(answered((struct aws_call *)remove, cases[_i].removed), kind, &err), &err);
    AUTO_FREE char *not = xasprintf("<%sResponse><return>false</return></%sResponse>", remove->name, remove->name);
    strbuf_clear(&remove->exchange.response.body);
    ASSERT_FAILS(ec2_remove_leftover_result(answered((struct aws_call *)remove, not ), kind, &err), &err,
                 "the answer to");
}
END_TEST

START_TEST(many_are_tagged_at_once)
{
    AUTO_STRLIST ids = { 0 };
    struct aws aws = { 0 };
    strlist_add(&ids, "i-1");
    strlist_add(&ids, "i-2");
    AUTO_CALL *set = &ec2_tag_many_call(&aws, "us-east-1", &ids, "k", "a b")->call;
    AUTO_CALL *unset = &ec2_tag_many_call(&aws, "us-east-1", &ids, "k", NULL)->call;
    ck_assert_str_eq(
        strbuf_str(&((struct aws_call *)set)->body),
        "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&ResourceId.2=i-2&Tag.1.Key=k&Tag.1.Value=a%20b");
    ck_assert_str_eq(strbuf_str(&((struct aws_call *)unset)->body),
                     "Action=DeleteTags&Version=2016-11-15&ResourceId.1=i-1&ResourceId.2=i-2&Tag.1.Key=k");
}
END_TEST

static TCase *all(void)
{
    TCase *t = tcase_create("leftovers");
    tcase_add_test(t, every_combination_of_facts);
    tcase_add_test(t, volumes_and_spot_requests_go);
    tcase_add_test(t, images_go_past_their_retention);
    tcase_add_loop_test(t, images_that_are_needed_stay, 0, 12);
    tcase_add_test(t, images_are_left_alone_without_a_retention);
    tcase_add_loop_test(t, unproven_images_go_at_the_end_of_their_life, 0, 2);
    tcase_add_test(t, a_rehearsal_removes_nothing);
    tcase_add_test(t, what_cannot_be_read_or_removed_is_told);
    tcase_add_test(t, one_pass_is_bounded);
    tcase_add_loop_test(t, a_signal_ends_it, 0, 2);
    tcase_add_loop_test(t, requests_and_answers, 0, 4);
    tcase_add_test(t, many_are_tagged_at_once);
    return t;
}

int main(void)
{
    TCase *(*const cases[])(void) = { all };
    return run_suite("leftovers", cases, ARRAY_SIZE(cases));
}
