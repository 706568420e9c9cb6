/* Unit tests of dataset/bin.h. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/hash.h"
#include "dataset/bin.h"
#include "dataset/read.h"
#include "tests/support/test.h"

#define GOOD TEST_SOURCE_DIR "/tests/data/good/"
#define PATH "test.bin"

static void
read_ok(struct dataset *d, const char *path, const struct dataset_options *o)
{
    struct err e;

    if (dataset_read(d, path, o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void
convert(const char *path, const struct dataset_options *o, struct dataset *d)
{
    struct err e;

    read_ok(d, path, o);
    if (dataset_bin_write(d, PATH, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

/* The rows of @part are those of @whole with their numbers. */
static void check_rows(const struct dataset *part, const struct dataset *whole)
{
    assert_int_equal(part->dense, whole->dense);
    assert_int_equal(part->n_rows_file, whole->n_rows_file);
    assert_true(part->fingerprint == whole->fingerprint);
    assert_int_equal(part->schema.n_classes, whole->schema.n_classes);
    for (uint32_t i = 0; i < part->n_rows; i++) {
        uint32_t at = (uint32_t)dataset_row_number(part, i);
        struct dataset_row x = dataset_row(part, i);
        struct dataset_row y = dataset_row(whole, at);
        assert_int_equal(x.nnz, y.nnz);
        assert_int_equal(part->label[i], whole->label[at]);
        assert_memory_equal(x.val, y.val, x.nnz * sizeof *x.val);
        if (!whole->dense) {
            assert_memory_equal(x.idx, y.idx, x.nnz * sizeof *x.idx);
        }
    }
}

static void test_every_format_is_the_same_as_binary(void **state)
{
    static const char *const FILES[] = {"names.svm", "numbers.svm.gz",
                                        "text.tsv",  "docs.ldac",
                                        "rows.idx",  "rows.npy"};

    (void)state;
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        struct dataset_options o = {0};
        struct dataset whole, d;
        char path[512];
        snprintf(path, sizeof path, GOOD "%s", FILES[i]);
        convert(path, &o, &whole);
        read_ok(&d, PATH, &o);
        assert_non_null(d.map);
        check_rows(&d, &whole);
        assert_int_equal(d.schema.featurizer.n_max,
                         whole.schema.featurizer.n_max);
        assert_int_equal(d.schema.normalize, whole.schema.normalize);
        dataset_fini(&d);
        o.n_shards = 3;
        for (uint32_t s = 0; s < 3 * DATASET_SHARDING_COUNT; s++) {
            o.shard = s % 3;
            o.sharding = (enum dataset_sharding)(s / 3);
            read_ok(&d, PATH, &o);
            assert_null(d.map);
            check_rows(&d, &whole);
            dataset_fini(&d);
        }
        dataset_fini(&whole);
    }
    unlink(PATH);
}

static void test_values_can_be_transformed_later(void **state)
{
    struct dataset_options o = {0};
    struct dataset plain, d, want;

    (void)state;
    convert(GOOD "names.svm", &o, &plain);
    dataset_fini(&plain);
    o.transform = DATASET_TRANSFORM_BINARY;
    o.normalize = DATASET_NORMALIZE_L2;
    read_ok(&want, GOOD "names.svm", &o);
    read_ok(&d, PATH, &o);
    check_rows(&d, &want);
    assert_int_equal(d.schema.transform, DATASET_TRANSFORM_BINARY);
    assert_int_equal(d.schema.normalize, DATASET_NORMALIZE_L2);
    dataset_fini(&d);
    dataset_fini(&want);
    unlink(PATH);
}

static void test_what_has_been_done_is_not_done_again(void **state)
{
    struct dataset_options o = {.normalize = DATASET_NORMALIZE_L2};
    struct dataset a, b;
    struct err e;

    (void)state;
    convert(GOOD "names.svm", &o, &a);
    read_ok(&b, PATH, &o);
    assert_non_null(b.map);
    check_rows(&b, &a);
    dataset_fini(&b);
    o.normalize = DATASET_NORMALIZE_NONE; /* As the file has it. */
    read_ok(&b, PATH, &o);
    assert_int_equal(b.schema.normalize, DATASET_NORMALIZE_L2);
    dataset_fini(&b);
    o.transform = DATASET_TRANSFORM_BINARY;
    assert_int_equal(dataset_read(&b, PATH, &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg,
                        "read " PATH ": the values have been transformed or "
                        "normalized in another way: convert the "
                        "original again");
    dataset_fini(&a);
    unlink(PATH);
}

static void test_a_schema_maps_the_classes_of_a_binary(void **state)
{
    char *classes[] = {(char *)"bird", (char *)"dog"};
    struct dataset_schema s = {
        .n_features = 4, .n_classes = 2, .classes = classes};
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    convert(GOOD "names.svm", &o, &d);
    dataset_fini(&d);
    o.schema = &s;
    read_ok(&d, PATH, &o);
    assert_null(d.map);
    assert_true(d.label[0] == DATASET_NO_LABEL);
    assert_int_equal(d.label[1], 1);
    assert_int_equal(d.n_unknown_labels, 2);
    assert_int_equal(d.n_unknown_features, 1);
    assert_int_equal(dataset_row(&d, 3).nnz, 0);
    dataset_fini(&d);
    unlink(PATH);
}

static void load(struct buf *b)
{
    FILE *f = fopen(PATH, "rb");
    char chunk[4096];
    size_t n;

    assert_non_null(f);
    buf_init(b);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        buf_put(b, chunk, n);
    }
    fclose(f);
    assert_false(b->failed);
}

