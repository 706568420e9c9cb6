#include "ckpt/catalog.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/file.h"
#include "ckpt/segment.h"

#define MAP_TRIES 5 /* At segments that go meanwhile. */

static int wrap_segment(struct err *e, int rc, const struct ckpt_segment *s)
{
    char name[CKPT_SEGMENT_NAME_SIZE];

    ckpt_segment_name(name, s->number);
    return err_wrap(e, rc, "%s", name);
}

static int entries_push(struct ckpt_entries *list,
                        const struct ckpt_entry *entry,
                        struct err *e)
{
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 256 : 2 * list->room;
        struct ckpt_entry *at = realloc(list->at, room * sizeof *at);
        if (at == NULL) {
            return err_set(e, ERR_NOMEM, "%zu records", room);
        }
        list->at = at;
        list->room = room;
    }
    list->at[list->n++] = *entry;
    return 0;
}

bool ckpt_entry_before(const struct ckpt_entry *a, const struct ckpt_entry *b)
{
    return a->segment != b->segment ? a->segment < b->segment
                                    : a->offset < b->offset;
}

static int compare_key(const struct ckpt_entry *a, const struct ckpt_entry *b)
{
    if (a->clock != b->clock) {
        return a->clock < b->clock ? -1 : 1;
    }
    if (a->origin != b->origin) {
        return a->origin < b->origin ? -1 : 1;
    }
    return (a->matrix > b->matrix) - (a->matrix < b->matrix);
}

static int compare(const void *x, const void *y)
{
    const struct ckpt_entry *a = x, *b = y;
    int order = compare_key(a, b);

    if (order == 0) {
        order = (a->sequence > b->sequence) - (a->sequence < b->sequence);
    }
    return order != 0 ? order
                      : ckpt_entry_before(b, a) - ckpt_entry_before(a, b);
}

int ckpt_catalog_add(struct ckpt_catalog *c,
                     const struct ckpt_entry *entry,
                     struct err *e)
{
    return entries_push(&c->kinds[entry->kind], entry, e);
}

/* Most logs are in order as they are. */
static void entries_sort(struct ckpt_entries *list)
{
    for (size_t i = 1; i < list->n; i++) {
        if (compare(&list->at[i - 1], &list->at[i]) > 0) {
            qsort(list->at, list->n, sizeof *list->at, compare);
            return;
        }
    }
}

void ckpt_catalog_sort(struct ckpt_catalog *c)
{
    for (int kind = 0; kind < SV_RECORD_KIND_END; kind++) {
        entries_sort(&c->kinds[kind]);
    }
}

/* Names that are not a segment's are none of our business. */
static bool parse_name(const char *name, uint32_t *number)
{
    char again[CKPT_SEGMENT_NAME_SIZE];
    char *end;
    unsigned long long x = strtoull(name, &end, 10);

    if (end == name || x > UINT32_MAX) {
        return false;
    }
    *number = (uint32_t)x;
    ckpt_segment_name(again, *number);
    return strcmp(strchr(again, '/') + 1, name) == 0;
}

static int compare_segments(const void *x, const void *y)
{
    const struct ckpt_segment *a = x, *b = y;

    return (a->number > b->number) - (a->number < b->number);
}

static int list_segments(struct ckpt_catalog *c, const char *dir, struct err *e)
{
    char path[CKPT_PATH_SIZE];
    struct dirent *entry;
    uint32_t number;
    DIR *d;
    int rc = ckpt_path(path, dir, "segments", e);

    if (rc != 0) {
        return rc;
    }
    d = opendir(path);
    if (d == NULL) {
        return err_wrap(e, err_errno(e, "opendir"), "%s", path);
    }
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        struct ckpt_segment *more;
        if (!parse_name(entry->d_name, &number)) {
            continue;
        }
        more = realloc(c->segments, (c->n_segments + 1) * sizeof *more);
        if (more == NULL) {
            rc = err_set(e, ERR_NOMEM, "%zu segments", c->n_segments);
            break;
        }
        c->segments = more;
        more[c->n_segments++] = (struct ckpt_segment){.number = number};
    }
    closedir(d);
    if (rc == 0 && c->n_segments == 0) {
        return err_set(e, ERR_NOT_FOUND, "%s: no segments", path);
    }
    if (rc == 0) {
        qsort(c->segments, c->n_segments, sizeof *c->segments,
              compare_segments);
    }
    return rc;
}

