/* Unit tests of dataset/libsvm.h and of the parallel reading of lines. The
 * oracle is a parser that takes one line after the other with strtof(). */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/buf.h"
#include "core/pool.h"
#include "core/rng.h"
#include "dataset/libsvm.h"
#include "dataset/read.h"
#include "tests/support/test.h"

#define ROWS_MAX   400
#define VALUES_MAX 20000

/* What a file holds, found the slow way. Labels are names. */
struct naive {
    uint32_t n, n_features;
    size_t ptr[ROWS_MAX + 1];
    uint32_t idx[VALUES_MAX];
    float val[VALUES_MAX];
    char label[ROWS_MAX][16];
};

static void naive_line(struct naive *x, char *line)
{
    char *at, *word;

    if ((at = strstr(line, " #")) != NULL) {
        *at = '\0';
    }
    line[strcspn(line, "\r\n")] = '\0';
    word = strtok(line, " \t");
    if (word == NULL || *word == '#') {
        return;
    }
    strcpy(x->label[x->n], *word == '+' ? word + 1 : word);
    x->ptr[x->n + 1] = x->ptr[x->n];
    while ((word = strtok(NULL, " \t")) != NULL) {
        size_t i = x->ptr[x->n + 1]++;
        x->idx[i] = (uint32_t)strtoul(word, &at, 10) - 1;
        x->val[i] = strtof(at + 1, NULL);
        if (x->idx[i] + 1 > x->n_features) {
            x->n_features = x->idx[i] + 1;
        }
    }
    x->n++;
}

static struct naive *read_naive(const char *text)
{
    struct naive *x = calloc(1, sizeof *x);
    char *copy = strdup(text), *line = copy, *end;

    assert_true(x != NULL && copy != NULL);
    while (line != NULL && *line != '\0') {
        end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        naive_line(x, line);
        line = end;
    }
    free(copy);
    return x;
}

static uint64_t draws;

static uint64_t draw(uint64_t n)
{
    return rng_below(9, rng_stream(RNG_TEST, 1, 0), draws++, n);
}

static void put_random_row(struct buf *b, bool names)
{
    static const char *const BLANKS[] = {" ", " ", " ", "\t", "  "};
    char text[64];
    uint32_t k = 0;
    int n;

    if (names) {
        n = snprintf(text, sizeof text, "name-%u", (unsigned)draw(30));
    } else {
        n = snprintf(text, sizeof text, "%+d", (int)draw(30) - 10);
    }
    buf_put(b, text, (size_t)n);
    for (uint64_t i = draw(draw(10) == 0 ? 300 : 20); i > 0; i--) {
        k += (uint32_t)(1 + draw(draw(5) == 0 ? 1000 : 5));
        n = snprintf(text, sizeof text, "%s%u:%.*g", BLANKS[draw(5)], k,
                     1 + (int)draw(9), ((double)draw(20001) - 10000) / 977);
        buf_put(b, text, (size_t)n);
    }
}

/* A file with everything that is legal. */
static char *random_file(bool names)
{
    static const char *const ENDS[] = {"\n",   "\n",  "\n",
                                       "\r\n", " \n", " # c\n"};
    struct buf b;

    buf_init(&b);
    for (uint64_t i = 1 + draw(ROWS_MAX - 1); i > 0; i--) {
        if (draw(10) == 0) {
            buf_put(&b, "\n# 1 2:3\n \t\r\n", 13);
        }
        put_random_row(&b, names);
        if (i > 1 || draw(2) == 0) {
            const char *end = ENDS[draw(6)];
            buf_put(&b, end, strlen(end));
        }
    }
    buf_put(&b, "", 1);
    assert_false(b.failed);
    return (char *)b.data;
}

