/* Unit tests of dataset/read.h: every format, and every bad file. */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset/read.h"
#include "tests/support/test.h"

#define GOOD   TEST_SOURCE_DIR "/tests/data/good/"
#define BAD    TEST_SOURCE_DIR "/tests/data/bad"
#define SHARED TEST_SOURCE_DIR "/../shared/data/"

static void
read_ok(struct dataset *d, const char *path, const struct dataset_options *o)
{
    struct err e;

    if (dataset_read(d, path, o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void check_row(const struct dataset *d,
                      uint32_t i,
                      uint32_t nnz,
                      const uint32_t *idx,
                      const float *val)
{
    struct dataset_row row = dataset_row(d, i);

    assert_int_equal(row.nnz, nnz);
    if (nnz > 0) {
        assert_memory_equal(row.idx, idx, nnz * sizeof *idx);
        assert_memory_equal(row.val, val, nnz * sizeof *val);
    }
}

static void check_format(const char *path, enum dataset_format want)
{
    enum dataset_format f;

    assert_int_equal(dataset_format_of(path, &f, NULL), 0);
    assert_int_equal(f, want);
}

static void
test_libsvm_has_comments_names_and_rows_without_features(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    check_format(GOOD "names.svm", DATASET_LIBSVM);
    read_ok(&d, GOOD "names.svm", &o);
    assert_int_equal(d.n_rows, 4);
    assert_int_equal(d.schema.n_features, 10);
    assert_string_equal(d.schema.classes[d.label[1]], "dog");
    check_row(&d, 0, 2, (uint32_t[]){0, 2}, (float[]){1, 0.5f});
    check_row(&d, 1, 0, NULL, NULL);
    check_row(&d, 2, 2, (uint32_t[]){1, 3}, (float[]){-1e-3f, 7});
    check_row(&d, 3, 1, (uint32_t[]){9}, (float[]){1});
    dataset_fini(&d);
}

static void test_gzip_of_two_members_is_one_file(void **state)
{
    struct dataset_options o = {0};
    struct dataset a, b;

    (void)state;
    check_format(GOOD "numbers.svm.gz", DATASET_LIBSVM);
    read_ok(&a, GOOD "numbers.svm", &o);
    read_ok(&b, GOOD "numbers.svm.gz", &o);
    assert_int_equal(a.n_rows, 5);
    assert_true(a.fingerprint == b.fingerprint);
    assert_memory_equal(a.ptr, b.ptr, 6 * sizeof *a.ptr);
    assert_memory_equal(a.val, b.val, 5 * sizeof *a.val);
    dataset_fini(&a);
    dataset_fini(&b);
}

static void check_docs(const char *path, enum dataset_format f)
{
    struct dataset_options o = {0};
    struct dataset d;

    check_format(path, f);
    read_ok(&d, path, &o);
    assert_int_equal(d.n_rows, 3);
    assert_int_equal(d.schema.n_features, 4);
    assert_int_equal(d.schema.n_classes, 0);
    assert_true(d.label[0] == DATASET_NO_LABEL);
    assert_int_equal(d.n_unknown_labels, 0);
    check_row(&d, 0, 2, (uint32_t[]){0, 3}, (float[]){1, 2});
    dataset_fini(&d);
}

static void test_documents_have_counts_and_no_labels(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    check_docs(GOOD "docs.ldac", DATASET_LDAC);
    check_docs(GOOD "docs.docword", DATASET_BOW);
    read_ok(&d, GOOD "docs.docword", &o);
    check_row(&d, 1, 0, NULL, NULL);
    check_row(&d, 2, 1, (uint32_t[]){1}, (float[]){5});
    dataset_fini(&d);
}

static void test_ratings_become_rows_of_users(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    check_format(GOOD "ratings.txt", DATASET_TRIPLES);
    read_ok(&d, GOOD "ratings.txt", &o);
    assert_int_equal(d.n_rows, 3);
    assert_int_equal(d.schema.n_features, 2);
    check_row(&d, 0, 2, (uint32_t[]){0, 1}, (float[]){2, 4.5f});
    check_row(&d, 1, 0, NULL, NULL);
    check_row(&d, 2, 1, (uint32_t[]){0}, (float[]){-1});
    dataset_fini(&d);
}

static void test_bytes_become_dense_rows_from_0_to_1(void **state)
{
    const float want[] = {
        0, 1, 0.2f, 0.4f, 3.0f * (1.0f / 255), 4.0f * (1.0f / 255)};
    struct dataset_options o = {0};
    struct dataset d;

    (void)state;
    check_format(GOOD "rows.idx", DATASET_IDX);
    read_ok(&d, GOOD "rows.idx", &o);
    assert_true(d.dense);
    assert_int_equal(d.n_rows, 3);
    assert_int_equal(d.schema.n_features, 2);
    for (int i = 0; i < 6; i++) {
        assert_float_equal(d.val[i], want[i], 1e-7f);
    }
    assert_null(dataset_row(&d, 1).idx);
    dataset_fini(&d);
}

static void test_npy_finds_its_labels(void **state)
{
    const float row[] = {3, 4};
    struct dataset_options o = {.shard = 1, .n_shards = 2};
    struct dataset d;

    (void)state;
    check_format(GOOD "rows.npy", DATASET_NPY);
    read_ok(&d, GOOD "rows.npy", &o);
    assert_true(d.dense);
    assert_int_equal(d.n_rows_file, 3);
    assert_int_equal(d.n_rows, 1);
    assert_memory_equal(dataset_row(&d, 0).val, row, sizeof row);
    assert_int_equal(d.schema.n_classes, 2);
    assert_string_equal(d.schema.classes[0], "-1");
    assert_int_equal(d.label[0], 0);
    dataset_fini(&d);
}

static void test_dense_rows_must_fit_the_model(void **state)
{
    struct dataset_schema s = {.n_features = 3};
    struct dataset_options o = {.schema = &s};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read(&d, GOOD "rows.npy", &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg,
                        "read " GOOD "rows.npy: rows of 2 values, expected 3");
}

static void test_what_must_be_read_twice_is_no_pipe(void **state)
{
    struct dataset_options o = {.n_shards = 2, .sharding = DATASET_SORTED};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read(&d, "/dev/null", &o, &e), ERR_INVALID);
    assert_string_equal(e.msg,
                        "read /dev/null: contiguous and sorted shards need a "
                        "file that can be read twice: this is none");
    assert_int_equal(dataset_read(&d, "none.svm", &o, &e), ERR_NOT_FOUND);
}

static void test_a_missing_file_is_named(void **state)
{
    struct dataset_options o = {0};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read(&d, "none.svm", &o, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg,
                        "read none.svm: open: No such file or directory");
}

/* What @kind promises of row @row of the whole file being in shard @shard. */
static bool belongs(enum dataset_sharding kind,
                    const struct dataset *whole,
                    uint32_t n_shards,
                    uint32_t shard,
                    uint32_t row)
{
    uint32_t n = whole->n_rows, place = row;
    uint32_t more = n % n_shards, size = n / n_shards;

    if (kind == DATASET_INTERLEAVED) {
        return row % n_shards == shard;
    }
    if (kind == DATASET_SORTED) {
        place = 0; /* DATASET_NO_LABEL is the largest label. */
        for (uint32_t r = 0; r < n; r++) {
            place += whole->label[r] < whole->label[row] ||
                     (whole->label[r] == whole->label[row] && r < row);
        }
    }
    return place >= shard * size + (shard < more ? shard : more) &&
           place < (shard + 1) * size + (shard + 1 < more ? shard + 1 : more);
}

/* Shards of every format: they divide the rows, and agree on the rest. */
static void test_shards_of_any_format_make_up_the_file(void **state)
{
    static const char *const FILES[] = {
        "names.svm",    "numbers.svm.gz", "text.tsv", "docs.ldac",
        "docs.docword", "ratings.txt",    "rows.idx", "rows.npy"};

    (void)state;
    for (size_t i = 0;
         i < DATASET_SHARDING_COUNT * sizeof FILES / sizeof FILES[0]; i++) {
        struct dataset_options o = {
            .sharding = (enum dataset_sharding)(i % DATASET_SHARDING_COUNT)};
        struct dataset whole, d;
        char path[512];
        snprintf(path, sizeof path, GOOD "%s",
                 FILES[i / DATASET_SHARDING_COUNT]);
        read_ok(&whole, path, &o);
        for (o.n_shards = 2; o.n_shards < 6; o.n_shards++) {
            uint32_t n = 0;
            for (o.shard = 0; o.shard < o.n_shards; o.shard++) {
                read_ok(&d, path, &o);
                assert_true(d.fingerprint == whole.fingerprint);
                assert_int_equal(d.n_rows_file, whole.n_rows);
                assert_int_equal(d.schema.n_features, whole.schema.n_features);
                assert_int_equal(d.schema.n_classes, whole.schema.n_classes);
                for (uint32_t r = 0; r < d.n_rows; r++) {
                    uint32_t at = (uint32_t)dataset_row_number(&d, r);
                    struct dataset_row x = dataset_row(&d, r);
                    struct dataset_row y = dataset_row(&whole, at);
                    assert_true(
                        belongs(o.sharding, &whole, o.n_shards, o.shard, at));
                    assert_true(r == 0 || at > dataset_row_number(&d, r - 1));
                    assert_int_equal(x.nnz, y.nnz);
                    assert_int_equal(d.label[r], whole.label[at]);
                    assert_memory_equal(x.val, y.val, x.nnz * sizeof *x.val);
                    if (!d.dense) {
                        assert_memory_equal(x.idx, y.idx,
                                            x.nnz * sizeof *x.idx);
                    }
                    n++;
                }
                dataset_fini(&d);
            }
            assert_int_equal(n, whole.n_rows);
        }
        dataset_fini(&whole);
    }
}

/* The message for bad/@name in bad.txt, or NULL. */
static const char *expected(const char *name, char *line, size_t room)
{
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/data/bad.txt", "r");
    const char *found = NULL;
    size_t n = strlen(name);

    assert_non_null(f);
    while (found == NULL && fgets(line, (int)room, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, name, n) == 0 && line[n] == '\t') {
            found = line + n + 1;
        }
    }
    fclose(f);
    return found;
}

static void check_bad(const char *name)
{
    char path[512], line[512], want[1024];
    const char *message = expected(name, line, sizeof line);
    struct dataset_options o = {0};
    struct dataset d;
    struct err e;

    if (message == NULL) {
        fail_msg("bad.txt does not name %s", name);
    }
    snprintf(path, sizeof path, BAD "/%s", name);
    snprintf(want, sizeof want, "read %s: %s", path, message);
    assert_int_equal(dataset_read(&d, path, &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, want);
}

static void test_every_bad_file_is_refused_with_its_message(void **state)
{
    DIR *dir = opendir(BAD);
    const struct dirent *entry;
    int n = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            check_bad(entry->d_name);
            n++;
        }
    }
    closedir(dir);
    assert_true(n > 50);
}

