/* What the codecs take: bytes, and time on one thread.
 *
 *     bench_codec [SEGMENT]
 *
 * Dense random batches, and those of a segment of a run's log. Speeds are those
 * of the floats that a batch holds, by the CPU time of the fastest of rounds in
 * which all codecs take turns; memcpy is what the machine can do.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "sv/codec.h"

#define ROUNDS      9
#define BATCHES_MAX 200

static const char *const CODECS[] = {
    "f32", "f32,shuffle", "bf16", "bf16,shuffle", "f16", "u=bf16,v=f32"};

enum { N_CODECS = sizeof CODECS / sizeof CODECS[0] };

struct work {
    struct sv_batch *batches[BATCHES_MAX];
    size_t n_batches;
    double floats; /* Bytes of all values, as f32. */
    double copy;   /* Seconds to copy so many bytes. */
    double encode[N_CODECS];
    double decode[N_CODECS];
    double bytes[N_CODECS];
};

static void *must(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "bench_codec: out of memory\n");
        exit(1);
    }
    return p;
}

static void check(int rc, const struct err *e)
{
    if (rc != 0) {
        fprintf(stderr, "bench_codec: %s\n", e->msg);
        exit(1);
    }
}

static struct sv_batch *add_batch(struct work *w, uint32_t J, uint32_t K)
{
    struct sv_batch *b = must(malloc(sizeof *b));

    sv_batch_init(b, J, K);
    w->batches[w->n_batches++] = b;
    return b;
}

static void make_dense(struct work *w, uint32_t n, uint32_t J, uint32_t K)
{
    struct sv_batch *b = add_batch(w, J, K);
    float *x = must(malloc((J + K) * sizeof *x));
    struct err e;

    sv_batch_reset(b, false, false);
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < J + K; i++) {
            x[i] = rng_normal(1, RNG_TEST, (uint64_t)r << 32 | i);
        }
        check(sv_batch_append(b, 1, (struct sv_vec){J, NULL, x},
                              (struct sv_vec){K, NULL, x + J}, r, &e),
              &e);
    }
    free(x);
}

static void read_segment(struct work *w, const char *path)
{
    static uint8_t data[64 << 20];
    struct sv_codec_scratch s;
    struct sv_record r;
    FILE *f = fopen(path, "rb");
    size_t size = f == NULL ? 0 : fread(data, 1, sizeof data, f), record_size;
    struct err e;

    if (f == NULL || size < 64) {
        fprintf(stderr, "bench_codec: no segment %s\n", path);
        exit(1);
    }
    fclose(f);
    sv_codec_scratch_init(&s);
    for (size_t at = 64;
         w->n_batches < BATCHES_MAX &&
         sv_record_read(&r, data + at, size - at, &record_size, &e) == 0;
         at += record_size) {
        if (r.kind == SV_RECORD_BATCH && r.n > 0) {
            check(sv_codec_decode(add_batch(w, r.J, r.K), &r, data + at,
                                  size - at, &s, &e),
                  &e);
        }
    }
    sv_codec_scratch_fini(&s);
}

static void keep_least(double *best, uint64_t ns)
{
    if (*best == 0 || (double)ns * 1e-9 < *best) {
        *best = (double)ns * 1e-9;
    }
}

static void run_codec(struct work *w, size_t c, struct buf *out)
{
    struct sv_batch *back = must(malloc(w->n_batches * sizeof *back));
    size_t *at = must(malloc((w->n_batches + 1) * sizeof *at));
    struct sv_codec_scratch s;
    struct sv_record r = {0};
    struct err e;
    uint64_t t0;

    sv_codec_scratch_init(&s);
    check(sv_codec_options_parse(&s.options, CODECS[c], &e), &e);
    for (int round = 0; round < 2; round++) { /* The first one warms up. */
        buf_reset(out);
        t0 = clock_thread_cpu_ns();
        for (size_t i = 0; i < w->n_batches; i++) {
            at[i] = out->size;
            check(sv_codec_encode(out, &r, w->batches[i], &s, &e), &e);
        }
        keep_least(&w->encode[c], clock_thread_cpu_ns() - t0);
    }
    w->bytes[c] = (double)out->size;
    for (size_t i = 0; i < w->n_batches; i++) {
        sv_batch_init(&back[i], w->batches[i]->u.len, w->batches[i]->v.len);
    }
    for (int round = 0; round < 2; round++) {
        t0 = clock_thread_cpu_ns();
        for (size_t i = 0; i < w->n_batches; i++) {
            check(sv_codec_decode(&back[i], &r, out->data + at[i],
                                  out->size - at[i], &s, &e),
                  &e);
        }
        keep_least(&w->decode[c], clock_thread_cpu_ns() - t0);
    }
    for (size_t i = 0; i < w->n_batches; i++) {
        sv_batch_fini(&back[i]);
    }
    sv_codec_scratch_fini(&s);
    free(back);
    free(at);
}

static void run_copy(struct work *w)
{
    size_t size = (size_t)w->floats;
    uint8_t *from = must(malloc(size)), *to = must(malloc(size));

    memset(from, 1, size);
    for (int i = 0; i < 3; i++) {
        uint64_t t0 = clock_thread_cpu_ns();
        memcpy(to, from, size);
        keep_least(&w->copy, clock_thread_cpu_ns() - t0);
        from[0] = to[size - 1];
    }
    free(from);
    free(to);
}

static void run(struct work *w, const char *name)
{
    struct buf out;

    buf_init(&out);
    for (size_t i = 0; i < w->n_batches; i++) {
        w->floats += 4.0 * (double)(sv_vecs_entries(&w->batches[i]->u) +
                                    sv_vecs_entries(&w->batches[i]->v));
    }
    for (int round = 0; round < ROUNDS; round++) {
        run_copy(w);
        for (size_t c = 0; c < N_CODECS; c++) {
            run_codec(w, c, &out);
        }
    }
    printf("%s: %zu batches, %.1f MB of floats, memcpy %.1f GB/s\n", name,
           w->n_batches, w->floats * 1e-6, w->floats / w->copy * 1e-9);
    printf("%-14s %12s %8s %14s %14s\n", "codec", "bytes", "of f32",
           "encode GB/s", "decode GB/s");
    for (size_t c = 0; c < N_CODECS; c++) {
        printf("%-14s %12.0f %8.3f %14.2f %14.2f\n", CODECS[c], w->bytes[c],
               w->bytes[c] / w->bytes[0], w->floats / w->encode[c] * 1e-9,
               w->floats / w->decode[c] * 1e-9);
    }
    for (size_t i = 0; i < w->n_batches; i++) {
        sv_batch_fini(w->batches[i]);
        free(w->batches[i]);
    }
    buf_fini(&out);
}

int main(int argc, char **argv)
{
    struct work dense = {0}, wide = {0}, segment = {0};

    make_dense(&dense, 64, 1000, 8192);
    run(&dense, "dense, 64 x (1000 + 8192)");
    make_dense(&wide, 32, 8192, 8192);
    run(&wide, "dense, 32 x (8192 + 8192)");
    if (argc > 1) {
        read_segment(&segment, argv[1]);
        run(&segment, argv[1]);
    }
    return 0;
}
