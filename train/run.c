#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/hash.h"
#include "dataset/sharding.h"
#include "train/window.h"

static const char *const MODES[TRAIN_MODE_COUNT] = {"bsp", "pipeline", "ssp",
                                                    "asp", "adaptive"};
#define ADAPTIVE_HIGH 8 /* Staleness at most, where nothing was said. */

/* What may stand behind a kind of repair, ":N" with N from 1 to max; max 0:
 * nothing. */
static const struct {
    const char *name;
    unsigned long max;
} REPAIRS[TRAIN_REPAIR_COUNT] = {
    [TRAIN_REPAIR_LAZY] = {"lazy", TRAIN_LAZY_MAX},
    [TRAIN_REPAIR_NONE] = {"none", 0},
    [TRAIN_REPAIR_SYNC] = {"sync", TRAIN_MIX_MAX},
    [TRAIN_REPAIR_ROTATE] = {"rotate", TRAIN_MIX_MAX},
};

static const char *const DURABILITIES[] = {"none", "clock", "interval"};

void train_run_init(struct train_run *r)
{
    memset(r, 0, sizeof *r);
    r->repair_clocks = 1;
}

void train_run_fini(struct train_run *r)
{
    dataset_schema_fini(&r->schema);
    free(r->data);
    free(r->test);
    free(r->labels);
    memset(r, 0, sizeof *r);
}

/* The best rate of rowgrad grows with the classes: the more there are, the less
 * of u is at a row's own, and h counts all of it. */
static float default_lr(enum sv_rule rule, uint32_t n_classes)
{
    switch (rule) {
    case SV_PLAIN:
        return 0.1f;
    case SV_MOMENTUM:
        return 0.01f;
    case SV_ADAGRAD:
        return 0.3f;
    default:
        return sqrtf((float)n_classes) / 6.0f;
    }
}

void train_run_default(struct train_run *r, bool dense_data)
{
    if (r->rule == SV_RULE_COUNT) {
        r->rule = dense_data ? SV_PLAIN : SV_ROWGRAD;
    }
    if (r->lr == 0) {
        r->lr = default_lr(r->rule, r->schema.n_classes);
    }
}

struct dataset_options train_run_data_options(const struct train_run *r)
{
    return (struct dataset_options){.transform = r->schema.transform,
                                    .normalize = r->schema.normalize,
                                    .featurizer = r->schema.featurizer,
                                    .n_features = r->schema.n_features,
                                    .sharding = r->shards,
                                    .labels = r->labels};
}

int train_run_complete(struct train_run *r,
                       const struct dataset *data,
                       double epochs,
                       struct err *e)
{
    int rc;

    dataset_schema_fini(&r->schema);
    rc = dataset_schema_copy(&r->schema, &data->schema, e);
    if (rc != 0) {
        return rc;
    }
    train_run_default(r, data->dense);
    r->n_rows = data->n_rows_file;
    r->data_fingerprint = data->fingerprint;
    if (r->transfer.kind == TRAIN_TRANSFER_AUTO) {
        r->transfer.kind =
            train_transfer_choose(r->schema.n_classes, r->schema.n_features,
                                  r->batch, r->n_peers, !data->dense);
    }
    if (r->transfer.kind != TRAIN_TRANSFER_SV) {
        r->tau = 0; /* A sum over all peers is not sparse in u. */
        r->unbiased = false;
    }
    if (r->clocks == 0) {
        double clocks =
            ceil(epochs * (double)r->n_rows / ((double)r->batch * r->n_peers));
        r->clocks = clocks < 1 ? 1 : (uint64_t)clocks;
    }
    return 0;
}

/* Numbers of 64 bits go as hex text: JSON's integers are signed. */
static json_t *json_u64(uint64_t x)
{
    return json_sprintf("%016" PRIx64, x);
}