static int map_segment(struct ckpt_segment *s, const char *dir, struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE], path[CKPT_PATH_SIZE];
    struct stat st;
    void *data;
    int fd, rc;

    ckpt_segment_name(name, s->number);
    rc = ckpt_path(path, dir, name, e);
    if (rc != 0) {
        return rc;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_wrap(e, err_errno(e, "open"), "%s", path);
    }
    rc = fstat(fd, &st) != 0 ? err_wrap(e, err_errno(e, "fstat"), "%s", path)
                             : 0;
    if (rc == 0 && st.st_size > 0) {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            rc = err_wrap(e, err_errno(e, "mmap"), "%s", path);
        } else {
            s->data = data;
            s->file_size = (uint64_t)st.st_size;
        }
    }
    close(fd);
    return rc;
}

/* A segment that a crash left before its run record was synced: the last ones
 * of a log may be so. */
static bool is_leftover(const struct ckpt_segment *s)
{
    size_t at;

    return !ckpt_segment_find_record(s->data, s->file_size, 0, &at);
}

static int
read_header(struct ckpt_catalog *c, struct ckpt_segment *s, struct err *e)
{
    struct ckpt_segment_header h;
    int rc = ckpt_segment_read_header(&h, s->data, s->file_size, e);

    if (rc != 0) {
        return wrap_segment(e, ERR_CORRUPT, s);
    }
    if (s == c->segments) {
        c->run = h.run;
        c->peer = h.peer;
    }
    if (h.number != s->number || h.run != c->run || h.peer != c->peer) {
        err_set(e, ERR_CORRUPT,
                "segment %u of peer %u, run %016" PRIx64
                " where %u of peer %u, run %016" PRIx64 " belongs",
                h.number, h.peer, h.run, s->number, c->peer, c->run);
        return wrap_segment(e, ERR_CORRUPT, s);
    }
    s->first_clock = h.first_clock;
    s->size = CKPT_SEGMENT_HEADER_SIZE;
    return 0;
}

static int check_numbers(const struct ckpt_catalog *c, struct err *e)
{
    for (size_t i = 1; i < c->n_segments; i++) {
        uint32_t before = c->segments[i - 1].number;
        if (c->segments[i].number != before + 1) {
            return err_set(e, ERR_CORRUPT,
                           "segments/%08u.seg: missing between %08u and %08u",
                           before + 1, before, c->segments[i].number);
        }
    }
    return 0;
}

/* What the snapshots are; one that is not good is none. */
static int
read_snapshots(struct ckpt_catalog *c, const char *dir, struct err *e)
{
    uint64_t *clocks;
    size_t n;
    int rc = ckpt_snapshot_list(dir, &clocks, &n, e);

    c->snapshots = rc != 0 ? NULL : calloc(n + 1, sizeof *c->snapshots);
    if (rc == 0 && c->snapshots == NULL) {
        rc = err_set(e, ERR_NOMEM, "%zu snapshots", n);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ckpt_snapshot *s = &c->snapshots[c->n_snapshots];
        struct err bad;
        int bad_rc = ckpt_snapshot_open(s, dir, clocks[i], &bad);
        if (bad_rc == 0 && (s->run != c->run || s->peer != c->peer)) {
            ckpt_snapshot_fini(s);
            bad_rc = err_set(&bad, ERR_CORRUPT,
                             "snapshot of clock %" PRIu64
                             " is of another run or peer",
                             clocks[i]);
        }
        if (bad_rc == 0) {
            c->n_snapshots++;
        } else if (c->snapshot_rc == 0) {
            c->snapshot_rc = bad_rc;
            c->snapshot_err = bad;
        }
    }
    free(clocks);
    return rc;
}

