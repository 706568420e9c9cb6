#include "ckpt/index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/file.h"
#include "ckpt/snapshot.h"

#define SCHEMA_VERSION  1
#define BUSY_TIMEOUT_MS 5000

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS run("
    "  number INTEGER PRIMARY KEY, peer INTEGER NOT NULL, json TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS segment("
    "  number INTEGER PRIMARY KEY, first_clock INTEGER NOT NULL,"
    "  indexed INTEGER NOT NULL, durable INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS record("
    "  clock INTEGER NOT NULL, origin INTEGER NOT NULL,"
    "  matrix INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL, segment INTEGER NOT NULL,"
    "  offset INTEGER NOT NULL, length INTEGER NOT NULL,"
    "  checksum INTEGER NOT NULL,"
    "  PRIMARY KEY(clock, origin, matrix, sequence, kind, segment, offset))"
    "  WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS view("
    "  number INTEGER PRIMARY KEY, first_clock INTEGER NOT NULL,"
    "  members TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS digest("
    "  clock INTEGER NOT NULL, matrix INTEGER NOT NULL,"
    "  high INTEGER NOT NULL, low INTEGER NOT NULL,"
    "  PRIMARY KEY(clock, matrix)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS snapshot("
    "  clock INTEGER NOT NULL, matrix INTEGER NOT NULL, file TEXT NOT NULL,"
    "  high INTEGER NOT NULL, low INTEGER NOT NULL,"
    "  PRIMARY KEY(clock, matrix)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS metric(clock INTEGER PRIMARY KEY"
#define X(NAME, TEXT) ", " #NAME " REAL"
    CKPT_METRIC_MAP(X)
#undef X
        ");";

/* By name: the table of a newer version has more columns. */
static const char PUT_METRIC[] = "INSERT OR REPLACE INTO metric(clock"
#define X(NAME, TEXT) ", " #NAME
    CKPT_METRIC_MAP(X)
#undef X
        ") VALUES(?"
#define X(NAME, TEXT) ", ?"
    CKPT_METRIC_MAP(X)
#undef X
        ")";

static const char *const METRICS[] = {
#define X(NAME, TEXT) #NAME,
    CKPT_METRIC_MAP(X)
#undef X
};

struct ckpt_entry ckpt_entry_of(const struct sv_record *r,
                                const uint8_t *data,
                                uint32_t segment,
                                uint64_t offset)
{
    return (struct ckpt_entry){.clock = r->clock,
                               .origin = r->origin,
                               .sequence = r->sequence,
                               .matrix = r->matrix,
                               .kind = r->kind,
                               .segment = segment,
                               .offset = offset,
                               .size =
                                   SV_RECORD_SIZE + (uint64_t)r->payload_size,
                               .checksum = le_u64(data + 56)};
}

static int sql_error(struct ckpt_index *x, struct err *e)
{
    int code = sqlite3_errcode(x->db) & 0xff;

    int rc = code == SQLITE_BUSY      ? ERR_BUSY
             : code == SQLITE_FULL    ? ERR_FULL
             : code == SQLITE_NOTADB  ? ERR_CORRUPT
             : code == SQLITE_CORRUPT ? ERR_CORRUPT
                                      : ERR_IO;

    return err_set(e, rc, "%s", sqlite3_errmsg(x->db));
}

static int run_sql(struct ckpt_index *x, const char *sql, struct err *e)
{
    return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sql_error(x, e);
}

static int get_version(void *version, int n, char **values, char **names)
{
    (void)names;
    *(int *)version = n == 1 && values[0] != NULL ? values[0][0] - '0' : -1;
    return 0;
}

/* Version 0 is a database without tables yet. */
static int check_version(struct ckpt_index *x, bool write, struct err *e)
{
    int version = -1;

    if (sqlite3_exec(x->db, "PRAGMA user_version", get_version, &version,
                     NULL) != SQLITE_OK) {
        return sql_error(x, e);
    }
    if (version != SCHEMA_VERSION && !(version == 0 && write)) {
        return err_set(e, ERR_CORRUPT, "index of version %d, not %d", version,
                       SCHEMA_VERSION);
    }
    return 0;
}

static int prepare(struct ckpt_index *x, struct err *e)
{
    int rc;

    if ((rc = ckpt_stmt_prepare(&x->put_record, x->db,
                                "INSERT OR REPLACE INTO record "
                                "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                e)) != 0 ||
        (rc = ckpt_stmt_prepare(
             &x->put_segment, x->db,
             "INSERT OR REPLACE INTO segment VALUES(?, ?, ?, ?)", e)) != 0 ||
        (rc = ckpt_stmt_prepare(
             &x->put_digest, x->db,
             "INSERT OR REPLACE INTO digest VALUES(?, ?, ?, ?)", e)) != 0 ||
        (rc = ckpt_stmt_prepare(&x->put_metric, x->db, PUT_METRIC, e)) != 0) {
        return rc;
    }
    return 0;
}

/* Which columns does the table metric have? */
static int
get_columns(struct ckpt_index *x, bool there[CKPT_METRICS_COUNT], struct err *e)
{
    struct ckpt_stmt s = {0};
    int rc = ckpt_stmt_prepare(
        &s, x->db, "SELECT name FROM pragma_table_info('metric')", e);

    memset(there, 0, CKPT_METRICS_COUNT * sizeof *there);
    while (rc == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        const char *name = ckpt_stmt_get_text(&s, 0);
        for (size_t i = 0; name != NULL && i < CKPT_METRICS_COUNT; i++) {
            there[i] = there[i] || strcmp(name, METRICS[i]) == 0;
        }
        rc = 0;
    }
    ckpt_stmt_finalize(&s);
    return rc;
}

/* An older version's table gets the columns that it lacks. */
static int add_columns(struct ckpt_index *x, struct err *e)
{
    bool there[CKPT_METRICS_COUNT];
    char sql[128];
    int rc = get_columns(x, there, e);

    for (size_t i = 0; rc == 0 && i < CKPT_METRICS_COUNT; i++) {
        if (!there[i]) {
            snprintf(sql, sizeof sql, "ALTER TABLE metric ADD COLUMN %s REAL",
                     METRICS[i]);
            rc = run_sql(x, sql, e);
        }
    }
    return rc;
}

/* WAL with synchronous = NORMAL: a commit costs no sync, a crash costs the last
 * commits, and never the database. */
static int set_up(struct ckpt_index *x, bool write, struct err *e)
{
    int rc = check_version(x, write, e);

    if (rc != 0 || !write) {
        return rc;
    }
    if ((rc = run_sql(x, "PRAGMA journal_mode = WAL", e)) != 0 ||
        (rc = run_sql(x, "PRAGMA synchronous = NORMAL", e)) != 0 ||
        (rc = run_sql(x, "BEGIN", e)) != 0 ||
        (rc = run_sql(x, SCHEMA, e)) != 0 || (rc = add_columns(x, e)) != 0 ||
        (rc = run_sql(x, "PRAGMA user_version = 1", e)) != 0 ||
        (rc = run_sql(x, "COMMIT", e)) != 0) {
        return rc;
    }
    return prepare(x, e);
}

/* The URI of a database that nobody writes: SQLite then makes no files beside
 * it, and needs no permission to. False: too long. */
static bool immutable_uri(char uri[CKPT_PATH_SIZE], const char *path)
{
    size_t n = (size_t)snprintf(uri, CKPT_PATH_SIZE, "file:");

    for (; *path != '\0'; path++) {
        bool plain = strchr("?#%", *path) == NULL;
        if (n + 4 > CKPT_PATH_SIZE) {
            return false;
        }
        n += (size_t)snprintf(uri + n, CKPT_PATH_SIZE - n,
                              plain ? "%c" : "%%%02x", (unsigned char)*path);
    }
    return n + (size_t)snprintf(uri + n, CKPT_PATH_SIZE - n, "?immutable=1") <
           CKPT_PATH_SIZE;
}

/* Is there a write-ahead log: of a writer, or left by one that was killed? */
static bool has_wal(const char *path)
{
    char wal[CKPT_PATH_SIZE + 8];
    struct stat st;

    snprintf(wal, sizeof wal, "%s-wal", path);
    return stat(wal, &st) == 0 && st.st_size > 0;
}

static int open_file(struct ckpt_index *x, const char *path, bool write)
{
    char uri[CKPT_PATH_SIZE];

    if (write) {
        return sqlite3_open_v2(
            path, &x->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    }
    if (!has_wal(path) && immutable_uri(uri, path)) {
        return sqlite3_open_v2(uri, &x->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    }
    return sqlite3_open_v2(path, &x->db, SQLITE_OPEN_READONLY, NULL);
}

int ckpt_index_open(struct ckpt_index *x,
                    const char *dir,
                    bool write,
                    struct err *e)
{
    char path[CKPT_PATH_SIZE];
    int rc;

    memset(x, 0, sizeof *x);
    ckpt_step_init(&x->step);
    rc = ckpt_path(path, dir, "index.db", e);
    if (rc != 0) {
        return rc;
    }
    if (!write && access(path, F_OK) != 0) {
        return err_set(e, ERR_NOT_FOUND, "%s: no index", path);
    }
    if (open_file(x, path, write) != SQLITE_OK) {
        rc = sql_error(x, e);
    } else {
        sqlite3_busy_timeout(x->db, BUSY_TIMEOUT_MS);
        rc = set_up(x, write, e);
    }
    if (rc != 0) {
        ckpt_index_close(x);
        return err_wrap(e, rc, "%s", path);
    }
    return 0;
}

void ckpt_index_close(struct ckpt_index *x)
{
    ckpt_stmt_finalize(&x->put_record);
    ckpt_stmt_finalize(&x->put_segment);
    ckpt_stmt_finalize(&x->put_digest);
    ckpt_stmt_finalize(&x->put_metric);
    ckpt_step_fini(&x->step);
    sqlite3_close(x->db);
    x->db = NULL;
}

int ckpt_index_remove(const char *dir, struct err *e)
{
    static const char *const names[] = {"index.db", "index.db-wal",
                                        "index.db-shm", "index.db-journal"};
    char path[CKPT_PATH_SIZE];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int rc = ckpt_path(path, dir, names[i], e);
        if (rc != 0) {
            return rc;
        }
        if (unlink(path) != 0 && errno != ENOENT) {
            return err_wrap(e, err_errno(e, "unlink"), "%s", path);
        }
    }
    return 0;
}

int ckpt_index_begin(struct ckpt_index *x, struct err *e)
{
    return run_sql(x, "BEGIN", e);
}

int ckpt_index_commit(struct ckpt_index *x, struct err *e)
{
    return run_sql(x, "COMMIT", e);
}

void ckpt_index_rollback(struct ckpt_index *x)
{
    sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
}

int ckpt_index_put_run(struct ckpt_index *x,
                       uint64_t run,
                       uint32_t peer,
                       const char *json,
                       struct err *e)
{
    struct ckpt_stmt put = {0};
    int rc = ckpt_stmt_prepare(&put, x->db,
                               "INSERT OR REPLACE INTO run VALUES(?, ?, ?)", e);

    if (rc == 0) {
        ckpt_stmt_u64(&put, 1, run);
        ckpt_stmt_u64(&put, 2, peer);
        ckpt_stmt_text(&put, 3, json);
        rc = ckpt_stmt_run(&put, e);
    }
    ckpt_stmt_finalize(&put);
    return rc;
}

int ckpt_index_put_segment(struct ckpt_index *x,
                           const struct ckpt_segment_row *row,
                           struct err *e)
{
    struct ckpt_stmt *s = &x->put_segment;

    ckpt_stmt_u64(s, 1, row->number);
    ckpt_stmt_u64(s, 2, row->first_clock);
    ckpt_stmt_u64(s, 3, row->indexed);
    ckpt_stmt_u64(s, 4, row->durable);
    return ckpt_stmt_run(s, e);
}

static int put_metrics(struct ckpt_index *x, struct err *e)
{
    struct ckpt_stmt *s = &x->put_metric;
    int column = 1;

    ckpt_stmt_u64(s, column++, x->step.clock);
#define X(NAME, TEXT) ckpt_stmt_f64(s, column++, x->step.metrics.NAME);
    CKPT_METRIC_MAP(X)
#undef X
    return ckpt_stmt_run(s, e);
}

static int put_digest(struct ckpt_index *x,
                      const struct ckpt_entry *entry,
                      struct hash128 digest,
                      struct err *e)
{
    struct ckpt_stmt *s = &x->put_digest;

    ckpt_stmt_u64(s, 1, entry->clock);
    ckpt_stmt_u64(s, 2, entry->matrix);
    ckpt_stmt_u64(s, 3, digest.high);
    ckpt_stmt_u64(s, 4, digest.low);
    return ckpt_stmt_run(s, e);
}

static int put_payload(struct ckpt_index *x,
                       const struct ckpt_entry *entry,
                       const uint8_t *payload,
                       struct err *e)
{
    struct sv_record r = {.kind = entry->kind,
                          .clock = entry->clock,
                          .payload_size =
                              (uint32_t)(entry->size - SV_RECORD_SIZE)};
    struct hash128 digest;
    int rc;

    if (entry->kind == SV_RECORD_STEP) {
        rc = ckpt_step_read(&x->step, &r, payload, e);
        return rc != 0 ? rc : put_metrics(x, e);
    }
    if (entry->kind == SV_RECORD_DIGEST) {
        rc = ckpt_digest_read(&digest, &r, payload, e);
        return rc != 0 ? rc : put_digest(x, entry, digest, e);
    }
    return 0;
}

int ckpt_index_put(struct ckpt_index *x,
                   const struct ckpt_entry *entry,
                   const uint8_t *payload,
                   struct err *e)
{
    struct ckpt_stmt *s = &x->put_record;
    int rc;

    ckpt_stmt_u64(s, 1, entry->clock);
    ckpt_stmt_u64(s, 2, entry->origin);
    ckpt_stmt_u64(s, 3, entry->matrix);
    ckpt_stmt_u64(s, 4, entry->sequence);
    ckpt_stmt_u64(s, 5, entry->kind);
    ckpt_stmt_u64(s, 6, entry->segment);
    ckpt_stmt_u64(s, 7, entry->offset);
    ckpt_stmt_u64(s, 8, entry->size);
    ckpt_stmt_u64(s, 9, entry->checksum);
    rc = ckpt_stmt_run(s, e);
    return rc != 0 ? rc : put_payload(x, entry, payload, e);
}

static int cut(struct ckpt_index *x,
               const char *sql,
               const uint64_t *values,
               int n,
               struct err *e)
{
    struct ckpt_stmt s = {0};
    int rc = ckpt_stmt_prepare(&s, x->db, sql, e);

    if (rc == 0) {
        for (int i = 0; i < n; i++) {
            ckpt_stmt_u64(&s, i + 1, values[i]);
        }
        rc = ckpt_stmt_run(&s, e);
    }
    ckpt_stmt_finalize(&s);
    return rc;
}

int ckpt_index_cut(struct ckpt_index *x,
                   uint32_t segment,
                   uint64_t offset,
                   uint64_t clock,
                   struct err *e)
{
    uint64_t at[2] = {segment, offset};
    int rc = ckpt_index_begin(x, e);

    if (rc != 0) {
        return rc;
    }
    if ((rc = cut(x,
                  "DELETE FROM record WHERE segment > ?1 "
                  "OR (segment = ?1 AND offset >= ?2)",
                  at, 2, e)) != 0 ||
        (rc = cut(x, "DELETE FROM segment WHERE number > ?1", at, 1, e)) != 0 ||
        (rc = cut(x,
                  "UPDATE segment SET indexed = min(indexed, ?2), "
                  "durable = min(durable, ?2) WHERE number = ?1",
                  at, 2, e)) != 0 ||
        (rc = cut(x, "DELETE FROM metric WHERE clock >= ?1", &clock, 1, e)) !=
            0 ||
        (rc = cut(x,
                  "DELETE FROM digest WHERE (clock, matrix) NOT IN "
                  "(SELECT clock, matrix FROM record WHERE kind = ?1)",
                  &(uint64_t){SV_RECORD_DIGEST}, 1, e)) != 0 ||
        (rc = ckpt_index_commit(x, e)) != 0) {
        ckpt_index_rollback(x);
    }
    return rc;
}

int ckpt_index_forget(struct ckpt_index *x, uint32_t segment, struct err *e)
{
    uint64_t at = segment;
    int rc = ckpt_index_begin(x, e);

    if (rc != 0) {
        return rc;
    }
    if ((rc = cut(x, "DELETE FROM record WHERE segment < ?1", &at, 1, e)) !=
            0 ||
        (rc = cut(x, "DELETE FROM segment WHERE number < ?1", &at, 1, e)) !=
            0 ||
        (rc = cut(x,
                  "DELETE FROM digest WHERE (clock, matrix) NOT IN "
                  "(SELECT clock, matrix FROM record WHERE kind = ?1)",
                  &(uint64_t){SV_RECORD_DIGEST}, 1, e)) != 0 ||
        (rc = ckpt_index_commit(x, e)) != 0) {
        ckpt_index_rollback(x);
    }
    return rc;
}

static int
put_snapshot(struct ckpt_index *x, const struct ckpt_snapshot *s, struct err *e)
{
    struct ckpt_stmt put = {0};
    char name[CKPT_SNAPSHOT_NAME_SIZE], file[2 * CKPT_SNAPSHOT_NAME_SIZE];
    int rc = ckpt_stmt_prepare(&put, x->db,
                               "INSERT INTO snapshot VALUES(?, ?, ?, ?, ?)", e);

    ckpt_snapshot_name(name, s->clock);
    for (size_t i = 0; rc == 0 && i < s->n; i++) {
        snprintf(file, sizeof file, "%s/W-%zu.npy", name, i);
        ckpt_stmt_u64(&put, 1, s->clock);
        ckpt_stmt_u64(&put, 2, i);
        ckpt_stmt_text(&put, 3, file);
        ckpt_stmt_u64(&put, 4, s->matrices[i].w.high);
        ckpt_stmt_u64(&put, 5, s->matrices[i].w.low);
        rc = ckpt_stmt_run(&put, e);
    }
    ckpt_stmt_finalize(&put);
    return rc;
}

int ckpt_index_set_snapshots(struct ckpt_index *x,
                             const struct ckpt_snapshot *snapshots,
                             size_t n,
                             struct err *e)
{
    int rc = ckpt_index_begin(x, e);

    if (rc != 0) {
        return rc;
    }
    rc = run_sql(x, "DELETE FROM snapshot", e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = put_snapshot(x, &snapshots[i], e);
    }
    rc = rc != 0 ? rc : ckpt_index_commit(x, e);
    if (rc != 0) {
        ckpt_index_rollback(x);
    }
    return rc;
}

int ckpt_index_get_run(struct ckpt_index *x, uint64_t *run, struct err *e)
{
    struct ckpt_stmt s = {0};
    int rc = ckpt_stmt_prepare(&s, x->db, "SELECT number FROM run", e);

    if (rc == 0) {
        rc = ckpt_stmt_next(&s, e);
        if (rc == 1) {
            *run = ckpt_stmt_get_u64(&s, 0);
            rc = 0;
        } else if (rc == 0) {
            rc = err_set(e, ERR_NOT_FOUND, "index without a run");
        }
    }
    ckpt_stmt_finalize(&s);
    return rc;
}

int ckpt_index_each_segment(struct ckpt_index *x,
                            int (*fn)(void *, const struct ckpt_segment_row *),
                            void *arg,
                            struct err *e)
{
    struct ckpt_stmt s = {0};
    int stop = 0, rc;

    rc = ckpt_stmt_prepare(&s, x->db,
                           "SELECT number, first_clock, indexed, durable "
                           "FROM segment ORDER BY number",
                           e);
    if (rc != 0) {
        return rc;
    }
    while (stop == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        struct ckpt_segment_row row = {.number =
                                           (uint32_t)ckpt_stmt_get_u64(&s, 0),
                                       .first_clock = ckpt_stmt_get_u64(&s, 1),
                                       .indexed = ckpt_stmt_get_u64(&s, 2),
                                       .durable = ckpt_stmt_get_u64(&s, 3)};
        stop = fn(arg, &row);
    }
    ckpt_stmt_finalize(&s);
    return rc < 0 ? rc : stop;
}

int ckpt_index_each_record(struct ckpt_index *x,
                           int (*fn)(void *, const struct ckpt_entry *),
                           void *arg,
                           struct err *e)
{
    struct ckpt_stmt s = {0};
    int stop = 0, rc;

    rc = ckpt_stmt_prepare(&s, x->db,
                           "SELECT clock, origin, matrix, sequence, kind, "
                           "segment, offset, length, checksum FROM record "
                           "ORDER BY clock, origin, matrix, sequence, "
                           "kind, segment, offset",
                           e);
    if (rc != 0) {
        return rc;
    }
    while (stop == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        struct ckpt_entry entry = {
            .clock = ckpt_stmt_get_u64(&s, 0),
            .origin = (uint32_t)ckpt_stmt_get_u64(&s, 1),
            .matrix = (uint16_t)ckpt_stmt_get_u64(&s, 2),
            .sequence = (uint32_t)ckpt_stmt_get_u64(&s, 3),
            .kind = (uint8_t)ckpt_stmt_get_u64(&s, 4),
            .segment = (uint32_t)ckpt_stmt_get_u64(&s, 5),
            .offset = ckpt_stmt_get_u64(&s, 6),
            .size = ckpt_stmt_get_u64(&s, 7),
            .checksum = ckpt_stmt_get_u64(&s, 8)};
        stop = fn(arg, &entry);
    }
    ckpt_stmt_finalize(&s);
    return rc < 0 ? rc : stop;
}

int ckpt_index_each_snapshot(struct ckpt_index *x,
                             int (*fn)(void *,
                                       const struct ckpt_snapshot_row *),
                             void *arg,
                             struct err *e)
{
    struct ckpt_stmt s = {0};
    int stop = 0, rc;

    rc = ckpt_stmt_prepare(&s, x->db,
                           "SELECT clock, matrix, high, low FROM snapshot "
                           "ORDER BY clock, matrix",
                           e);
    if (rc != 0) {
        return rc;
    }
    while (stop == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        struct ckpt_snapshot_row row = {
            .clock = ckpt_stmt_get_u64(&s, 0),
            .matrix = (uint16_t)ckpt_stmt_get_u64(&s, 1),
            .digest = {.high = ckpt_stmt_get_u64(&s, 2),
                       .low = ckpt_stmt_get_u64(&s, 3)}};
        stop = fn(arg, &row);
    }
    ckpt_stmt_finalize(&s);
    return rc < 0 ? rc : stop;
}

int ckpt_index_each_digest(struct ckpt_index *x,
                           int (*fn)(void *, const struct ckpt_digest_row *),
                           void *arg,
                           struct err *e)
{
    struct ckpt_stmt s = {0};
    int stop = 0, rc;

    rc = ckpt_stmt_prepare(&s, x->db,
                           "SELECT clock, matrix, high, low FROM digest "
                           "ORDER BY clock, matrix",
                           e);
    if (rc != 0) {
        return rc;
    }
    while (stop == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        struct ckpt_digest_row row = {
            .clock = ckpt_stmt_get_u64(&s, 0),
            .matrix = (uint16_t)ckpt_stmt_get_u64(&s, 1),
            .digest = {.high = ckpt_stmt_get_u64(&s, 2),
                       .low = ckpt_stmt_get_u64(&s, 3)}};
        stop = fn(arg, &row);
    }
    ckpt_stmt_finalize(&s);
    return rc < 0 ? rc : stop;
}

/* "SELECT clock, a, NULL, b ..." with NULL for columns that are not there. */
static int
prepare_metrics(struct ckpt_index *x, struct ckpt_stmt *s, struct err *e)
{
    bool there[CKPT_METRICS_COUNT];
    char sql[64 * (CKPT_METRICS_COUNT + 2)] = "SELECT clock";
    size_t n = strlen(sql);
    int rc = get_columns(x, there, e);

    for (size_t i = 0; i < CKPT_METRICS_COUNT; i++) {
        n += (size_t)snprintf(sql + n, sizeof sql - n, ", %s",
                              there[i] ? METRICS[i] : "NULL");
    }
    snprintf(sql + n, sizeof sql - n,
             " FROM metric WHERE clock >= ? ORDER BY clock");
    return rc != 0 ? rc : ckpt_stmt_prepare(s, x->db, sql, e);
}

int ckpt_index_each_metric(struct ckpt_index *x,
                           uint64_t clock,
                           int (*fn)(void *,
                                     uint64_t clock,
                                     const struct ckpt_metrics *),
                           void *arg,
                           struct err *e)
{
    struct ckpt_stmt s = {0};
    struct ckpt_metrics m;
    int stop = 0, rc = prepare_metrics(x, &s, e);

    if (rc == 0) {
        ckpt_stmt_u64(&s, 1, clock);
    }
    while (rc == 0 && stop == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        int column = 1;
#define X(NAME, TEXT) m.NAME = ckpt_stmt_get_f64(&s, column++);
        CKPT_METRIC_MAP(X)
#undef X
        stop = fn(arg, ckpt_stmt_get_u64(&s, 0), &m);
        rc = 0;
    }
    ckpt_stmt_finalize(&s);
    return rc < 0 ? rc : stop;
}

int ckpt_index_get_json(struct ckpt_index *x, char **json, struct err *e)
{
    struct ckpt_stmt s = {0};
    const char *text = NULL;
    int rc = ckpt_stmt_prepare(&s, x->db, "SELECT json FROM run", e);

    *json = NULL;
    if (rc == 0 && (rc = ckpt_stmt_next(&s, e)) == 1) {
        text = ckpt_stmt_get_text(&s, 0);
        *json = text == NULL ? NULL : strdup(text);
        rc =
            *json == NULL ? err_set(e, ERR_NOMEM, "description of the run") : 0;
    } else if (rc == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "index without a run");
    }
    ckpt_stmt_finalize(&s);
    return rc;
}
