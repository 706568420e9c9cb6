/* Unit tests of dataset/featurize.h, and of text as a whole. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/rng.h"
#include "dataset/featurize.h"
#include "dataset/libsvm.h"
#include "dataset/read.h"
#include "dataset/unicode.h"
#include "tests/support/test.h"

#define NGRAMS_MAX 4096

static const struct dataset_featurizer WORDS = {.words = true,
                                                .n_min = 1,
                                                .n_max = 2,
                                                .bits = 20,
                                                .lowercase = true};

static struct dataset_schema schema_of(const struct dataset_featurizer *f)
{
    return (struct dataset_schema){.n_features = 1u << f->bits,
                                   .featurizer = *f};
}

static void features(struct dataset *d,
                     const struct dataset_featurizer *f,
                     const char *text)
{
    struct dataset_schema s = schema_of(f);
    struct err e;

    if (dataset_from_text(d, &s, text, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(d->n_rows, 1);
}

/* How often @d has the n-gram @ngram. */
static float count(const struct dataset *d, const char *ngram)
{
    uint32_t k =
        (uint32_t)hash64(ngram, strlen(ngram)) & (d->schema.n_features - 1);
    struct dataset_row row = dataset_row(d, 0);

    for (uint32_t i = 0; i < row.nnz; i++) {
        if (row.idx[i] == k) {
            return row.val[i];
        }
    }
    return 0;
}

static float total(const struct dataset *d)
{
    struct dataset_row row = dataset_row(d, 0);
    float sum = 0;

    for (uint32_t i = 0; i < row.nnz; i++) {
        sum += row.val[i];
    }
    return sum;
}

static void test_characters_are_code_points_between_marks(void **state)
{
    static const char *const NGRAMS[] = {"^",  "ü",  "b",   "$",  "^ü",
                                         "üb", "b$", "^üb", "üb$"};
    struct dataset d;

    (void)state;
    features(&d, &DATASET_FEATURIZER_DEFAULT, "ÜB");
    for (size_t i = 0; i < 9; i++) {
        assert_true(count(&d, NGRAMS[i]) == 1);
    }
    assert_true(total(&d) == 9);
    dataset_fini(&d);
}

static void test_repeated_ngrams_are_counted(void **state)
{
    struct dataset d;

    (void)state;
    features(&d, &DATASET_FEATURIZER_DEFAULT, "aaaa");
    assert_true(count(&d, "a") == 4);
    assert_true(count(&d, "aa") == 3);
    assert_true(count(&d, "aaa") == 2);
    assert_true(count(&d, "^a") == 1);
    dataset_fini(&d);
}

static void test_upper_case_is_kept_if_wanted(void **state)
{
    struct dataset_featurizer f = DATASET_FEATURIZER_DEFAULT;
    struct dataset d;

    (void)state;
    f.lowercase = false;
    features(&d, &f, "Ab");
    assert_true(count(&d, "A") == 1 && count(&d, "Ab") == 1);
    assert_true(count(&d, "a") == 0);
    dataset_fini(&d);
}

static void test_words_are_joined_by_spaces(void **state)
{
    static const char *const NGRAMS[] = {"the",     "fox",    "día", "the fox",
                                         "fox día", "día x2", "x2"};
    struct dataset d;

    (void)state;
    features(&d, &WORDS, "  The fox, (día) -- x2!");
    for (size_t i = 0; i < 7; i++) {
        assert_true(count(&d, NGRAMS[i]) == 1);
    }
    assert_true(total(&d) == 7);
    dataset_fini(&d);
}

static void test_a_text_without_words_has_no_features(void **state)
{
    struct dataset d;

    (void)state;
    features(&d, &WORDS, "?! ...");
    assert_int_equal(dataset_row(&d, 0).nnz, 0);
    dataset_fini(&d);
    features(&d, &DATASET_FEATURIZER_DEFAULT, "");
    assert_true(total(&d) == 3); /* "^", "$" and "^$". */
    dataset_fini(&d);
}

/* Long texts are sorted in another way than short ones. */
static void test_features_ascend_and_count_all_ngrams(void **state)
{
    char text[NGRAMS_MAX];

    (void)state;
    for (uint32_t n = 0; n < 1500; n += 1 + n / 7) {
        struct dataset_featurizer f = DATASET_FEATURIZER_DEFAULT;
        struct dataset d;
        struct dataset_row row;
        for (uint32_t i = 0; i < n; i++) {
            text[i] =
                (char)('a' + rng_below(1, rng_stream(RNG_TEST, n, 0), i, 26));
        }
        text[n] = '\0';
        f.bits = 1 + n % 20;
        features(&d, &f, text);
        row = dataset_row(&d, 0);
        for (uint32_t i = 0; i < row.nnz; i++) {
            assert_true(row.idx[i] < d.schema.n_features);
            assert_true(i == 0 || row.idx[i] > row.idx[i - 1]);
        }
        assert_true(total(&d) == (float)(3 * n + 3));
        dataset_fini(&d);
    }
}

static void test_one_string_is_the_row_that_a_file_has(void **state)
{
    struct dataset_source from = {
        .path = "a.tsv", .data = "x\tGrüße\ny\tb\n", .size = 14};
    struct dataset_options o = {0};
    struct dataset file, one;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&file, &from, &o, &e), 0);
    assert_int_equal(file.schema.normalize, DATASET_NORMALIZE_L2);
    assert_int_equal(dataset_from_text(&one, &file.schema, "Grüße", &e), 0);
    assert_int_equal(one.n_rows, 1);
    assert_true(one.label[0] == DATASET_NO_LABEL);
    assert_int_equal(dataset_row(&one, 0).nnz, dataset_row(&file, 0).nnz);
    assert_memory_equal(one.idx, file.idx, one.ptr[1] * sizeof *one.idx);
    assert_memory_equal(one.val, file.val, one.ptr[1] * sizeof *one.val);
    dataset_fini(&file);
    dataset_fini(&one);
}