static int map_all(struct ckpt_catalog *c, const char *dir, struct err *e)
{
    int rc = list_segments(c, dir, e);

    for (size_t i = 0; rc == 0 && i < c->n_segments; i++) {
        rc = map_segment(&c->segments[i], dir, e);
    }
    return rc;
}

int ckpt_catalog_map(struct ckpt_catalog *c, const char *dir, struct err *e)
{
    int rc, tries = 0;

    do { /* Old segments may go while they are being mapped. */
        memset(c, 0, sizeof *c);
        rc = map_all(c, dir, e);
        if (rc == ERR_NOT_FOUND && c->n_segments > 0) {
            ckpt_catalog_close(c);
            tries++;
        } else {
            tries = MAP_TRIES;
        }
    } while (tries < MAP_TRIES);
    if (rc == 0) {
        rc = check_numbers(c, e);
    }
    c->n_valid = c->n_segments;
    while (rc == 0 && c->n_valid > 0 &&
           is_leftover(&c->segments[c->n_valid - 1])) {
        c->n_valid--;
    }
    if (rc == 0 && c->n_valid == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "%s: no segment was begun", dir);
    }
    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        rc = read_header(c, &c->segments[i], e);
    }
    if (rc == 0) {
        rc = read_snapshots(c, dir, e);
    }
    if (rc != 0) {
        ckpt_catalog_close(c);
    }
    return rc;
}

void ckpt_catalog_close(struct ckpt_catalog *c)
{
    for (size_t i = 0; i < c->n_segments; i++) {
        if (c->segments[i].data != NULL) {
            munmap((void *)(uintptr_t)c->segments[i].data,
                   c->segments[i].file_size);
        }
    }
    for (int kind = 0; kind < SV_RECORD_KIND_END; kind++) {
        free(c->kinds[kind].at);
    }
    for (size_t i = 0; i < c->n_snapshots; i++) {
        ckpt_snapshot_fini(&c->snapshots[i]);
    }
    free(c->snapshots);
    free(c->segments);
    free(c->run_json);
    memset(c, 0, sizeof *c);
}

/* What the index said before the segments were looked at: rows never speak of
 * bytes that came later. */
struct rows {
    struct ckpt_segment_row *segments;
    size_t n_segments;
    struct ckpt_entries records;
    uint64_t run;
    struct err *e;
};

static int take_segment(void *arg, const struct ckpt_segment_row *row)
{
    struct rows *rows = arg;
    struct ckpt_segment_row *more =
        realloc(rows->segments, (rows->n_segments + 1) * sizeof *more);

    if (more == NULL) {
        return err_set(rows->e, ERR_NOMEM, "%zu segments", rows->n_segments);
    }
    rows->segments = more;
    more[rows->n_segments++] = *row;
    return 0;
}

static int take_record(void *arg, const struct ckpt_entry *entry)
{
    struct rows *rows = arg;

    return entries_push(&rows->records, entry, rows->e);
}

static void rows_fini(struct rows *rows)
{
    free(rows->segments);
    free(rows->records.at);
    memset(rows, 0, sizeof *rows);
}

/* Segments and records are read in one transaction, so that a writer cannot
 * come between them. */
static int rows_load(struct rows *rows, const char *dir, struct err *e)
{
    struct ckpt_index x;
    int rc;

    memset(rows, 0, sizeof *rows);
    rows->e = e;
    rc = ckpt_index_open(&x, dir, false, e);
    if (rc != 0) {
        return rc;
    }
    if ((rc = ckpt_index_begin(&x, e)) == 0 &&
        (rc = ckpt_index_get_run(&x, &rows->run, e)) == 0 &&
        (rc = ckpt_index_each_segment(&x, take_segment, rows, e)) == 0) {
        rc = ckpt_index_each_record(&x, take_record, rows, e);
    }
    ckpt_index_close(&x);
    if (rc != 0) {
        rows_fini(rows);
    }
    return rc;
}

