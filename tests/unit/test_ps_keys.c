/* Unit tests of ps/keys.h. */

#include <stdlib.h>
#include <string.h>

#include "ps/keys.h"
#include "tests/support/test.h"

static void test_a_list_is_found_by_hash_and_length(void **state)
{
    struct ps_keys *k = malloc(sizeof *k);
    uint32_t list[] = {3, 5, 9};

    (void)state;
    ps_keys_init(k);
    assert_null(ps_keys_get(k, 77, 3));
    assert_null(ps_keys_get(k, 0, 0));
    ps_keys_put(k, 77, list, 3);
    assert_memory_equal(ps_keys_get(k, 77, 3), list, sizeof list);
    assert_null(ps_keys_get(k, 77, 2));
    assert_null(ps_keys_get(k, 78, 3));
    /* The place is taken over. */
    ps_keys_put(k, 77 + PS_KEYS_PLACES, list, 2);
    assert_null(ps_keys_get(k, 77, 3));
    assert_int_equal(k->n_keys, 2);
    ps_keys_fini(k);
    free(k);
}

static void test_lists_never_hold_more_keys_than_allowed(void **state)
{
    struct ps_keys *k = malloc(sizeof *k);
    uint32_t n = PS_KEYS_MAX / 8;
    uint32_t *list = calloc(n, sizeof *list);

    (void)state;
    ps_keys_init(k);
    for (uint64_t h = 0; h < 20; h++) {
        ps_keys_put(k, h, list, n);
        assert_true(k->n_keys <= PS_KEYS_MAX);
        assert_non_null(ps_keys_get(k, h, n));
    }
    assert_non_null(ps_keys_get(k, 18, n));
    ps_keys_fini(k);
    free(list);
    free(k);
}

static void test_a_sender_remembers_who_has_what(void **state)
{
    static struct ps_keys_sent s;

    (void)state;
    ps_keys_sent_put(&s, 3, 77);
    assert_true(ps_keys_sent_has(&s, 3, 77));
    assert_false(ps_keys_sent_has(&s, 2, 77));
    assert_false(ps_keys_sent_has(&s, 3, 78));
    ps_keys_sent_drop(&s, 2, 77);
    assert_true(ps_keys_sent_has(&s, 3, 77));
    ps_keys_sent_drop(&s, 3, 77);
    assert_false(ps_keys_sent_has(&s, 3, 77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_found_by_hash_and_length),
        cmocka_unit_test(test_lists_never_hold_more_keys_than_allowed),
        cmocka_unit_test(test_a_sender_remembers_who_has_what),
    };
    return cmocka_run_group_tests_name("ps_keys", tests, NULL, NULL);
}