/* What training is a function of, but for the schema. */
static json_t *settings_to_json(const struct train_run *r)
{
    char multicast[P2P_MULTICAST_TEXT_SIZE], select[SELECT_SPEC_SIZE];
    char codec[SV_CODEC_OPTIONS_SIZE], repair[TRAIN_REPAIR_SIZE];
    char transfer[TRAIN_TRANSFER_TEXT_SIZE];

    train_repair_format(r, repair);
    select_spec_format(&r->select, select);
    sv_codec_options_format(&r->codec, codec);
    p2p_multicast_format(&r->multicast, multicast);
    train_transfer_format(&r->transfer, transfer);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:I, s:o, s:I, s:I, s:s, s:f, "
        "s:f, s:f, s:f, "
        "s:f, s:b,"
        " s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:s*, s:s*}",
        "model", r->model, "multicast", multicast, "repair", repair, "select",
        select, "feedback", (json_int_t)r->select.feedback, "codec", codec,
        "bias", (int)r->bias, "peers", (json_int_t)r->n_peers, "seed",
        json_u64(r->seed), "batch", (json_int_t)r->batch, "clocks",
        (json_int_t)r->clocks, "optimizer", sv_rule_name(r->rule), "lr",
        (double)r->lr, "eps", (double)r->eps, "momentum", (double)r->momentum,
        "decay", (double)r->decay, "tau", (double)r->tau, "unbiased",
        (int)r->unbiased, "mode", MODES[r->mode], "staleness",
        (json_int_t)r->staleness, "staleness_min", (json_int_t)r->staleness_min,
        "digest_every", (json_int_t)r->digest_every, "eval_every",
        (json_int_t)r->eval_every, "rows", (json_int_t)r->n_rows, "fingerprint",
        json_u64(r->data_fingerprint), "shards",
        r->shards == DATASET_INTERLEAVED ? NULL
                                         : dataset_sharding_name(r->shards),
        "transfer", r->transfer.kind == TRAIN_TRANSFER_SV ? NULL : transfer);
}

static json_t *training_to_json(const struct train_run *r)
{
    json_t *t = settings_to_json(r);

    if (t != NULL && r->branch != 0) {
        json_object_set_new(t, "branch", json_u64(r->branch));
        json_object_set_new(t, "branch_clock",
                            json_integer((json_int_t)r->branch_clock));
    }
    return t;
}

/* Only where there are any: older versions knew none. */
static void put_limits(json_t *root, const struct train_run *r)
{
    const struct {
        const char *key;
        uint64_t x;
    } limits[] = {{"segment_size", r->segment_size},
                  {"keep_clocks", r->keep_clocks},
                  {"log_limit", r->log_limit}};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].x != 0) {
            json_object_set_new(root, limits[i].key,
                                json_integer((json_int_t)limits[i].x));
        }
    }
    if (r->until.kind != TRAIN_UNTIL_CLOCKS) {
        char until[TRAIN_UNTIL_SIZE];
        train_until_format(&r->until, until);
        json_object_set_new(root, "until", json_string(until));
    }
}

int train_run_to_json(const struct train_run *r, char **text, struct err *e)
{
    char *schema_text = NULL;
    json_t *root = NULL, *training;
    int rc = dataset_schema_to_json(&r->schema, &schema_text, e);

    if (rc != 0) {
        return rc;
    }
    training = training_to_json(r);
    root = json_pack("{s:o, s:o?, s:o?, s:s?, s:s?, s:s?, s:s, s:f, s:f}",
                     "run", json_u64(r->run), "training", training, "schema",
                     json_loads(schema_text, 0, NULL), "data", r->data, "test",
                     r->test, "labels", r->labels, "durability",
                     DURABILITIES[r->durability], "durability_seconds",
                     (double)r->durability_ns * 1e-9, "peer_timeout_seconds",
                     (double)r->peer_timeout_ns * 1e-9);
    free(schema_text);
    if (root != NULL) {
        put_limits(root, r);
    }
    *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return *text != NULL ? 0 : err_set(e, ERR_NOMEM, "description of the run");
}

static int missing(struct err *e, const char *key)
{
    return err_set(e, ERR_CORRUPT, "description of the run: no valid \"%s\"",
                   key);
}

static int get_u64(const json_t *o, const char *key, uint64_t *x, struct err *e)
{
    const char *text = json_string_value(json_object_get(o, key));
    char *end;

    if (text == NULL || *text == '\0') {
        return missing(e, key);
    }
    *x = strtoull(text, &end, 16);
    return *end == '\0' ? 0 : missing(e, key);
}

static int get_count(const json_t *o,
                     const char *key,
                     uint64_t max,
                     uint64_t *x,
                     struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        (uint64_t)json_integer_value(v) > max) {
        return missing(e, key);
    }
    *x = (uint64_t)json_integer_value(v);
    return 0;
}

static int get_f32(const json_t *o, const char *key, float *x, struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_number(v)) {
        return missing(e, key);
    }
    *x = (float)json_number_value(v);
    return 0;
}