static void check_shared(const char *name, uint32_t n_rows, uint32_t K)
{
    struct dataset_options o = {0};
    struct dataset d;
    char path[512];

    snprintf(path, sizeof path, SHARED "%s", name);
    if (access(path, R_OK) != 0) {
        print_message("%s is not there: skipped\n", path);
        return;
    }
    read_ok(&d, path, &o);
    assert_int_equal(d.n_rows, n_rows);
    assert_int_equal(d.schema.n_features, K);
    dataset_fini(&d);
}

static void test_real_files_are_known_by_their_content(void **state)
{
    (void)state;
    check_shared("a9a/a9a.gz", 32561, 123);
    check_shared("clinc150/train.svm.gz", 18000, 13871);
    check_shared("clinc150/test.tsv.gz", 4500, 32768);
    check_shared("fashion_mnist/t10k-images-idx3-ubyte.gz", 10000, 784);
    check_shared("jester5k/ratings.txt.gz", 5000, 100);
    check_shared("reuters_ldac/reuters.ldac.gz", 395, 4258);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_libsvm_has_comments_names_and_rows_without_features),
        cmocka_unit_test(test_gzip_of_two_members_is_one_file),
        cmocka_unit_test(test_documents_have_counts_and_no_labels),
        cmocka_unit_test(test_ratings_become_rows_of_users),
        cmocka_unit_test(test_bytes_become_dense_rows_from_0_to_1),
        cmocka_unit_test(test_npy_finds_its_labels),
        cmocka_unit_test(test_dense_rows_must_fit_the_model),
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_what_must_be_read_twice_is_no_pipe),
        cmocka_unit_test(test_shards_of_any_format_make_up_the_file),
        cmocka_unit_test(test_every_bad_file_is_refused_with_its_message),
        cmocka_unit_test(test_real_files_are_known_by_their_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