static void test_features_written_as_text_read_as_the_text_does(void **state)
{
    const char *path = TEST_SOURCE_DIR "/tests/data/good/text.tsv";
    struct dataset_options o = {.featurizer = DATASET_FEATURIZER_DEFAULT};
    struct dataset counts, text, svm;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read(&counts, path, &o, &e), 0);
    counts.schema.normalize = DATASET_NORMALIZE_L2;
    assert_int_equal(dataset_libsvm_write(&counts, "text.svm", &e), 0);
    o = (struct dataset_options){0};
    assert_int_equal(dataset_read(&text, path, &o, &e), 0);
    assert_int_equal(dataset_read(&svm, "text.svm", &o, &e), 0);
    assert_int_equal(svm.n_rows, 4);
    assert_int_equal(svm.schema.n_features, text.schema.n_features);
    assert_int_equal(svm.schema.normalize, DATASET_NORMALIZE_L2);
    assert_true(dataset_featurizer_same(&svm.schema.featurizer,
                                        &DATASET_FEATURIZER_DEFAULT));
    assert_memory_equal(svm.ptr, text.ptr, 5 * sizeof *svm.ptr);
    assert_memory_equal(svm.idx, text.idx, svm.ptr[4] * sizeof *svm.idx);
    assert_memory_equal(svm.val, text.val, svm.ptr[4] * sizeof *svm.val);
    dataset_fini(&counts);
    dataset_fini(&text);
    dataset_fini(&svm);
    unlink("text.svm");
}

static void test_features_made_in_another_way_are_refused(void **state)
{
    static const char FILE_[] =
        "# lyre featurizer word:1-2 bits 20 lowercase yes normalize l2\n"
        "a 1:1\n";
    struct dataset_schema s = schema_of(&DATASET_FEATURIZER_DEFAULT);
    struct dataset_source from = {
        .path = "a.svm", .data = FILE_, .size = sizeof FILE_ - 1};
    struct dataset_options o = {.schema = &s};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "read a.svm: features of text made in another "
                               "way than the model's");
    s.featurizer = WORDS;
    s.n_features = 1u << 20;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), 0);
    dataset_fini(&d);
}

static void test_text_needs_a_model_of_text(void **state)
{
    struct dataset_schema s = {.n_features = 5};
    struct dataset_source from = {
        .path = "a.tsv", .data = "x\thello\n", .size = 8};
    struct dataset_options o = {.schema = &s};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "read a.tsv: this is text, but the model was "
                               "not trained on text");
    assert_int_equal(dataset_from_text(&d, &s, "hello", &e), ERR_INVALID);
}

static void test_with_a_model_text_needs_no_label(void **state)
{
    struct dataset_schema s = schema_of(&DATASET_FEATURIZER_DEFAULT);
    struct dataset_source from = {
        .path = "a.txt", .data = "just text\nx\tmore\n", .size = 17};
    struct dataset_options o = {.schema = &s};
    struct dataset d;
    struct err e;

    (void)state;
    assert_int_equal(dataset_read_source(&d, &from, &o, &e), 0);
    assert_int_equal(d.n_rows, 2);
    assert_true(d.label[0] == DATASET_NO_LABEL);
    dataset_fini(&d);
}

static void test_ngram_options_are_parsed(void **state)
{
    static const struct {
        const char *text;
        bool words;
        unsigned a, b;
    } GOOD[] = {{"char:1-3", false, 1, 3},
                {"word:1-2", true, 1, 2},
                {"word:1", true, 1, 1},
                {"char:16-16", false, 16, 16}};
    static const char *const BAD[] = {
        "",          "char",     "char:",      "char:1-", "chars:1-3",
        "char:1-3x", "char:a-b", "word:1-2-3", "1-3"};
    struct dataset_featurizer f = DATASET_FEATURIZER_DEFAULT;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        assert_int_equal(dataset_featurizer_parse(&f, GOOD[i].text, &e), 0);
        assert_int_equal(f.words, GOOD[i].words);
        assert_int_equal(f.n_min, GOOD[i].a);
        assert_int_equal(f.n_max, GOOD[i].b);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(dataset_featurizer_parse(&f, BAD[i], &e), ERR_INVALID);
    }
    f.n_max = 17;
    assert_int_equal(dataset_featurizer_check(&f, &e), ERR_INVALID);
    f = DATASET_FEATURIZER_DEFAULT;
    f.bits = 31;
    assert_int_equal(dataset_featurizer_check(&f, &e), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters_are_code_points_between_marks),
        cmocka_unit_test(test_repeated_ngrams_are_counted),
        cmocka_unit_test(test_upper_case_is_kept_if_wanted),
        cmocka_unit_test(test_words_are_joined_by_spaces),
        cmocka_unit_test(test_a_text_without_words_has_no_features),
        cmocka_unit_test(test_features_ascend_and_count_all_ngrams),
        cmocka_unit_test(test_one_string_is_the_row_that_a_file_has),
        cmocka_unit_test(test_features_written_as_text_read_as_the_text_does),
        cmocka_unit_test(test_features_made_in_another_way_are_refused),
        cmocka_unit_test(test_text_needs_a_model_of_text),
        cmocka_unit_test(test_with_a_model_text_needs_no_label),
        cmocka_unit_test(test_ngram_options_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