static int get_choice(const json_t *o,
                      const char *key,
                      const char *const *names,
                      int n,
                      int *choice,
                      struct err *e)
{
    const char *text = json_string_value(json_object_get(o, key));

    for (int i = 0; text != NULL && i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *choice = i;
            return 0;
        }
    }
    return missing(e, key);
}

static int
get_text(const json_t *o, const char *key, char **text, struct err *e)
{
    const char *s = json_string_value(json_object_get(o, key));

    *text = s == NULL ? NULL : strdup(s);
    return s == NULL || *text != NULL ? 0 : err_set(e, ERR_NOMEM, "%s", key);
}

static int rule_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const char *names[SV_RULE_COUNT];
    int rule = 0, rc;

    for (int i = 0; i < SV_RULE_COUNT; i++) {
        names[i] = sv_rule_name((enum sv_rule)i);
    }
    rc = get_choice(t, "optimizer", names, SV_RULE_COUNT, &rule, e);
    r->rule = (enum sv_rule)rule;
    rc = rc != 0 ? rc : get_f32(t, "lr", &r->lr, e);
    rc = rc != 0 ? rc : get_f32(t, "eps", &r->eps, e);
    rc = rc != 0 ? rc : get_f32(t, "momentum", &r->momentum, e);
    rc = rc != 0 ? rc : get_f32(t, "decay", &r->decay, e);
    rc = rc != 0 ? rc : get_f32(t, "tau", &r->tau, e);
    r->unbiased = json_is_true(json_object_get(t, "unbiased"));
    return rc;
}

static int counts_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    uint64_t peers = 0, batch = 0, staleness = 0, low = 0;
    int mode = 0, rc;

    rc = get_count(t, "peers", TRAIN_PEERS_MAX, &peers, e);
    rc = rc != 0 ? rc : get_count(t, "batch", SV_N_MAX, &batch, e);
    rc = rc != 0 ? rc : get_count(t, "staleness", UINT32_MAX, &staleness, e);
    rc = rc != 0 ? rc : get_count(t, "staleness_min", staleness, &low, e);
    rc = rc != 0 ? rc : get_count(t, "clocks", INT64_MAX, &r->clocks, e);
    rc = rc != 0 ? rc
                 : get_count(t, "digest_every", INT64_MAX, &r->digest_every, e);
    rc =
        rc != 0 ? rc : get_count(t, "eval_every", INT64_MAX, &r->eval_every, e);
    rc = rc != 0 ? rc : get_count(t, "rows", INT64_MAX, &r->n_rows, e);
    rc =
        rc != 0 ? rc : get_choice(t, "mode", MODES, TRAIN_MODE_COUNT, &mode, e);
    rc = rc != 0 ? rc : get_u64(t, "seed", &r->seed, e);
    rc = rc != 0 ? rc : get_u64(t, "fingerprint", &r->data_fingerprint, e);
    if (rc == 0 && (peers == 0 || batch == 0)) {
        rc = missing(e, peers == 0 ? "peers" : "batch");
    }
    r->staleness_min = (uint32_t)low;
    r->n_peers = (uint32_t)peers;
    r->batch = (uint32_t)batch;
    r->staleness = (uint32_t)staleness;
    r->mode = (enum train_mode)mode;
    return rc;
}

/* A log from before there were kinds has "lazy", the L of lazy:L. */
static int repair_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const char *repair = json_string_value(json_object_get(t, "repair"));
    uint64_t lazy = 0;
    int rc;

    if (json_object_get(t, "lazy") == NULL) {
        return repair != NULL && train_repair_parse(r, repair, NULL) == 0
                   ? 0
                   : missing(e, "repair");
    }
    rc = get_count(t, "lazy", TRAIN_LAZY_MAX, &lazy, e);
    r->repair = TRAIN_REPAIR_LAZY;
    r->repair_clocks = (uint32_t)lazy;
    return rc != 0 || lazy > 0 ? rc : missing(e, "lazy");
}

static int choice_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const char *select = json_string_value(json_object_get(t, "select"));
    const char *codec = json_string_value(json_object_get(t, "codec"));
    uint64_t feedback = 0;
    int rc = get_count(t, "feedback", SV_N_MAX, &feedback, e);

    if (rc != 0) {
        return rc;
    }
    if (select == NULL || select_spec_parse(&r->select, select, NULL) != 0) {
        return missing(e, "select");
    }
    if (codec == NULL || sv_codec_options_parse(&r->codec, codec, NULL) != 0) {
        return missing(e, "codec");
    }
    r->select.feedback = (uint32_t)feedback;
    return 0;
}

