#include "cli/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "core/buf.h"

#define LOCAL_SIZE     30   /* Bytes of a local header without the name, */
#define DIRECTORY_SIZE 46   /* of an entry of the directory, likewise, */
#define END_SIZE       22   /* and of what stands at the end. */
#define VERSION        20   /* 2.0: what a reader must know. */
#define DATE           0x21 /* 1 January 1980: equal arrays, equal bytes. */

struct entry {
    uint32_t crc, size, offset;
};

struct npz {
    FILE *f;
    uint32_t crc; /* Of the entry being written. */
};

static int put(void *arg, const void *data, size_t size, struct err *e)
{
    struct npz *z = arg;

    z->crc = (uint32_t)crc32(z->crc, data, (uInt)size);
    return fwrite(data, 1, size, z->f) == size ? 0 : err_errno(e, "write");
}

/* The fields that a local header and an entry of the directory share: from the
 * version on, to the length of the name. */
static void fields(uint8_t *at, const struct entry *x, size_t name_size)
{
    memset(at, 0, 26);
    le_put_u16(at, VERSION);
    le_put_u16(at + 8, DATE);
    le_put_u32(at + 10, x->crc);
    le_put_u32(at + 14, x->size);
    le_put_u32(at + 18, x->size);
    le_put_u16(at + 22, (uint16_t)name_size);
}

static int put_raw(struct npz *z, const void *data, size_t size, struct err *e)
{
    return fwrite(data, 1, size, z->f) == size ? 0 : err_errno(e, "write");
}

/* The checksum stands in front of what it is of: the header is written again
 * when it is known. */
static int put_entry(struct npz *z,
                     const struct npz_array *a,
                     struct entry *x,
                     struct err *e)
{
    char name[NPZ_NAME_SIZE + 4];
    const size_t n = (size_t)snprintf(name, sizeof name, "%s.npy", a->name);
    uint8_t head[LOCAL_SIZE];
    int rc = 0;

    memcpy(head, "PK\x03\x04", 4);
    x->size = (uint32_t)npy_size(&a->rows);
    x->offset = (uint32_t)ftell(z->f);
    for (int pass = 0; rc == 0 && pass < 2; pass++) {
        if (fseek(z->f, (long)x->offset, SEEK_SET) != 0) {
            return err_errno(e, "seek");
        }
        fields(head + 4, x, n);
        rc = put_raw(z, head, sizeof head, e);
        rc = rc != 0 ? rc : put_raw(z, name, n, e);
        if (rc == 0 && pass == 0) {
            z->crc = 0;
            rc = npy_put(&a->rows, put, z, e);
            x->crc = z->crc;
        }
    }
    return rc != 0                         ? rc
           : fseek(z->f, 0, SEEK_END) != 0 ? err_errno(e, "seek")
                                           : 0;
}

static int put_directory(struct npz *z,
                         const struct npz_array *arrays,
                         const struct entry *entries,
                         size_t n,
                         struct err *e)
{
    const uint32_t begin = (uint32_t)ftell(z->f);
    uint8_t end[END_SIZE] = "PK\x05\x06";
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint8_t head[DIRECTORY_SIZE] = "PK\x01\x02\x14";
        char name[NPZ_NAME_SIZE + 4];
        const size_t size =
            (size_t)snprintf(name, sizeof name, "%s.npy", arrays[i].name);
        fields(head + 6, &entries[i], size);
        le_put_u32(head + 42, entries[i].offset);
        rc = put_raw(z, head, sizeof head, e);
        rc = rc != 0 ? rc : put_raw(z, name, size, e);
    }
    le_put_u16(end + 8, (uint16_t)n);
    le_put_u16(end + 10, (uint16_t)n);
    le_put_u32(end + 12, (uint32_t)ftell(z->f) - begin);
    le_put_u32(end + 16, begin);
    return rc != 0 ? rc : put_raw(z, end, sizeof end, e);
}

static int
put_all(struct npz *z, const struct npz_array *arrays, size_t n, struct err *e)
{
    struct entry *entries = calloc(n + 1, sizeof *entries);
    int rc = entries == NULL ? err_set(e, ERR_NOMEM, "out of memory") : 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = put_entry(z, &arrays[i], &entries[i], e);
    }
    rc = rc != 0 ? rc : put_directory(z, arrays, entries, n, e);
    free(entries);
    if (rc == 0 && (fflush(z->f) != 0 || fsync(fileno(z->f)) != 0)) {
        rc = err_errno(e, "sync");
    }
    return rc;
}

static int check_size(const struct npz_array *arrays, size_t n, struct err *e)
{
    uint64_t size = END_SIZE;

    for (size_t i = 0; i < n; i++) {
        size += npy_size(&arrays[i].rows) + LOCAL_SIZE + DIRECTORY_SIZE +
                (uint64_t)2 * (NPZ_NAME_SIZE + 4);
    }
    return size <= UINT32_MAX
               ? 0
               : err_set(e, ERR_INVALID,
                         "%.1f GB do not fit into an .npz: use --format npy",
                         (double)size / 1e9);
}

int npz_write(const char *path,
              const struct npz_array *arrays,
              size_t n,
              struct err *e)
{
    const size_t size = strlen(path) + sizeof ".partial";
    char *partial = malloc(size);
    struct npz z = {.f = NULL};
    int rc = partial == NULL ? err_set(e, ERR_NOMEM, "out of memory")
                             : check_size(arrays, n, e);

    if (rc != 0) {
        goto free_partial;
    }
    snprintf(partial, size, "%s.partial", path);
    z.f = fopen(partial, "wb");
    if (z.f == NULL) {
        rc = err_errno(e, "create");
        goto free_partial;
    }
    rc = put_all(&z, arrays, n, e);
    if (fclose(z.f) != 0 && rc == 0) {
        rc = err_errno(e, "close");
    }
    if (rc == 0 && rename(partial, path) != 0) {
        rc = err_errno(e, "rename");
    }
    if (rc != 0) {
        unlink(partial);
    }
free_partial:
    free(partial);
    return rc == 0 ? 0 : err_wrap(e, rc, "write %s", path);
}