static void read_text(struct dataset *d,
                      const char *text,
                      size_t block_size,
                      const struct dataset_options *o)
{
    struct dataset_source from = {.path = "a.svm",
                                  .data = text,
                                  .size = strlen(text),
                                  .block_size = block_size};
    struct err e;

    if (dataset_read_source(d, &from, o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void check_equal(const struct dataset *d, const struct naive *x)
{
    assert_int_equal(d->n_rows_file, x->n);
    assert_int_equal(d->schema.n_features, x->n_features);
    for (uint32_t i = 0; i < d->n_rows; i++) {
        uint64_t r = dataset_row_number(d, i);
        size_t n = x->ptr[r + 1] - x->ptr[r];
        struct dataset_row row = dataset_row(d, i);
        assert_int_equal(row.nnz, n);
        assert_string_equal(d->schema.classes[d->label[i]], x->label[r]);
        if (n > 0) {
            assert_memory_equal(row.idx, x->idx + x->ptr[r], n * 4);
            assert_memory_equal(row.val, x->val + x->ptr[r], n * 4);
        }
    }
}

static void test_random_files_are_read_as_the_naive_parser_does(void **state)
{
    struct pool *pools[3] = {NULL, NULL, NULL};

    (void)state;
    assert_int_equal(pool_create(&pools[1], 2, NULL), 0);
    assert_int_equal(pool_create(&pools[2], 5, NULL), 0);
    for (int round = 0; round < 60; round++) {
        char *text = random_file(round % 2 == 0);
        struct naive *x = read_naive(text);
        uint64_t fingerprint = 0;
        for (int i = 0; i < 6 && x->n_features > 0; i++) {
            struct dataset_options o = {.n_shards = 1 + (uint32_t)draw(4),
                                        .pool = pools[i % 3]};
            struct dataset d;
            o.shard = (uint32_t)draw(o.n_shards);
            read_text(&d, text, 1 + draw(i % 2 == 0 ? 100 : 5000), &o);
            check_equal(&d, x);
            assert_true(i == 0 || d.fingerprint == fingerprint);
            fingerprint = d.fingerprint;
            dataset_fini(&d);
        }
        free(x);
        free(text);
    }
    pool_destroy(pools[1]);
    pool_destroy(pools[2]);
}

static void test_the_oracle_can_fail(void **state)
{
    struct naive *x = read_naive("1 1:2\n2 3:4\n");
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    read_text(&d, "1 1:2\n2 3:5\n", 0, &o);
    assert_int_equal(d.n_rows, x->n);
    assert_memory_not_equal(d.val, x->val, 2 * sizeof(float));
    dataset_fini(&d);
    free(x);
}

static void test_shards_divide_the_rows(void **state)
{
    char *text = random_file(true);
    struct naive *x = read_naive(text);
    uint32_t n = 0;

    (void)state;
    for (uint32_t shard = 0; shard < 3; shard++) {
        struct dataset_options o = {.shard = shard, .n_shards = 3};
        struct dataset d;
        read_text(&d, text, 64, &o);
        assert_int_equal(d.shard, shard);
        check_equal(&d, x);
        n += d.n_rows;
        dataset_fini(&d);
    }
    assert_int_equal(n, x->n);
    free(x);
    free(text);
}

static void test_a_shard_may_be_empty(void **state)
{
    struct dataset_options o = {.shard = 2, .n_shards = 3};
    struct dataset d;

    (void)state;
    read_text(&d, "b 7:1\na 2:1\n", 0, &o);
    assert_int_equal(d.n_rows, 0);
    assert_int_equal(d.n_rows_file, 2);
    assert_int_equal(d.schema.n_features, 7);
    assert_int_equal(d.schema.n_classes, 2);
    assert_string_equal(d.schema.classes[0], "a");
    assert_int_equal(d.ptr[0], 0);
    dataset_fini(&d);
}

static uint64_t fingerprint(const char *text)
{
    struct dataset_options o = {0};
    struct dataset d;
    uint64_t f;

    read_text(&d, text, 0, &o);
    f = d.fingerprint;
    dataset_fini(&d);
    return f;
}

static void test_the_fingerprint_is_that_of_the_rows(void **state)
{
    const char *text = "1 1:1\n2 2:2\n1 3:1\n";
    uint64_t f = fingerprint(text);

    (void)state;
    assert_true(f == fingerprint("# c\n1 1:1\r\n\n2 2:2\n1 3:1"));
    assert_false(f == fingerprint("1 1:1\n2 2:3\n1 3:1\n")); /* A value. */
    assert_false(f == fingerprint("1 1:1\n3 2:2\n1 3:1\n")); /* A label. */
    assert_false(f == fingerprint("2 2:2\n1 1:1\n1 3:1\n")); /* The order. */
    assert_false(f == fingerprint("1 1:1\n2 2:2\n"));        /* The number. */
}

static void
test_numbers_are_classes_in_their_order_and_names_in_theirs(void **state)
{
    static const char *const NUMBERS[] = {"-3", "2", "10"};
    static const char *const NAMES[] = {"-3", "10", "2", "x"};
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    read_text(&d, "10 1:1\n+2 1:1\n-3 1:1\n2\n+10\n", 0, &o);
    assert_int_equal(d.schema.n_classes, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(d.schema.classes[i], NUMBERS[i]);
    }
    assert_int_equal(d.label[0], 2);
    assert_int_equal(d.label[3], 1);
    dataset_fini(&d);
    read_text(&d, "10 1:1\n2 1:1\n-3 1:1\nx\n", 0, &o);
    assert_int_equal(d.schema.n_classes, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(d.schema.classes[i], NAMES[i]);
    }
    dataset_fini(&d);
}

static void test_a_schema_maps_labels_and_counts_what_it_lacks(void **state)
{
    struct dataset_options o = {.transform = DATASET_TRANSFORM_LOG1P,
                                .normalize = DATASET_NORMALIZE_L2};
    struct dataset train, test;
    float one = 1;

    (void)state;
    read_text(&train, "a 1:1 2:3\nb 3:1\nc\n", 0, &o);
    o = (struct dataset_options){.schema = &train.schema};
    read_text(&test, "c 1:7 4:9 5:1\nd 3:1\nb 9:1\n", 0, &o);
    assert_int_equal(test.schema.n_features, 3);
    assert_int_equal(test.schema.n_classes, 3);
    assert_int_equal(test.schema.transform, DATASET_TRANSFORM_LOG1P);
    assert_int_equal(test.label[0], 2);
    assert_true(test.label[1] == DATASET_NO_LABEL);
    assert_int_equal(test.label[2], 1);
    assert_int_equal(test.n_unknown_labels, 1);
    assert_int_equal(test.n_unknown_features, 3);
    assert_int_equal(dataset_row(&test, 0).nnz, 1);
    assert_int_equal(dataset_row(&test, 2).nnz, 0);
    assert_memory_equal(dataset_row(&test, 0).val, &one, sizeof one);
    dataset_fini(&test);
    dataset_fini(&train);
}

static void test_values_are_transformed_then_normalized(void **state)
{
    struct dataset_options o = {.transform = DATASET_TRANSFORM_BINARY,
                                .normalize = DATASET_NORMALIZE_L2,
                                .n_features = 9};
    struct dataset d;
    const float want[] = {0.5f, 0.5f, 0.5f, 0.5f, 0};

    (void)state;
    read_text(&d, "1 1:7 2:-1 3:.1 4:2 5:0\n2\n", 0, &o);
    assert_memory_equal(d.val, want, sizeof want);
    assert_int_equal(d.schema.n_features, 9);
    dataset_fini(&d);
}

static void test_the_logarithm_of_something_negative_is_an_error(void **state)
{
    struct dataset_source from = {
        .path = "a.svm", .data = "1 1:1\n1 2:1 7:-1\n", .size = 17};
    struct dataset_options o = {.transform = DATASET_TRANSFORM_LOG1P};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "read a.svm: line 2: index 7: log1p of -1: "
                               "values must not be negative");
}

/* The error in the first line wins, whatever block or thread finds another. */
static void test_the_first_of_several_errors_is_reported(void **state)
{
    struct pool *pool;
    struct buf b;

    (void)state;
    assert_int_equal(pool_create(&pool, 4, NULL), 0);
    buf_init(&b);
    for (int i = 0; i < 300; i++) {
        const char *line = i >= 150 && i % 3 == 0 ? "1 0:1\n" : "1 1:1\n";
        line = i == 151 ? "1 3:1 2:1\n" : line;
        buf_put(&b, line, strlen(line));
    }
    for (size_t block = 1; block < 3000; block += 97) {
        struct dataset_source from = {.path = "a.svm",
                                      .data = b.data,
                                      .size = b.size,
                                      .block_size = block};
        struct dataset_options o = {.pool = pool};
        struct dataset d;
        struct err e;
        assert_int_equal(dataset_read_source(&d, &from, &o, &e), ERR_CORRUPT);
        assert_string_equal(e.msg,
                            "read a.svm: line 151: index 0: indices begin "
                            "at 1");
        o.n_shards = 2;
        o.shard = 1;
        assert_int_equal(dataset_read_source(&d, &from, &o, &e), ERR_CORRUPT);
        assert_string_equal(e.msg, "read a.svm: line 152: index 2 after 3, "
                                   "indices must ascend");
    }
    buf_fini(&b);
    pool_destroy(pool);
}

static void test_a_line_may_be_much_longer_than_a_block(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;
    struct buf b;
    char text[32];

    (void)state;
    buf_init(&b);
    buf_put(&b, "x", 1);
    for (int k = 1; k <= 200000; k++) {
        buf_put(&b, text, (size_t)snprintf(text, sizeof text, " %d:1", k));
    }
    buf_put(&b, "\ny 1:1", 7);
    read_text(&d, (char *)b.data, 4096, &o);
    assert_int_equal(d.n_rows, 2);
    assert_int_equal(dataset_row(&d, 0).nnz, 200000);
    assert_int_equal(dataset_row(&d, 1).nnz, 1);
    dataset_fini(&d);
    buf_fini(&b);
}

static void compare(const struct dataset *a, const struct dataset *b)
{
    size_t n = a->n_rows;

    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->schema.n_features, b->schema.n_features);
    assert_int_equal(a->schema.n_classes, b->schema.n_classes);
    assert_memory_equal(a->ptr, b->ptr, (n + 1) * sizeof *a->ptr);
    assert_memory_equal(a->idx, b->idx, a->ptr[n] * sizeof *a->idx);
    assert_memory_equal(a->val, b->val, a->ptr[n] * sizeof *a->val);
    assert_memory_equal(a->label, b->label, n * sizeof *a->label);
}

static void test_what_is_written_reads_the_same(void **state)
{
    static const char *const PATHS[] = {"write-test.svm", "write-test.svm.gz"};
    char *text = random_file(true);
    struct dataset_options o = {0};
    struct dataset a, b;
    struct err e;

    (void)state;
    read_text(&a, text, 0, &o);
    for (int i = 0; i < 2; i++) {
        if (dataset_libsvm_write(&a, PATHS[i], &e) != 0 ||
            dataset_read(&b, PATHS[i], &o, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        compare(&a, &b);
        dataset_fini(&b);
        unlink(PATHS[i]);
    }
    dataset_fini(&a);
    free(text);
}

static void test_classes_with_blanks_cannot_be_written(void **state)
{
    struct dataset_source from = {
        .path = "a.tsv", .data = "new york\tx\n", .size = 11};
    struct dataset_options o = {0};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), 0);
    assert_int_equal(dataset_libsvm_write(&d, "never.svm", &e), ERR_INVALID);
    assert_string_equal(e.msg, "write never.svm: class \"new york\" cannot be "
                               "a LIBSVM label: write a .bin");
    assert_int_equal(access("never.svm", F_OK), -1);
    dataset_fini(&d);
}

static void
test_real_data_is_read_the_same_on_any_number_of_threads(void **state)
{
    const char *path =
        TEST_SOURCE_DIR "/../shared/data/panlex_swadesh/train.svm.gz";
    struct dataset_options o = {0};
    struct dataset a, b;
    struct err e;

    (void)state;
    if (access(path, R_OK) != 0) {
        print_message("%s is not there: skipped\n", path);
        skip();
    }
    assert_int_equal(dataset_read(&a, path, &o, &e), 0);
    assert_int_equal(pool_create(&o.pool, 3, NULL), 0);
    assert_int_equal(dataset_read(&b, path, &o, &e), 0);
    assert_int_equal(a.n_rows, 35592);
    assert_int_equal(a.schema.n_features, 42781);
    assert_int_equal(a.schema.n_classes, 2111);
    assert_true(a.fingerprint == b.fingerprint);
    compare(&a, &b);
    dataset_fini(&a);
    dataset_fini(&b);
    pool_destroy(o.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_files_are_read_as_the_naive_parser_does),
        cmocka_unit_test(test_the_oracle_can_fail),
        cmocka_unit_test(test_shards_divide_the_rows),
        cmocka_unit_test(test_a_shard_may_be_empty),
        cmocka_unit_test(test_the_fingerprint_is_that_of_the_rows),
        cmocka_unit_test(
            test_numbers_are_classes_in_their_order_and_names_in_theirs),
        cmocka_unit_test(test_a_schema_maps_labels_and_counts_what_it_lacks),
        cmocka_unit_test(test_values_are_transformed_then_normalized),
        cmocka_unit_test(test_the_logarithm_of_something_negative_is_an_error),
        cmocka_unit_test(test_the_first_of_several_errors_is_reported),
        cmocka_unit_test(test_a_line_may_be_much_longer_than_a_block),
        cmocka_unit_test(test_what_is_written_reads_the_same),
        cmocka_unit_test(test_classes_with_blanks_cannot_be_written),
        cmocka_unit_test(
            test_real_data_is_read_the_same_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