/* Runs from before there was a choice do not say it. */
static int shards_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const json_t *v = json_object_get(t, "shards");
    const char *text = json_string_value(v);

    if (v == NULL) {
        return 0;
    }
    return text == NULL || dataset_sharding_parse(&r->shards, text, NULL) != 0
               ? missing(e, "shards")
               : 0;
}

/* The same. */
static int
transfer_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const json_t *v = json_object_get(t, "transfer");
    const char *text = json_string_value(v);

    if (v == NULL) {
        return 0;
    }
    return text == NULL || train_transfer_parse(&r->transfer, text, NULL) != 0
               ? missing(e, "transfer")
               : 0;
}

static int
training_from_json(struct train_run *r, const json_t *t, struct err *e)
{
    const char *model = json_string_value(json_object_get(t, "model"));
    const char *multicast = json_string_value(json_object_get(t, "multicast"));
    int rc;

    if (model == NULL || strlen(model) >= sizeof r->model) {
        return missing(e, "model");
    }
    strcpy(r->model, model);
    if (multicast == NULL ||
        p2p_multicast_parse(&r->multicast, multicast, NULL) != 0) {
        return missing(e, "multicast");
    }
    rc = choice_from_json(r, t, e);
    rc = rc != 0 ? rc : repair_from_json(r, t, e);
    if (rc != 0) {
        return rc;
    }
    r->bias = json_is_true(json_object_get(t, "bias"));
    if (json_object_get(t, "branch") != NULL &&
        ((rc = get_u64(t, "branch", &r->branch, e)) != 0 ||
         (rc = get_count(t, "branch_clock", INT64_MAX, &r->branch_clock, e)) !=
             0)) {
        return rc;
    }
    rc = shards_from_json(r, t, e);
    rc = rc != 0 ? rc : transfer_from_json(r, t, e);
    rc = rc != 0 ? rc : rule_from_json(r, t, e);
    rc = rc != 0 ? rc : counts_from_json(r, t, e);
    return rc == 0 && train_run_check(r, NULL) != 0 ? missing(e, "repair") : rc;
}

static int
schema_from_json(struct train_run *r, const json_t *root, struct err *e)
{
    char *text = json_dumps(json_object_get(root, "schema"), JSON_COMPACT);
    int rc;

    if (text == NULL) {
        return missing(e, "schema");
    }
    rc = dataset_schema_from_json(&r->schema, text, e);
    free(text);
    return rc == 0 ? 0 : err_wrap(e, rc, "description of the run");
}

/* As get_count(), but 0 if it is not there. */
static int
get_limit(const json_t *o, const char *key, uint64_t *x, struct err *e)
{
    *x = 0;
    return json_object_get(o, key) == NULL ? 0
                                           : get_count(o, key, INT64_MAX, x, e);
}

/* Most runs have none. */
static int
until_from_json(struct train_run *r, const json_t *root, struct err *e)
{
    const json_t *v = json_object_get(root, "until");
    const char *text = json_string_value(v);

    if (v == NULL) {
        return 0;
    }
    return text != NULL && train_until_parse(&r->until, text, NULL) == 0
               ? 0
               : missing(e, "until");
}

static int
running_from_json(struct train_run *r, const json_t *root, struct err *e)
{
    float durability_s = 0, timeout_s = 0;
    int durability = 0, rc;

    rc = get_choice(root, "durability", DURABILITIES, 3, &durability, e);
    rc = rc != 0 ? rc : get_f32(root, "durability_seconds", &durability_s, e);
    rc = rc != 0 ? rc : get_f32(root, "peer_timeout_seconds", &timeout_s, e);
    rc = rc != 0 ? rc : get_text(root, "data", &r->data, e);
    rc = rc != 0 ? rc : get_text(root, "test", &r->test, e);
    rc = rc != 0 ? rc : get_text(root, "labels", &r->labels, e);
    rc = rc != 0 ? rc : get_limit(root, "segment_size", &r->segment_size, e);
    rc = rc != 0 ? rc : get_limit(root, "keep_clocks", &r->keep_clocks, e);
    rc = rc != 0 ? rc : get_limit(root, "log_limit", &r->log_limit, e);
    rc = rc != 0 ? rc : until_from_json(r, root, e);
    r->durability = (enum ckpt_durability)durability;
    r->durability_ns = (uint64_t)((double)durability_s * 1e9);
    r->peer_timeout_ns = (uint64_t)((double)timeout_s * 1e9);
    return rc;
}

