#include "dataset/npy.h"

#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "dataset/dense.h"
#include "dataset/number.h"

#define HEADER_SIZE_MAX 4096

static const struct {
    const char *descr;
    enum dataset_type type;
} TYPES[] = {{"'|u1'", DENSE_U8},  {"'|i1'", DENSE_I8},  {"'<u2'", DENSE_U16},
             {"'<i2'", DENSE_I16}, {"'<u4'", DENSE_U32}, {"'<i4'", DENSE_I32},
             {"'<i8'", DENSE_I64}, {"'<f4'", DENSE_F32}, {"'<f8'", DENSE_F64}};

/* What stands behind 'key': in the header, or "". */
static const char *find(const char *header, const char *key)
{
    const char *p = strstr(header, key);

    if (p == NULL) {
        return "";
    }
    p += strlen(key);
    while (*p == ' ' || *p == ':') {
        p++;
    }
    return p;
}

static int parse_type(const char *p, struct dataset_array *a, struct err *e)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        if (strncmp(p, TYPES[i].descr, strlen(TYPES[i].descr)) == 0) {
            a->type = TYPES[i].type;
            return 0;
        }
    }
    return err_set(e, ERR_CORRUPT,
                   "npy type %.*s: '<f4' and '<f8' are read, for labels "
                   "integers",
                   (int)strcspn(p, ","), p);
}

/* "(n, K)", "(n,)" */
static int parse_shape(const char *p, struct dataset_array *a, struct err *e)
{
    uint64_t x;

    a->n_columns = 1;
    if (*p++ != '(') {
        return err_set(e, ERR_CORRUPT, "npy header without a shape");
    }
    while (dataset_parse_u64(&p, &x)) {
        if (a->n_dims == 0) {
            a->n_rows = x;
        } else if (a->n_columns <= DENSE_COLUMNS_MAX &&
                   x <= DENSE_COLUMNS_MAX) {
            a->n_columns *= x;
        } else {
            a->n_columns = UINT64_MAX;
        }
        a->n_dims++;
        p += strspn(p, ", L");
    }
    if (*p != ')' || a->n_columns > DENSE_COLUMNS_MAX) {
        return err_set(e, ERR_CORRUPT, "npy shape is not (rows, columns)");
    }
    return 0;
}

static int get_header(struct dataset_input *in,
                      char header[HEADER_SIZE_MAX + 1],
                      struct err *e)
{
    uint8_t start[12];
    size_t size;
    int rc = dataset_dense_get(in, start, 10, e);

    if (rc != 0) {
        return rc;
    }
    if (memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3) {
        return err_set(e, ERR_CORRUPT, "not an npy file of version 1 to 3");
    }
    size = le_u16(start + 8);
    if (start[6] > 1) {
        rc = dataset_dense_get(in, start + 10, 2, e);
        size = le_u32(start + 8);
    }
    if (rc == 0 && size > HEADER_SIZE_MAX) {
        rc = err_set(e, ERR_CORRUPT, "npy header of %zu bytes", size);
    }
    if (rc == 0) {
        rc = dataset_dense_get(in, header, size, e);
        header[size] = '\0';
    }
    return rc;
}

static int
read_header(struct dataset_input *in, struct dataset_array *a, struct err *e)
{
    char header[HEADER_SIZE_MAX + 1];
    int rc = get_header(in, header, e);

    memset(a, 0, sizeof *a);
    a->scale = 1;
    if (rc == 0) {
        rc = parse_type(find(header, "'descr'"), a, e);
    }
    if (rc == 0 && strncmp(find(header, "'fortran_order'"), "False", 5) != 0) {
        rc = err_set(e, ERR_CORRUPT,
                     "npy in Fortran order: save it with "
                     "numpy.ascontiguousarray");
    }
    return rc != 0 ? rc : parse_shape(find(header, "'shape'"), a, e);
}

/* X.labels.npy, then the name with a leading X replaced by y. */
static bool guess(const char *path, unsigned i, char *to, size_t room)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strstr(name, ".npy");
    size_t stem = dot == NULL ? strlen(path) : (size_t)(dot - path);

    if (i == 0) {
        int n =
            snprintf(to, room, "%.*s.labels%s", (int)stem, path, path + stem);
        return n > 0 && (size_t)n < room;
    }
    if (i > 1 || *name != 'X' || strlen(path) >= room) {
        return false;
    }
    strcpy(to, path);
    to[name - path] = 'y';
    return true;
}

int dataset_npy_read(struct dataset_build *b,
                     struct dataset_input *in,
                     const char *path,
                     struct err *e)
{
    return dataset_dense_read(b, in, path, read_header, guess, e);
}