static struct ckpt_segment *segment_at(const struct ckpt_catalog *c,
                                       uint32_t number)
{
    uint32_t first = c->segments[0].number;

    return number < first || number - first >= c->n_valid
               ? NULL
               : &c->segments[number - first];
}

static bool entry_fits(const struct ckpt_segment *s,
                       const struct ckpt_entry *entry)
{
    return entry->kind > 0 && entry->kind < SV_RECORD_KIND_END &&
           entry->offset >= CKPT_SEGMENT_HEADER_SIZE &&
           entry->offset <= s->indexed && entry->size >= SV_RECORD_SIZE &&
           entry->size <= s->indexed - entry->offset;
}

/* What the rows of a segment come to. */
struct tally {
    uint64_t covered;
    uint64_t last; /* Offset of the last record. */
    uint64_t last_checksum;
    bool bad;
};

/* Rows of a segment count if they cover it without a gap, as far as the index
 * says, and the last of them is what stands there. */
static void tally_rows(const struct ckpt_catalog *c,
                       const struct rows *rows,
                       struct tally *tallies)
{
    for (size_t i = 0; i < rows->records.n; i++) {
        const struct ckpt_entry *entry = &rows->records.at[i];
        const struct ckpt_segment *s = segment_at(c, entry->segment);
        struct tally *t = s == NULL ? NULL : &tallies[s - c->segments];
        if (t == NULL || t->bad) {
            continue;
        }
        if (!entry_fits(s, entry)) {
            t->bad = true;
            continue;
        }
        t->covered += entry->size;
        if (entry->offset > t->last) {
            t->last = entry->offset;
            t->last_checksum = entry->checksum;
        }
    }
    for (size_t i = 0; i < c->n_valid; i++) {
        const struct ckpt_segment *s = &c->segments[i];
        struct tally *t = &tallies[i];
        t->bad = t->bad || t->last == 0 ||
                 t->covered + CKPT_SEGMENT_HEADER_SIZE != s->indexed ||
                 le_u64(s->data + t->last + 56) != t->last_checksum;
    }
}

/* Where the index says that a segment was synced up to, and covered by rows. */
static void take_sizes(struct ckpt_catalog *c, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n_segments; i++) {
        const struct ckpt_segment_row *row = &rows->segments[i];
        struct ckpt_segment *s = segment_at(c, row->number);
        if (s != NULL && row->indexed <= s->file_size &&
            row->durable <= row->indexed) {
            s->indexed = row->indexed;
            s->durable = row->durable;
        }
    }
}

/* The last segment, of which the index knows nothing though it knows the one
 * before: begun, and never synced since. */
static bool is_news(const struct ckpt_catalog *c, size_t i)
{
    return i + 1 == c->n_valid && c->segments[i].indexed == 0 &&
           (i == 0 || c->segments[i - 1].durable > 0);
}

static int
take_rows(struct ckpt_catalog *c, const struct rows *rows, struct err *e)
{
    struct tally *tallies = calloc(c->n_valid, sizeof *tallies);
    int rc = 0;

    if (tallies == NULL) {
        return err_set(e, ERR_NOMEM, "%zu segments", c->n_valid);
    }
    take_sizes(c, rows);
    tally_rows(c, rows, tallies);
    for (size_t i = 0; i < c->n_valid; i++) {
        struct ckpt_segment *s = &c->segments[i];
        if (tallies[i].bad && (s->indexed != 0 || tallies[i].covered != 0)) {
            c->index_rc = err_set(&c->index_err, ERR_CORRUPT,
                                  "index.db contradicts segment %u", s->number);
        }
        if (tallies[i].bad) {
            bool news = tallies[i].covered == 0 && is_news(c, i);
            s->indexed = 0;
            s->durable = news ? CKPT_SEGMENT_HEADER_SIZE : 0;
        } else {
            s->size = s->indexed;
        }
    }
    for (size_t i = 0; rc == 0 && i < rows->records.n; i++) {
        const struct ckpt_entry *entry = &rows->records.at[i];
        const struct ckpt_segment *s = segment_at(c, entry->segment);
        if (s != NULL && s->indexed != 0) {
            rc = entries_push(&c->kinds[entry->kind], entry, e);
        }
    }
    free(tallies);
    return rc;
}

