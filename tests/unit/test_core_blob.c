/* Unit tests of core/blob.h. */

#include <pthread.h>
#include <string.h>

#include "core/blob.h"
#include "tests/support/test.h"

#define N_THREADS 4

static void test_a_copy_has_the_bytes(void **state)
{
    struct blob *b = blob_copy("sufficient", 10);

    (void)state;
    assert_non_null(b);
    assert_int_equal(b->size, 10);
    assert_memory_equal(b->data, "sufficient", 10);
    blob_unref(b);
    b = blob_copy(NULL, 0);
    assert_non_null(b);
    blob_unref(b);
    blob_unref(NULL);
}

static void test_a_size_that_overflows_is_no_memory(void **state)
{
    (void)state;
    assert_null(blob_create(SIZE_MAX));
}

static void test_a_slice_keeps_its_parent(void **state)
{
    struct blob *b = blob_copy("sufficient", 10), *part, *none;

    (void)state;
    part = blob_slice(b, 3, 4);
    none = blob_slice(b, 10, 0);
    assert_true(part != NULL && none != NULL);
    blob_unref(b);
    assert_int_equal(part->size, 4);
    assert_memory_equal(part->data, "fici", 4);
    assert_int_equal(none->size, 0);
    blob_unref(blob_ref(part));
    blob_unref(part);
    blob_unref(none);
}

static void *use_and_let_go(void *arg)
{
    struct blob *b = arg;

    for (int i = 0; i < 1000; i++) {
        blob_unref(blob_ref(b));
    }
    assert_int_equal(b->data[0], 'x');
    blob_unref(b);
    return NULL;
}

/* Sanitizers see a blob that is freed too early, twice or never. */
static void test_the_last_thread_to_let_go_frees(void **state)
{
    pthread_t threads[N_THREADS];
    struct blob *b = blob_copy("x", 1);

    (void)state;
    assert_non_null(b);
    for (int t = 0; t < N_THREADS; t++) {
        assert_int_equal(
            pthread_create(&threads[t], NULL, use_and_let_go, blob_ref(b)), 0);
    }
    blob_unref(b);
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_has_the_bytes),
        cmocka_unit_test(test_a_slice_keeps_its_parent),
        cmocka_unit_test(test_a_size_that_overflows_is_no_memory),
        cmocka_unit_test(test_the_last_thread_to_let_go_frees),
    };
    return cmocka_run_group_tests_name("core_blob", tests, NULL, NULL);
}
