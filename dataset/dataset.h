/* A data set in memory: rows of features with a label each, or a shard of one.
 *
 * Rows are sparse (CSR) or dense. A peer keeps only its own shard, which is
 * every n-th row or another part of the file: see dataset/sharding.h. What
 * every peer must agree on (classes, features, rows) is found by looking at the
 * whole file, whatever the shard.
 */

#ifndef DATASET_DATASET_H_
#define DATASET_DATASET_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/log.h"
#include "core/pool.h"

#define DATASET_NO_LABEL UINT32_MAX /* Unlabelled, or a label nobody knows. */

/* What is done to values when they are read, in this order. Remembered with
 * the model, so that eval and predict do the same. */
enum dataset_transform {
    DATASET_TRANSFORM_NONE = 0,
    DATASET_TRANSFORM_BINARY, /* x != 0 becomes 1. */
    DATASET_TRANSFORM_LOG1P   /* log(1 + x); x < 0 is an error. */
};
enum dataset_normalize {
    DATASET_NORMALIZE_NONE = 0,
    DATASET_NORMALIZE_L2 /* Rows of length 1; rows of zeros stay. */
};

/* Which rows make a shard: see dataset/sharding.h. */
enum dataset_sharding {
    DATASET_INTERLEAVED = 0, /* Every n-th. */
    DATASET_CONTIGUOUS,      /* A stretch of the file. */
    DATASET_SORTED,          /* A stretch of the rows sorted by class. */
    DATASET_SHARDING_COUNT
};

/* How text becomes features: see dataset/featurize.h. All zero: not text. */
struct dataset_featurizer {
    bool words;     /* n-grams of words; else of characters. */
    unsigned n_min; /* Shortest n-gram. */
    unsigned n_max; /* Longest. */
    unsigned bits;  /* 2^bits features. */
    bool lowercase;
};

/* What data means to a model: goes into the run, comes back for eval, predict
 * and resume. */
struct dataset_schema {
    uint32_t n_features; /* K before any constant feature. */
    uint32_t n_classes;  /* 0: no labels. */
    char **classes; /* (n_classes) names, in the order of their ids: numbers
                     * ascending if all are numbers, else by strcmp. Owned. */
    enum dataset_transform transform;
    enum dataset_normalize normalize;
    struct dataset_featurizer featurizer;
};

void dataset_schema_fini(struct dataset_schema *s);
int dataset_schema_copy(struct dataset_schema *to,
                        const struct dataset_schema *from,
                        struct err *e);

/* The schema as one JSON object and back. The text is malloc()ed.
 * Errors: ERR_NOMEM; ERR_CORRUPT: not a schema, the message names the key. */
int dataset_schema_to_json(const struct dataset_schema *s,
                           char **text,
                           struct err *e);
int dataset_schema_from_json(struct dataset_schema *s,
                             const char *text,
                             struct err *e);

struct dataset {
    struct dataset_schema schema;
    uint64_t n_rows_file; /* Rows of the whole file. */
    uint64_t fingerprint; /* Hash of all rows of the file, labels and values, as
                           * they stand there: peers compare it. Comments, line
                           * ends, options and shards do not count. A binary
                           * has that of the file it was converted from. */
    uint32_t shard, n_shards;
    uint32_t n_rows;  /* Rows here. */
    uint32_t *number; /* (n_rows) Which rows of the file they are, ascending;
                       * NULL: the i-th is row shard + i n_shards. */
    bool dense;
    uint64_t *ptr;   /* Sparse: (n_rows + 1). */
    uint32_t *idx;   /* Sparse: (ptr[n_rows]), from 0, ascending in a row. */
    float *val;      /* Sparse: (ptr[n_rows]). Dense: (n_rows, n_features). */
    uint32_t *label; /* (n_rows), ids below n_classes or DATASET_NO_LABEL. */
    uint64_t n_unknown_labels;   /* Rows here whose label the schema lacks. */
    uint64_t n_unknown_features; /* Entries left out: index beyond K. */
    void *map; /* Where the arrays lie, if they are a mapped file. */
    size_t map_size;
};

struct dataset_share;

struct dataset_options {
    uint32_t shard;    /* Below n_shards. */
    uint32_t n_shards; /* 0 means 1. */
    enum dataset_sharding sharding;
    /* NULL: find classes and features in the file. Else the file is read as
     * data for this schema (eval, predict, resume): its transform, featurizer
     * and class ids hold, and what it lacks is counted, not refused. */
    const struct dataset_schema *schema;
    enum dataset_transform transform;     /* If schema is NULL. */
    enum dataset_normalize normalize;     /* If schema is NULL. */
    struct dataset_featurizer featurizer; /* For text, if schema is NULL. All
                                           * zero: characters 1-3, 15 bits,
                                           * lower case, and normalize is l2. */
    uint32_t n_features; /* If schema is NULL and this is not 0: K at least. */
    const char *labels;  /* File with the labels, where they have one of their
                          * own (IDX, npy), or NULL to guess its name. */
    struct pool *pool;   /* For parsing; may be NULL. */
    struct log *log;     /* May be NULL. */
    const struct dataset_share *share; /* NULL: for dataset_read() itself. */
};

/* Read a file. The format is known by its content: LIBSVM text (.svm), labelled
 * text (label TAB text), IDX, npy, LDA-C, UCI bag of words, triples, or what
 * `lyre data convert` made; each but the last also as .gz.
 *
 * Errors: ERR_CORRUPT    with file, line (or offset) and what was expected:
 *                        "read a.svm: line 812: index 40 after 57, indices must
 *                        ascend".
 *         ERR_INVALID    a shard that is not interleaved, of a pipe.
 *         ERR_NOT_FOUND, ERR_IO, ERR_NOMEM.
 * Cost:   one pass; memory is the shard and a window of the file. Contiguous
 *         and sorted shards take one pass more, before the other, for the
 *         labels of all rows: 8 bytes for each row of the file meanwhile, and 4
 *         for each row of the shard for good. */
int dataset_read(struct dataset *d,
                 const char *path,
                 const struct dataset_options *o,
                 struct err *e);

void dataset_fini(struct dataset *d);

/* Row @i of a shard as a vector: (nnz) values and ascending indices, or
 * (n_features) values and NULL when dense. */
struct dataset_row {
    uint32_t nnz;
    const uint32_t *idx;
    const float *val;
};
struct dataset_row dataset_row(const struct dataset *d, uint32_t i);

/* The number in the file of row @i of the shard. */
static inline uint64_t dataset_row_number(const struct dataset *d, uint32_t i)
{
    return d->number != NULL ? d->number[i]
                             : (uint64_t)i * d->n_shards + d->shard;
}

#endif /* DATASET_DATASET_H_ */
