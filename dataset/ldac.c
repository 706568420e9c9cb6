#include "dataset/ldac.h"

#include "dataset/lines.h"
#include "dataset/number.h"
#include "dataset/pairs.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int parse_ldac(struct dataset_part *part,
                      const struct dataset_line *line,
                      struct err *e)
{
    struct dataset_pairs c = {.p = dataset_skip_blanks(line->p),
                              .end = line->end};
    char q[QUOTE_SIZE];
    uint64_t want, n;
    const char *begin = c.p;
    int rc;

    if (!dataset_parse_u64(&c.p, &want) || (c.p < c.end && !is_blank(*c.p))) {
        return err_set(
            e, ERR_CORRUPT, "expected the number of pairs, found %s",
            dataset_quote(q, begin,
                          (size_t)(dataset_skip_word(begin, c.end) - begin)));
    }
    if (!line->own) {
        dataset_pairs_skim(part, &c);
        return dataset_part_skip(part, DATASET_NO_LABEL, e);
    }
    rc = dataset_pairs_row(part, &c, DATASET_NO_LABEL, &n, e);
    if (rc == 0 && n != want) {
        return err_set(e, ERR_CORRUPT, "%llu pairs announced, %llu found",
                       (unsigned long long)want, (unsigned long long)n);
    }
    return rc;
}

int dataset_ldac_read(struct dataset_build *b,
                      struct dataset_input *in,
                      size_t block_size,
                      struct err *e)
{
    static const struct dataset_line_format FORMAT = {.growth = 1,
                                                      .parse = parse_ldac};

    return dataset_lines_read(b, in, &FORMAT, block_size, e);
}