/* Take what the index does not know. The last segment may end
 * in a torn write; the others were synced before the next began. */
static int scan(struct ckpt_catalog *c, struct ckpt_segment *s, struct err *e)
{
    bool last = s == &c->segments[c->n_valid - 1];
    size_t record_size;
    struct sv_record r;
    int rc;

    while ((rc = ckpt_segment_next(s->data, s->file_size, s->size, &r,
                                   &record_size, e)) == 1) {
        struct ckpt_entry entry =
            ckpt_entry_of(&r, s->data + s->size, s->number, s->size);
        rc = entries_push(&c->kinds[r.kind], &entry, e);
        if (rc != 0) {
            return rc;
        }
        s->size += record_size;
    }
    if (rc == 0 || (last && s->durable <= s->size &&
                    (rc == ERR_AGAIN || s->durable > 0))) {
        return 0;
    }
    return wrap_segment(e, ERR_CORRUPT, s);
}

static int take_run(struct ckpt_catalog *c, struct err *e)
{
    const struct ckpt_entries *runs = &c->kinds[SV_RECORD_RUN];
    const uint8_t *data;
    struct sv_record r;
    int rc;

    if (runs->n == 0) {
        return err_set(e, ERR_NOT_FOUND, "log without a run record");
    }
    rc = ckpt_catalog_read(c, &runs->at[runs->n - 1], &r, &data, e);
    if (rc != 0) {
        return rc;
    }
    c->run_json = strndup((const char *)data + SV_RECORD_SIZE, r.payload_size);
    return c->run_json == NULL ? err_set(e, ERR_NOMEM, "run record") : 0;
}

/* @c is mapped, and its index_rc says whether there are @rows. */
static int
find_entries(struct ckpt_catalog *c, const struct rows *rows, struct err *e)
{
    int rc = 0;

    if (c->index_rc == 0 && rows->run != c->run) {
        c->index_rc = err_set(&c->index_err, ERR_CORRUPT,
                              "index.db is of run %016" PRIx64, rows->run);
    }
    if (c->index_rc == 0) {
        rc = take_rows(c, rows, e);
    }
    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        rc = scan(c, &c->segments[i], e);
    }
    ckpt_catalog_sort(c);
    return rc != 0 ? rc : take_run(c, e);
}

int ckpt_catalog_open(struct ckpt_catalog *c,
                      const char *dir,
                      bool use_index,
                      struct err *e)
{
    struct err index_err = {"not asked for"};
    int rc, index_rc = ERR_NOT_FOUND;
    struct rows rows = {0};

    if (use_index) {
        index_rc = rows_load(&rows, dir, &index_err);
    }
    rc = ckpt_catalog_map(c, dir, e);
    if (rc == 0) {
        c->index_rc = index_rc;
        c->index_err = index_err;
        rc = find_entries(c, &rows, e);
        if (rc != 0) {
            ckpt_catalog_close(c);
        }
    }
    rows_fini(&rows);
    return rc;
}

