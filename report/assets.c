#include "report/assets.h"

/* The paths come from CMakeLists.txt. */
#define ASSET(NAME, PATH)                            \
    __asm__(".pushsection .rodata\n"                 \
            ".global " #NAME "\n"                    \
            ".type " #NAME ", %object\n" #NAME ":\n" \
            ".incbin \"" PATH "\"\n"                 \
            ".byte 0\n"                              \
            ".size " #NAME ", . - " #NAME "\n"       \
            ".popsection\n")

ASSET(report_page_css, REPORT_PAGE_CSS);
ASSET(report_page_js, REPORT_PAGE_JS);
ASSET(report_chart_js, REPORT_CHART_JS);