int train_run_from_json(struct train_run *r, const char *text, struct err *e)
{
    json_error_t at;
    json_t *root = json_loads(text, 0, &at);
    int rc;

    if (root == NULL) {
        return err_set(e, ERR_CORRUPT, "description of the run: %s", at.text);
    }
    rc = get_u64(root, "run", &r->run, e);
    rc = rc != 0 ? rc
                 : training_from_json(r, json_object_get(root, "training"), e);
    rc = rc != 0 ? rc : schema_from_json(r, root, e);
    rc = rc != 0 ? rc : running_from_json(r, root, e);
    json_decref(root);
    if (rc != 0) {
        train_run_fini(r);
    }
    return rc;
}

uint64_t train_run_fingerprint(const struct train_run *r)
{
    char *schema = NULL, *training = NULL;
    json_t *t = training_to_json(r);
    uint64_t h = 0;

    if (t != NULL && dataset_schema_to_json(&r->schema, &schema, NULL) == 0) {
        training = json_dumps(t, JSON_COMPACT | JSON_SORT_KEYS);
    }
    if (training != NULL) {
        h = hash64_two(training, strlen(training), schema, strlen(schema));
    }
    free(training);
    free(schema);
    json_decref(t);
    return h;
}

void train_mode_format(const struct train_run *r, char text[32])
{
    if (r->mode == TRAIN_PIPELINE || r->mode == TRAIN_SSP) {
        snprintf(text, 32, "%s:%u", MODES[r->mode], r->staleness);
    } else if (r->mode == TRAIN_ADAPTIVE) {
        snprintf(text, 32, "adaptive:%u-%u", r->staleness_min, r->staleness);
    } else {
        snprintf(text, 32, "%s", MODES[r->mode]);
    }
}

/* ":LOW-HIGH", or nothing. */
static int adaptive_parse(struct train_run *r, const char *text, struct err *e)
{
    unsigned low = 0, high = ADAPTIVE_HIGH;
    int end = 0;

    if (*text != '\0' &&
        (sscanf(text, ":%2u-%2u%n", &low, &high, &end) != 2 ||
         text[end] != '\0' || low > high || high > TRAIN_STALENESS_MAX)) {
        return err_set(e, ERR_INVALID,
                       "\"adaptive%s\": adaptive, or adaptive:LOW-HIGH with"
                       " clocks from 0 to %d",
                       text, TRAIN_STALENESS_MAX);
    }
    r->mode = TRAIN_ADAPTIVE;
    r->staleness_min = low;
    r->staleness = high;
    return 0;
}

int train_mode_parse(struct train_run *r, const char *text, struct err *e)
{
    if (strncmp(text, "adaptive", 8) == 0) {
        return adaptive_parse(r, text + 8, e);
    }
    for (int i = 0; i < TRAIN_ADAPTIVE; i++) {
        size_t n = strlen(MODES[i]);
        bool counted = i == TRAIN_PIPELINE || i == TRAIN_SSP;
        unsigned long s = 0;
        char *end;
        if (strncmp(text, MODES[i], n) != 0 ||
            text[n] != (counted ? ':' : '\0')) {
            continue;
        }
        if (counted) {
            s = strtoul(text + n + 1, &end, 10);
            if (text[n + 1] < '0' || text[n + 1] > '9' || *end != '\0' ||
                s > TRAIN_STALENESS_MAX) {
                return err_set(e, ERR_INVALID,
                               "\"%s\": clocks behind are 0 to %d, as in %s:4",
                               text, TRAIN_STALENESS_MAX, MODES[i]);
            }
        }
        r->mode = (enum train_mode)i;
        r->staleness = (uint32_t)s;
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\" is no consistency mode: bsp, pipeline:S, ssp:S,"
                   " asp or adaptive:LOW-HIGH",
                   text);
}

void train_repair_format(const struct train_run *r,
                         char text[TRAIN_REPAIR_SIZE])
{
    if (REPAIRS[r->repair].max > 0) {
        snprintf(text, TRAIN_REPAIR_SIZE, "%s:%u", REPAIRS[r->repair].name,
                 r->repair_clocks);
    } else {
        snprintf(text, TRAIN_REPAIR_SIZE, "%s", REPAIRS[r->repair].name);
    }
}

