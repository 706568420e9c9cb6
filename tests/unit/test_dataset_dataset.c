/* Unit tests of dataset/dataset.h: the schema. */

#include <stdlib.h>
#include <string.h>

#include "dataset/dataset.h"
#include "dataset/featurize.h"
#include "tests/support/test.h"

static void test_a_schema_comes_back_from_json(void **state)
{
    char *classes[] = {(char *)"a \"quoted\" name", (char *)"ひらがな",
                       (char *)"tab\there"};
    struct dataset_schema s = {.n_features = 40000,
                               .n_classes = 3,
                               .classes = classes,
                               .transform = DATASET_TRANSFORM_LOG1P,
                               .normalize = DATASET_NORMALIZE_L2,
                               .featurizer = DATASET_FEATURIZER_DEFAULT};
    struct dataset_schema back, copy;
    struct err e;
    char *text;

    (void)state;
    assert_int_equal(dataset_schema_to_json(&s, &text, &e), 0);
    assert_int_equal(dataset_schema_from_json(&back, text, &e), 0);
    assert_int_equal(dataset_schema_copy(&copy, &back, &e), 0);
    dataset_schema_fini(&back);
    assert_int_equal(copy.n_features, 40000);
    assert_int_equal(copy.n_classes, 3);
    assert_int_equal(copy.transform, s.transform);
    assert_int_equal(copy.normalize, s.normalize);
    assert_true(dataset_featurizer_same(&copy.featurizer, &s.featurizer));
    for (int i = 0; i < 3; i++) {
        assert_string_equal(copy.classes[i], classes[i]);
    }
    dataset_schema_fini(&copy);
    free(text);
}

static void test_a_schema_without_text_or_classes_comes_back(void **state)
{
    struct dataset_schema s = {.n_features = 7}, back;
    struct err e;
    char *text;

    (void)state;
    assert_int_equal(dataset_schema_to_json(&s, &text, &e), 0);
    assert_string_equal(text, "{\"n_features\":7,\"transform\":\"none\","
                              "\"normalize\":\"none\",\"featurizer\":null,"
                              "\"classes\":[]}");
    assert_int_equal(dataset_schema_from_json(&back, text, &e), 0);
    assert_int_equal(back.featurizer.n_max, 0);
    dataset_schema_fini(&back);
    free(text);
}

static void test_what_is_no_schema_is_refused_with_the_key(void **state)
{
    static const struct {
        const char *text, *message;
    } CASES[] = {
        {"", "schema: not a JSON object"},
        {"[1]", "schema: not a JSON object"},
        {"{}", "schema: \"n_features\" is not a number from 0 to 4294967295"},
        {"{\"n_features\":-1}",
         "schema: \"n_features\" is not a number from 0 to 4294967295"},
        {"{\"n_features\":4294967296}",
         "schema: \"n_features\" is not a number from 0 to 4294967295"},
        {"{\"n_features\":1,\"transform\":\"sqrt\"}",
         "schema: \"transform\" is not a known word"},
        {"{\"n_features\":1,\"transform\":\"none\",\"normalize\":2}",
         "schema: \"normalize\" is not a known word"},
        {"{\"n_features\":1,\"transform\":\"none\",\"normalize\":\"l2\"}",
         "schema: \"featurizer\" is not an object or null"},
        {"{\"n_features\":1,\"transform\":\"none\",\"normalize\":\"l2\","
         "\"featurizer\":{}}",
         "schema: \"words\" is not true or false"},
        {"{\"n_features\":9,\"transform\":\"none\",\"normalize\":\"l2\","
         "\"featurizer\":{\"words\":true,\"n_min\":3,\"n_max\":1,\"bits\":3,"
         "\"lowercase\":true}}",
         "schema: \"featurizer\": n-grams of 3 to 1: 1 to 16 can be had"},
        {"{\"n_features\":7,\"transform\":\"none\",\"normalize\":\"l2\","
         "\"featurizer\":{\"words\":true,\"n_min\":1,\"n_max\":1,\"bits\":3,"
         "\"lowercase\":true}}",
         "schema: \"n_features\" is not enough for the featurizer"},
        {"{\"n_features\":1,\"transform\":\"none\",\"normalize\":\"l2\","
         "\"featurizer\":null}",
         "schema: \"classes\" is not a list"},
        {"{\"n_features\":1,\"transform\":\"none\",\"normalize\":\"l2\","
         "\"featurizer\":null,\"classes\":[\"a\",1]}",
         "schema: \"classes\" is not a list of names"}};

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct dataset_schema s;
        struct err e;
        assert_int_equal(dataset_schema_from_json(&s, CASES[i].text, &e),
                         ERR_CORRUPT);
        assert_string_equal(e.msg, CASES[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_schema_comes_back_from_json),
        cmocka_unit_test(test_a_schema_without_text_or_classes_comes_back),
        cmocka_unit_test(test_what_is_no_schema_is_refused_with_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