static int read_bytes(const void *data, size_t size, struct err *e)
{
    struct dataset_source from = {.path = PATH, .data = data, .size = size};
    struct dataset_options o = {0};
    struct dataset d;
    int rc = dataset_read_source(&d, &from, &o, e);

    if (rc == 0) {
        dataset_fini(&d);
    }
    return rc;
}

/* Bytes 184 .. 191 and what fills up to 64 belong to nothing. */
static bool counts(const struct buf *b, size_t at)
{
    if (at < 184) {
        return true;
    }
    for (size_t i = 0; i < 5; i++) {
        uint64_t begin = le_u64(b->data + 56 + 24 * i);
        if (at >= begin && at < begin + le_u64(b->data + 64 + 24 * i)) {
            return true;
        }
    }
    return false;
}

static void test_every_flipped_bit_is_found(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;
    struct buf b;

    (void)state;
    convert(GOOD "names.svm", &o, &d);
    dataset_fini(&d);
    load(&b);
    assert_int_equal(read_bytes(b.data, b.size, NULL), 0);
    for (size_t i = 8; i < b.size; i++) { /* Else the format is another. */
        b.data[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(read_bytes(b.data, b.size, NULL),
                         counts(&b, i) ? ERR_CORRUPT : 0);
        b.data[i] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t size = 8; size < b.size; size++) {
        assert_int_equal(read_bytes(b.data, size, NULL), ERR_CORRUPT);
    }
    buf_fini(&b);
    unlink(PATH);
}

/* Make the checksums right again, so that only the content is wrong. */
static void seal(struct buf *b)
{
    for (size_t i = 0; i < 5; i++) {
        uint8_t *s = b->data + 56 + 24 * i;
        le_put_u64(s + 16, hash64(b->data + le_u64(s), le_u64(s + 8)));
    }
    le_put_u64(b->data + 176, hash64(b->data, 176));
}

static void test_bad_content_is_refused_behind_good_checksums(void **state)
{
    static const struct {
        size_t section, at;
        uint32_t value;
        const char *message;
    } CASES[] = {
        {1, 0, 1, "not a valid data set: where rows begin"},
        {1, 8, 99, "not a valid data set: where rows begin"},
        {1, 16, 1, "not a valid data set: where rows begin"},
        {2, 0, 10, "row 1: indices must ascend and be below 10"},
        {2, 4, 0, "row 1: indices must ascend and be below 10"},
        {3, 4, 0x7f800000, "not a valid data set: a value is not finite"},
        {3, 4, 0x7fc00000, "not a valid data set: a value is not finite"},
        {4, 4, 2, "not a valid data set: a label without a class"},
        {0, 0, 0, "schema: not a JSON object"},
    };
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    convert(GOOD "names.svm", &o, &d);
    dataset_fini(&d);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char want[256];
        struct err e;
        struct buf b;
        load(&b);
        le_put_u32(b.data + le_u64(b.data + 56 + 24 * CASES[i].section) +
                       CASES[i].at,
                   CASES[i].value);
        seal(&b);
        snprintf(want, sizeof want, "read " PATH ": %s", CASES[i].message);
        assert_int_equal(read_bytes(b.data, b.size, &e), ERR_CORRUPT);
        assert_string_equal(e.msg, want);
        buf_fini(&b);
    }
    unlink(PATH);
}

static void test_nothing_is_left_of_a_file_that_cannot_be_written(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;
    struct err e;

    (void)state;
    read_ok(&d, GOOD "names.svm", &o);
    assert_int_equal(dataset_bin_write(&d, "no/such/dir.bin", &e),
                     ERR_NOT_FOUND);
    assert_string_equal(e.msg, "write no/such/dir.bin: open: No such file or "
                               "directory");
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(symlink("/dev/full", PATH ".part"), 0);
        assert_int_equal(dataset_bin_write(&d, PATH, &e), ERR_FULL);
        assert_string_equal(e.msg,
                            "write " PATH ": write: No space left on device");
        assert_int_equal(access(PATH, F_OK), -1);
        assert_int_equal(access(PATH ".part", F_OK), -1);
    }
    dataset_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format_is_the_same_as_binary),
        cmocka_unit_test(test_values_can_be_transformed_later),
        cmocka_unit_test(test_what_has_been_done_is_not_done_again),
        cmocka_unit_test(test_a_schema_maps_the_classes_of_a_binary),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_bad_content_is_refused_behind_good_checksums),
        cmocka_unit_test(test_nothing_is_left_of_a_file_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
