/* Unit tests of sv/state.h. */

#include <string.h>

#include "sv/state.h"
#include "tests/support/test.h"

static void fill(struct sv_state *s, float x)
{
    for (size_t k = 0; k < s->w.K; k++) {
        for (size_t j = 0; j < s->w.J; j++) {
            mat_row(&s->w, k)[j] = x + (float)(k * 8 + j);
            if (s->aux.data != NULL) {
                mat_row(&s->aux, k)[j] = 2 * x;
            }
        }
        if (s->h != NULL) {
            s->h[k] = 3 * x;
        }
    }
}

static void assert_equal(const struct sv_state *a, const struct sv_state *b)
{
    const size_t size = a->w.K * a->w.ld * sizeof(float);

    assert_memory_equal(a->w.data, b->w.data, size);
    if (a->aux.data != NULL) {
        assert_memory_equal(a->aux.data, b->aux.data, size);
    }
    if (a->h != NULL) {
        assert_memory_equal(a->h, b->h, a->w.K * sizeof *a->h);
    }
}

static void test_a_copy_is_equal_and_apart(void **state)
{
    (void)state;
    for (int rule = 0; rule < SV_RULE_COUNT; rule++) {
        struct sv_state s[2], *copies;
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(
                sv_state_init(&s[i], (enum sv_rule)rule, 1, 3 + i, 5, NULL), 0);
            fill(&s[i], 1);
        }
        assert_int_equal(sv_states_copy(&copies, s, 2, NULL), 0);
        assert_equal(&s[0], &copies[0]);
        assert_equal(&s[1], &copies[1]);
        fill(&s[1], 7);
        assert_true(mat_row(&copies[1].w, 0)[0] == 1);
        sv_states_assign(copies, s, 2);
        assert_equal(&s[1], &copies[1]);
        sv_states_free(copies, 2);
        sv_state_fini(&s[0]);
        sv_state_fini(&s[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_equal_and_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