int train_sparsify_parse(struct train_run *r, const char *text, struct err *e)
{
    char *end;
    float tau = strtof(text, &end);
    bool unbiased = strcmp(end, ":unbiased") == 0;

    if (end == text || !(tau >= 0 && tau <= 1) || (*end != '\0' && !unbiased)) {
        return err_set(e, ERR_INVALID,
                       "%s: a number from 0 to 1 is wanted, or one with"
                       " :unbiased",
                       text);
    }
    r->tau = tau;
    r->unbiased = unbiased;
    return 0;
}

int train_repair_parse(struct train_run *r, const char *text, struct err *e)
{
    for (int i = 0; i < TRAIN_REPAIR_COUNT; i++) {
        size_t n = strlen(REPAIRS[i].name);
        unsigned long clocks = 0, max = REPAIRS[i].max;
        char *end = NULL;
        if (strncmp(text, REPAIRS[i].name, n) != 0 ||
            text[n] != (max > 0 ? ':' : '\0')) {
            continue;
        }
        if (max > 0) {
            clocks = strtoul(text + n + 1, &end, 10);
            if (text[n + 1] < '0' || text[n + 1] > '9' || *end != '\0' ||
                clocks < 1 || clocks > max) {
                return err_set(e, ERR_INVALID,
                               "\"%s\": clocks are 1 to %lu, as in %s:4", text,
                               max, REPAIRS[i].name);
            }
        }
        r->repair = (enum train_repair)i;
        r->repair_clocks = (uint32_t)clocks;
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\" is no kind of repair: lazy:L, sync:S, rotate:S or"
                   " none",
                   text);
}

int train_run_check(const struct train_run *r, struct err *e)
{
    const struct train_delivery d = train_run_delivery(r, r->clocks);
    char mode[32], multicast[P2P_MULTICAST_TEXT_SIZE];
    char repair[TRAIN_REPAIR_SIZE];

    train_repair_format(r, repair);
    if (r->multicast.kind == P2P_MULTICAST_ALL &&
        (r->repair == TRAIN_REPAIR_SYNC || r->repair == TRAIN_REPAIR_ROTATE)) {
        return err_set(e, ERR_INVALID,
                       "--repair %s mixes replicas that a schedule leads apart,"
                       " and --multicast all leaves out nobody: use --multicast"
                       " random:Q, halton:Q or ring, or leave --repair away",
                       repair);
    }
    if (!train_delivery_leaves_out(&d) ||
        (r->mode != TRAIN_BSP && r->mode != TRAIN_PIPELINE)) {
        return 0;
    }
    train_mode_format(r, mode);
    p2p_multicast_format(&r->multicast, multicast);
    return err_set(e, ERR_INVALID,
                   "--consistency %s wants all batches at all peers, which"
                   " --multicast %s --repair %s leaves out for good: use"
                   " --repair lazy:L, --multicast all or --consistency ssp:S",
                   mode, multicast, repair);
}

struct train_delivery train_run_delivery(const struct train_run *r,
                                         uint64_t last_clock)
{
    struct train_delivery d = {
        .schedule = r->multicast,
        .repair = r->repair,
        .lazy = r->repair == TRAIN_REPAIR_LAZY ? r->repair_clocks : 1,
        .last_clock = last_clock};

    d.schedule.seed = r->seed;
    d.schedule.n_peers = r->n_peers;
    return d;
}

uint64_t train_run_memory(const struct train_run *r)
{
    uint64_t lazy =
        r->multicast.kind == P2P_MULTICAST_ALL || r->repair != TRAIN_REPAIR_LAZY
            ? 0
            : r->repair_clocks;

    switch (r->mode) {
    case TRAIN_BSP:
        return lazy;
    case TRAIN_PIPELINE:
        return lazy + r->staleness;
    case TRAIN_SSP:
    case TRAIN_ADAPTIVE:
        return lazy + r->staleness + 1;
    default:
        return TRAIN_WINDOW;
    }
}

char *train_peer_dir(const char *dir, uint32_t peer)
{
    char *path;

    return asprintf(&path, "%s/peer-%u", dir, peer) < 0 ? NULL : path;
}

double train_run_epochs(const struct train_run *r, uint64_t clock)
{
    if (r->n_rows == 0) {
        return 0;
    }
    return (double)clock * (double)r->batch * (double)r->n_peers /
           (double)r->n_rows;
}
