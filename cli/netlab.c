#include "cli/netlab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/child.h"

/* DIR/../share/lyre/netlab.sh for a program in DIR. */
static int find_script(char **script, const char *program, struct err *e)
{
    const char *slash = strrchr(program, '/');
    const int n = slash == NULL ? 0 : (int)(slash - program);

    if (asprintf(script, "%.*s/../share/lyre/netlab.sh", n, program) < 0) {
        *script = NULL;
        return err_set(e, ERR_NOMEM, "path");
    }
    if (access(*script, X_OK) == 0) {
        return 0;
    }
    free(*script);
    *script = strdup(LYRE_NETLAB);
    if (*script == NULL) {
        return err_set(e, ERR_NOMEM, "path");
    }
    return access(*script, X_OK) == 0
               ? 0
               : err_set(e, ERR_NOT_FOUND,
                         "netlab.sh is not installed with this program");
}

/* Run the script with a command of up to three words; what it prints is in
 * *out, which the caller closes. */
static int run(const struct netlab *lab,
               const char *const *words,
               FILE **out,
               struct err *e)
{
    char *out_path = NULL, *log_path = NULL;
    char *argv[8] = {lab->script, (char *)(uintptr_t) "--lab",
                     (char *)(uintptr_t)lab->name};
    struct child c;
    int rc = asprintf(&out_path, "%s/netlab.out", lab->dir) >= 0 &&
                     asprintf(&log_path, "%s/netlab.log", lab->dir) >= 0
                 ? 0
                 : err_set(e, ERR_NOMEM, "path");

    for (size_t i = 0; words[i] != NULL; i++) {
        argv[3 + i] = (char *)(uintptr_t)words[i];
    }
    rc = rc != 0 ? rc : child_start(&c, argv, out_path, log_path, e);
    if (rc == 0) {
        child_wait_all(&c, 1);
    }
    if (rc == 0 && c.status != 0) {
        child_reason(&c, log_path, "netlab: ", e->msg);
        rc = err_wrap(e, ERR_IO, "netlab.sh %s", words[0]);
    }
    if (rc == 0) {
        *out = fopen(out_path, "re");
        rc = *out == NULL ? err_errno(e, "open") : 0;
        unlink(log_path);
    }
    if (out_path != NULL) {
        unlink(out_path);
    }
    free(out_path);
    free(log_path);
    return rc;
}

int netlab_open(struct netlab *lab,
                const char *program,
                const char *dir,
                uint32_t n_hosts,
                const char *rate,
                struct err *e)
{
    char hosts[16];
    const char *words[] = {"up", hosts, rate, NULL};
    FILE *out;
    int rc;

    *lab = (struct netlab){.dir = dir};
    snprintf(lab->name, sizeof lab->name, "compare_%ld", (long)getpid());
    snprintf(hosts, sizeof hosts, "%u", n_hosts);
    rc = find_script(&lab->script, program, e);
    rc = rc != 0 ? rc : run(lab, words, &out, e);
    if (rc != 0) {
        return rc;
    }
    lab->up = true;
    rc = fscanf(out, "0 %63s", lab->address) == 1
             ? 0
             : err_set(e, ERR_IO, "netlab.sh up names no address");
    fclose(out);
    return rc;
}

int netlab_sent(const struct netlab *lab, double *bytes, struct err *e)
{
    const char *words[] = {"bytes", NULL};
    unsigned long long sent;
    FILE *out;
    int rc = run(lab, words, &out, e);

    if (rc != 0) {
        return rc;
    }
    *bytes = 0;
    while (fscanf(out, "%*u %llu %*u", &sent) == 1) {
        *bytes += (double)sent;
    }
    fclose(out);
    return 0;
}

void netlab_close(struct netlab *lab)
{
    const char *words[] = {"down", NULL};
    struct err e;
    FILE *out;

    if (lab->up) {
        if (run(lab, words, &out, &e) == 0) {
            fclose(out);
        } else {
            fprintf(stderr, "lyre: %s\n", e.msg);
        }
    }
    free(lab->script);
    *lab = (struct netlab){.up = false};
}
