#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/dataset.h"
#include "dataset/featurize.h"

static const char *const TRANSFORMS[] = {"none", "binary", "log1p", NULL};
static const char *const NORMALIZES[] = {"none", "l2", NULL};

static json_t *featurizer_to_json(const struct dataset_featurizer *f)
{
    if (f->n_max == 0) {
        return json_null();
    }
    return json_pack("{s:b, s:i, s:i, s:i, s:b}", "words", f->words, "n_min",
                     (int)f->n_min, "n_max", (int)f->n_max, "bits",
                     (int)f->bits, "lowercase", f->lowercase);
}

static json_t *classes_to_json(const struct dataset_schema *s)
{
    json_t *a = json_array();

    for (uint32_t i = 0; a != NULL && i < s->n_classes; i++) {
        if (json_array_append_new(a, json_string(s->classes[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

int dataset_schema_to_json(const struct dataset_schema *s,
                           char **text,
                           struct err *e)
{
    json_t *j = json_pack(
        "{s:I, s:s, s:s, s:o, s:o}", "n_features", (json_int_t)s->n_features,
        "transform", TRANSFORMS[s->transform], "normalize",
        NORMALIZES[s->normalize], "featurizer",
        featurizer_to_json(&s->featurizer), "classes", classes_to_json(s));
    char *t = j == NULL ? NULL : json_dumps(j, JSON_COMPACT);

    json_decref(j);
    if (t == NULL) {
        return err_set(e, ERR_NOMEM, "schema of %u classes", s->n_classes);
    }
    *text = t;
    return 0;
}

static int bad_key(struct err *e, const char *key, const char *expected)
{
    return err_set(e, ERR_CORRUPT, "schema: \"%s\" is not %s", key, expected);
}

static int get_word(const json_t *j,
                    const char *key,
                    const char *const *words,
                    unsigned *x,
                    struct err *e)
{
    const char *s = json_string_value(json_object_get(j, key));

    for (unsigned i = 0; s != NULL && words[i] != NULL; i++) {
        if (strcmp(s, words[i]) == 0) {
            *x = i;
            return 0;
        }
    }
    return bad_key(e, key, "a known word");
}

static int get_u32(const json_t *j, const char *key, uint32_t *x, struct err *e)
{
    const json_t *v = json_object_get(j, key);
    json_int_t i = json_integer_value(v);

    if (!json_is_integer(v) || i < 0 || i > UINT32_MAX) {
        return bad_key(e, key, "a number from 0 to 4294967295");
    }
    *x = (uint32_t)i;
    return 0;
}

static int get_bool(const json_t *j, const char *key, bool *x, struct err *e)
{
    const json_t *v = json_object_get(j, key);

    if (!json_is_boolean(v)) {
        return bad_key(e, key, "true or false");
    }
    *x = json_is_true(v);
    return 0;
}

static int
get_featurizer(const json_t *j, struct dataset_schema *s, struct err *e)
{
    struct dataset_featurizer *f = &s->featurizer;
    const json_t *v = json_object_get(j, "featurizer");
    struct err why;
    int rc;

    if (json_is_null(v)) {
        return 0;
    }
    if (!json_is_object(v)) {
        return bad_key(e, "featurizer", "an object or null");
    }
    if ((rc = get_bool(v, "words", &f->words, e)) != 0 ||
        (rc = get_u32(v, "n_min", &f->n_min, e)) != 0 ||
        (rc = get_u32(v, "n_max", &f->n_max, e)) != 0 ||
        (rc = get_u32(v, "bits", &f->bits, e)) != 0 ||
        (rc = get_bool(v, "lowercase", &f->lowercase, e)) != 0) {
        return rc;
    }
    if (dataset_featurizer_check(f, &why) != 0) {
        return err_set(e, ERR_CORRUPT, "schema: \"featurizer\": %s", why.msg);
    }
    if (s->n_features < 1u << f->bits) {
        return bad_key(e, "n_features", "enough for the featurizer");
    }
    return 0;
}

static int get_classes(const json_t *j, struct dataset_schema *s, struct err *e)
{
    const json_t *a = json_object_get(j, "classes");
    size_t n = json_array_size(a);

    if (!json_is_array(a) || n >= DATASET_NO_LABEL) {
        return bad_key(e, "classes", "a list");
    }
    s->classes = calloc(n + 1, sizeof *s->classes);
    if (s->classes == NULL) {
        return err_set(e, ERR_NOMEM, "%zu classes", n);
    }
    for (; s->n_classes < n; s->n_classes++) {
        const char *name = json_string_value(json_array_get(a, s->n_classes));
        if (name == NULL) {
            return bad_key(e, "classes", "a list of names");
        }
        s->classes[s->n_classes] = strdup(name);
        if (s->classes[s->n_classes] == NULL) {
            return err_set(e, ERR_NOMEM, "%zu classes", n);
        }
    }
    return 0;
}

static int get_all(const json_t *j, struct dataset_schema *s, struct err *e)
{
    unsigned transform = 0, normalize = 0;
    int rc;

    if ((rc = get_u32(j, "n_features", &s->n_features, e)) != 0 ||
        (rc = get_word(j, "transform", TRANSFORMS, &transform, e)) != 0 ||
        (rc = get_word(j, "normalize", NORMALIZES, &normalize, e)) != 0) {
        return rc;
    }
    s->transform = (enum dataset_transform)transform;
    s->normalize = (enum dataset_normalize)normalize;
    rc = get_featurizer(j, s, e);
    return rc != 0 ? rc : get_classes(j, s, e);
}

int dataset_schema_from_json(struct dataset_schema *s,
                             const char *text,
                             struct err *e)
{
    struct dataset_schema x = {0};
    json_error_t why;
    json_t *j = json_loads(text, 0, &why);
    int rc;

    if (!json_is_object(j)) {
        json_decref(j);
        return err_set(e, ERR_CORRUPT, "schema: not a JSON object");
    }
    rc = get_all(j, &x, e);
    json_decref(j);
    if (rc != 0) {
        dataset_schema_fini(&x);
        return rc;
    }
    *s = x;
    return 0;
}
