/* Unit tests of report/text.h: nothing that data says is markup or code. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dataset/unicode.h"
#include "report/text.h"
#include "tests/support/test.h"

typedef void (*writer)(struct buf *out, const char *text);

/* What @write makes of @text. The caller frees it. */
static char *written(writer write, const char *text)
{
    struct buf b;

    buf_init(&b);
    write(&b, text);
    buf_put(&b, "", 1);
    assert_false(b.failed);
    return (char *)b.data;
}

static void expect(writer write, const char *text, const char *want)
{
    char *got = written(write, text);

    assert_string_equal(got, want);
    free(got);
}

static void test_markup_becomes_text(void **state)
{
    (void)state;
    expect(report_text_html, "<b>&\"'</b>",
           "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
    expect(report_text_html, "ä 中 😀", "ä 中 😀");
    expect(report_text_html, "", "");
}

static void test_what_is_no_text_is_replaced(void **state)
{
    (void)state;
    expect(report_text_html,
           "a\xff"
           "b\x01"
           "c\xc3",
           "a\xef\xbf\xbd"
           "b\xef\xbf\xbd"
           "c\xef\xbf\xbd");
    expect(report_text_html, "\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");
    expect(report_text_html, "\xed\xa0\x80",
           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_json_cannot_end_its_script(void **state)
{
    static const char *const texts[] = {"</script><script>alert(1)</script>",
                                        "<!-- <script>", "a\"b\\c\n\t",
                                        "\xe2\x80\xa8 \xe2\x80\xa9", "&amp;"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *got = written(report_text_json, texts[i]);
        json_t *back = json_loads(got, JSON_DECODE_ANY, NULL);
        assert_null(strpbrk(got, "<>&\n"));
        assert_null(strstr(got, "\xe2\x80\xa8"));
        assert_string_equal(json_string_value(back), texts[i]);
        json_decref(back);
        free(got);
    }
}

static void test_any_bytes_become_valid_text(void **state)
{
    char text[4] = {0};

    (void)state;
    for (int a = 1; a < 256; a++) {
        for (int b = 1; b < 256; b++) {
            text[0] = (char)a;
            text[1] = (char)b;
            char *html = written(report_text_html, text);
            char *json = written(report_text_json, text);
            json_t *back = json_loads(json, JSON_DECODE_ANY, NULL);
            assert_true(unicode_is_utf8(html, strlen(html)));
            assert_non_null(back);
            assert_null(strpbrk(html, "<>\"'"));
            json_decref(back);
            free(html);
            free(json);
        }
    }
}

/* The writers of numbers. */
static char *number(void (*write)(struct buf *, double), double x)
{
    struct buf b;

    buf_init(&b);
    write(&b, x);
    buf_put(&b, "", 1);
    return (char *)b.data;
}

static void test_numbers_are_written_for_programs_and_for_people(void **state)
{
    static const struct {
        void (*write)(struct buf *, double);
        double x;
        const char *want;
    } cases[] = {{report_text_number, 0.125, "0.125"},
                 {report_text_number, NAN, "null"},
                 {report_text_number, INFINITY, "null"},
                 {report_text_value, 1234567, "1,234,567"},
                 {report_text_value, -1234.4, "-1,234"},
                 {report_text_value, 999, "999"},
                 {report_text_value, 0.12345678, "0.1235"},
                 {report_text_value, 1e-7, "1e-07"},
                 {report_text_value, 0, "0"},
                 {report_text_value, NAN, "-"},
                 {report_text_value, 1e300, "1e+300"},
                 {report_text_bytes, 12, "12 B"},
                 {report_text_bytes, 999.7, "1.0 kB"},
                 {report_text_bytes, 1.25e9, "1.2 GB"},
                 {report_text_bytes, NAN, "-"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = number(cases[i].write, cases[i].x);
        assert_string_equal(got, cases[i].want);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup_becomes_text),
        cmocka_unit_test(test_what_is_no_text_is_replaced),
        cmocka_unit_test(test_json_cannot_end_its_script),
        cmocka_unit_test(test_any_bytes_become_valid_text),
        cmocka_unit_test(test_numbers_are_written_for_programs_and_for_people),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
