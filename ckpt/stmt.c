#include "ckpt/stmt.h"

#include <math.h>
#include <stddef.h>

int ckpt_stmt_prepare(struct ckpt_stmt *s,
                      sqlite3 *db,
                      const char *sql,
                      struct err *e)
{
    s->sticky = SQLITE_OK;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->raw,
                           NULL) != SQLITE_OK) {
        return err_set(e, ERR_IO, "prepare \"%s\": %s", sql,
                       sqlite3_errmsg(db));
    }
    return 0;
}

void ckpt_stmt_finalize(struct ckpt_stmt *s)
{
    sqlite3_finalize(s->raw); /* NULL is a no-op. */
    s->raw = NULL;
}

static void stick(struct ckpt_stmt *s, int rc)
{
    if (s->sticky == SQLITE_OK) {
        s->sticky = rc;
    }
}

void ckpt_stmt_u64(struct ckpt_stmt *s, int column, uint64_t value)
{
    stick(s, sqlite3_bind_int64(s->raw, column, (int64_t)value));
}

void ckpt_stmt_f64(struct ckpt_stmt *s, int column, double value)
{
    stick(s, sqlite3_bind_double(s->raw, column, value));
}

uint64_t ckpt_stmt_get_u64(const struct ckpt_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s->raw, column);
}

double ckpt_stmt_get_f64(const struct ckpt_stmt *s, int column)
{
    return sqlite3_column_type(s->raw, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(s->raw, column);
}

const char *ckpt_stmt_get_text(const struct ckpt_stmt *s, int column)
{
    return (const char *)sqlite3_column_text(s->raw, column);
}

void ckpt_stmt_text(struct ckpt_stmt *s, int column, const char *value)
{
    stick(s, sqlite3_bind_text(s->raw, column, value, -1, SQLITE_STATIC));
}

static int step(struct ckpt_stmt *s)
{
    return s->sticky == SQLITE_OK ? sqlite3_step(s->raw) : s->sticky;
}

static int finish(struct ckpt_stmt *s, int rc, struct err *e)
{
    s->sticky = SQLITE_OK;
    sqlite3_reset(s->raw);
    sqlite3_clear_bindings(s->raw);
    if (rc == SQLITE_DONE) {
        return 0;
    }
    return err_set(e, (rc & 0xff) == SQLITE_BUSY ? ERR_BUSY : ERR_IO, "%s: %s",
                   sqlite3_sql(s->raw), sqlite3_errstr(rc));
}

int ckpt_stmt_run(struct ckpt_stmt *s, struct err *e)
{
    return finish(s, step(s), e);
}

int ckpt_stmt_next(struct ckpt_stmt *s, struct err *e)
{
    int rc = step(s);

    return rc == SQLITE_ROW ? 1 : finish(s, rc, e);
}