/* How many entries are less than @key. */
static size_t lower_bound(const struct ckpt_entries *list,
                          const struct ckpt_entry *key)
{
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(&list->at[mid], key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The last entry with the key of @key before @before. Which sequence it has
 * counts for rows only. */
static const struct ckpt_entry *find(const struct ckpt_catalog *c,
                                     const struct ckpt_entry *key,
                                     const struct ckpt_entry *before)
{
    const struct ckpt_entries *list = &c->kinds[key->kind];
    const struct ckpt_entry *found = NULL;

    for (size_t i = lower_bound(list, key);
         i < list->n && compare_key(&list->at[i], key) == 0; i++) {
        if (key->kind == SV_RECORD_ROWS &&
            list->at[i].sequence != key->sequence) {
            break;
        }
        if ((before == NULL || ckpt_entry_before(&list->at[i], before)) &&
            (found == NULL || ckpt_entry_before(found, &list->at[i]))) {
            found = &list->at[i];
        }
    }
    return found;
}

const struct ckpt_entry *ckpt_catalog_find(const struct ckpt_catalog *c,
                                           enum sv_record_kind kind,
                                           uint64_t clock,
                                           uint32_t origin,
                                           uint16_t matrix,
                                           const struct ckpt_entry *before)
{
    struct ckpt_entry key = {.kind = (uint8_t)kind,
                             .clock = clock,
                             .origin = origin,
                             .matrix = matrix};

    return find(c, &key, before);
}

bool ckpt_catalog_has_source(enum sv_op_kind kind)
{
    return kind == SV_OP_APPLY || kind == SV_OP_MIX;
}

const struct ckpt_entry *ckpt_catalog_source(const struct ckpt_catalog *c,
                                             const struct ckpt_op *op,
                                             const struct ckpt_entry *step,
                                             char *name)
{
    struct ckpt_entry key = {.matrix = op->matrix};

    assert(ckpt_catalog_has_source(op->kind));
    if (op->kind == SV_OP_MIX) {
        key.kind = SV_RECORD_ROWS;
        key.clock = step->clock;
        key.origin = c->peer;
        key.sequence = op->sequence;
        snprintf(name, CKPT_SOURCE_NAME_SIZE,
                 "rows of clock %" PRIu64 ", matrix %u, sequence %u", key.clock,
                 op->matrix, op->sequence);
    } else {
        key.kind = SV_RECORD_BATCH;
        key.clock = op->clock;
        key.origin = op->origin;
        snprintf(name, CKPT_SOURCE_NAME_SIZE,
                 "batch of peer %u, clock %" PRIu64 ", matrix %u", op->origin,
                 op->clock, op->matrix);
    }
    return find(c, &key, step);
}

const struct ckpt_entry *ckpt_catalog_same(const struct ckpt_catalog *c,
                                           const struct ckpt_entry *entry)
{
    const struct ckpt_entries *list;
    size_t i;

    if (entry->kind == 0 || entry->kind >= SV_RECORD_KIND_END) {
        return NULL;
    }
    list = &c->kinds[entry->kind];
    i = lower_bound(list, entry);
    return i < list->n && compare(&list->at[i], entry) == 0 &&
                   list->at[i].size == entry->size &&
                   list->at[i].checksum == entry->checksum
               ? &list->at[i]
               : NULL;
}

int ckpt_catalog_read(const struct ckpt_catalog *c,
                      const struct ckpt_entry *entry,
                      struct sv_record *r,
                      const uint8_t **data,
                      struct err *e)
{
    const struct ckpt_segment *s = segment_at(c, entry->segment);
    const uint8_t *at = s->data + entry->offset;
    int rc = sv_record_peek(r, at, entry->size, e);

    if (rc == 0 &&
        (r->kind != entry->kind || r->clock != entry->clock ||
         r->origin != entry->origin || r->matrix != entry->matrix ||
         entry->size != SV_RECORD_SIZE + (uint64_t)r->payload_size)) {
        rc = err_set(e, ERR_CORRUPT,
                     "not the record that index.db has there: lyre log "
                     "reindex makes it anew");
    }
    if (rc != 0) {
        err_wrap(e, rc, "offset %" PRIu64, entry->offset);
        return wrap_segment(e, ERR_CORRUPT, s);
    }
    *data = at;
    return 0;
}

/* All records that a step names are there. */
static int step_holds(const struct ckpt_catalog *c,
                      const struct ckpt_entry *entry,
                      struct ckpt_step *step,
                      bool *holds,
                      struct err *e)
{
    char name[CKPT_SOURCE_NAME_SIZE];
    const uint8_t *data;
    struct sv_record r;
    int rc = ckpt_catalog_read(c, entry, &r, &data, e);

    if (rc == 0) {
        rc = ckpt_step_read(step, &r, data + SV_RECORD_SIZE, e);
    }
    *holds = rc == 0;
    for (size_t i = 0; rc == 0 && *holds && i < step->n_ops; i++) {
        const struct ckpt_op *op = &step->ops[i];
        *holds = !ckpt_catalog_has_source(op->kind) ||
                 ckpt_catalog_source(c, op, entry, name) != NULL;
    }
    return rc;
}

const struct ckpt_entry *ckpt_catalog_step(const struct ckpt_catalog *c,
                                           uint64_t clock)
{
    const struct ckpt_entries *steps = &c->kinds[SV_RECORD_STEP];
    uint64_t i = steps->n == 0 ? 0 : clock - steps->at[0].clock;

    return steps->n == 0 || clock < steps->at[0].clock || i >= steps->n ||
                   steps->at[i].clock != clock
               ? NULL
               : &steps->at[i];
}

/* How far the steps go from W_@clock on. */
static int reach(const struct ckpt_catalog *c,
                 uint64_t clock,
                 struct ckpt_step *step,
                 uint64_t *n,
                 struct err *e)
{
    const struct ckpt_entry *entry;
    bool holds = true;
    int rc = 0;

    *n = clock;
    while ((entry = ckpt_catalog_step(c, *n)) != NULL) {
        rc = step_holds(c, entry, step, &holds, e);
        if (rc != 0 || !holds) {
            break;
        }
        ++*n;
    }
    return rc;
}

/* Where the log ends: a snapshot behind it is of a log that went another way.
 */
static uint64_t end_of(const struct ckpt_catalog *c)
{
    const struct ckpt_entries *steps = &c->kinds[SV_RECORD_STEP];

    return steps->n > 0 ? steps->at[steps->n - 1].clock + 1
                        : c->segments[c->n_valid - 1].first_clock;
}

int ckpt_catalog_count_clocks(const struct ckpt_catalog *c,
                              uint64_t *first,
                              uint64_t *n,
                              struct err *e)
{
    bool whole = c->segments[0].number == 0, found = whole;
    uint64_t end = end_of(c), at, to;
    struct ckpt_step step;
    int rc = 0;

    ckpt_step_init(&step);
    *first = *n = 0;
    if (whole) {
        rc = reach(c, 0, &step, n, e);
    }
    for (size_t i = 0; rc == 0 && i < c->n_snapshots; i++) {
        at = c->snapshots[i].clock;
        if (at > end || (found && at >= *first && at <= *n)) {
            continue; /* Not ours, or no news. */
        }
        rc = reach(c, at, &step, &to, e);
        if (rc == 0 && (!found || to > *n)) {
            found = true;
            *first = at;
            *n = to;
        }
    }
    ckpt_step_fini(&step);
    if (rc == 0 && !found) {
        rc = err_set(e, ERR_CORRUPT,
                     "the log begins with segment %u, and no snapshot stands "
                     "in for those before it%s%s",
                     c->segments[0].number, c->snapshot_rc != 0 ? ": " : "",
                     c->snapshot_rc != 0 ? c->snapshot_err.msg : "");
    }
    return rc;
}

const struct ckpt_snapshot *ckpt_catalog_snapshot(const struct ckpt_catalog *c,
                                                  uint64_t first,
                                                  uint64_t clock)
{
    uint64_t end = end_of(c);

    for (size_t i = c->n_snapshots; i-- > 0;) {
        const struct ckpt_snapshot *s = &c->snapshots[i];
        if (s->clock <= clock && s->clock >= first && s->clock <= end) {
            return s;
        }
    }
    return NULL;
}
