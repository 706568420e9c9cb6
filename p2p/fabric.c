#include "p2p/fabric.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <rdma/fi_errno.h>

#if defined(__SANITIZE_ADDRESS__)
#define FABRIC_LSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FABRIC_LSAN
#endif
#endif
#ifdef FABRIC_LSAN
/* libfabric 1.17 loses an fi_info with each endpoint and each connection. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfabric.so\n";
}
#endif

#define FABRIC_API     FI_VERSION(1, 15)
#define FABRIC_CQ_SIZE 4096 /* Completions that fit. */

int fabric_err(struct err *e, const char *call, ssize_t rc)
{
    int code = ERR_IO;

    if (rc == -FI_ENOMEM) {
        code = ERR_NOMEM;
    } else if (rc == -FI_EADDRNOTAVAIL) {
        code = ERR_INVALID;
    }
    return err_set(e, code, "%s: %s", call, fi_strerror((int)-rc));
}

/* The endpoint we need: reliable datagrams. NULL: no memory. */
static struct fi_info *hints_create(const char *provider)
{
    struct fi_info *hints = fi_allocinfo();

    if (hints == NULL) {
        return NULL;
    }
    if (provider != NULL) {
        hints->fabric_attr->prov_name = strdup(provider);
        if (hints->fabric_attr->prov_name == NULL) {
            fi_freeinfo(hints);
            return NULL;
        }
    }
    hints->ep_attr->type = FI_EP_RDM;
    hints->caps = FI_MSG;
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->domain_attr->mr_mode =
        FI_MR_LOCAL | FI_MR_ALLOCATED | FI_MR_VIRT_ADDR | FI_MR_PROV_KEY;
    /* One thread drives, but any may signal the completion queue. */
    hints->domain_attr->threading = FI_THREAD_SAFE;
    return hints;
}

static int list_get(struct fi_info **list,
                    const char *provider,
                    const char *node,
                    struct err *e)
{
    struct fi_info *hints = hints_create(provider);
    int rc;

    *list = NULL;
    if (hints == NULL) {
        return err_set(e, ERR_NOMEM, "hints for fi_getinfo");
    }
    rc = fi_getinfo(FABRIC_API, node, NULL, node == NULL ? 0 : FI_SOURCE, hints,
                    list);
    fi_freeinfo(hints);
    if (rc == 0 || rc == -FI_ENODATA) {
        return 0;
    }
    return fabric_err(e, "fi_getinfo", rc);
}

static const char *info_provider(const struct fi_info *info)
{
    return info->fabric_attr->prov_name;
}

/* The xnet protocol over TCP is called "net" in libfabric 1.17 and "tcp" from
 * 1.18: both names mean it. */
static bool name_is_xnet(const char *name)
{
    return strcmp(name, "net") == 0 || strcmp(name, "tcp") == 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* How much we want an endpoint when nobody asked for one by name: 0 is not at
 * all. Layered providers ("verbs;ofi_rxm") hang when a peer dies. */
static int info_rank(const struct fi_info *info)
{
    static const char *const FAST[] = {"verbs", "efa", "psm", "opx"};
    const char *name = info_provider(info);

    if (strchr(name, ';') != NULL) {
        return 0;
    }
    if (info->ep_attr->protocol == FI_PROTO_XNET) {
        return 2;
    }
    for (size_t i = 0; i < sizeof FAST / sizeof FAST[0]; i++) {
        if (starts_with(name, FAST[i])) {
            return 1;
        }
    }
    return 0;
}

/* The same when @name was asked for: what has just that name goes before what
 * is layered on it. */
static int info_rank_named(const struct fi_info *info, const char *name)
{
    if (name_is_xnet(name)) {
        return info_rank(info) == 2;
    }
    return strcmp(info_provider(info), name) == 0 ? 2 : 1;
}

/* The best of @list, or NULL. The first of equals: libfabric sorts them. */
static const struct fi_info *info_choose(const struct fi_info *list,
                                         const char *name)
{
    const struct fi_info *best = NULL;
    int best_rank = 0;

    for (const struct fi_info *i = list; i != NULL; i = i->next) {
        int rank = name == NULL ? info_rank(i) : info_rank_named(i, name);
        if (rank > best_rank) {
            best = i;
            best_rank = rank;
        }
    }
    return best;
}

/* Name the providers there are. */
static int err_no_provider(struct err *e, const char *name, const char *node)
{
    char names[256] = "";
    struct fi_info *list;
    size_t used = 0;

    if (list_get(&list, NULL, node, e) != 0) {
        return ERR_INVALID;
    }
    for (const struct fi_info *i = list; i != NULL; i = i->next) {
        const char *p = info_provider(i);
        const char *seen = strstr(names, p);
        if (seen != NULL && strchr(" ,", seen[strlen(p)]) != NULL) {
            continue;
        }
        if (used + strlen(p) + 3 < sizeof names) {
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s, ", p);
        }
    }
    fi_freeinfo(list);
    if (used >= 2) {
        names[used - 2] = '\0';
    }
    return err_set(e, ERR_INVALID, "no provider %s%s%s; there are: %s",
                   name == NULL ? "that we trust" : name,
                   node == NULL ? "" : " on address ", node == NULL ? "" : node,
                   used > 0 ? names : "none");
}

static void risk_warn(struct log *log, const char *name)
{
    if (strstr(name, "ofi_rxm") != NULL || starts_with(name, "shm")) {
        log_warn(log,
                 "provider %s does not notice peers that die: only the "
                 "deadline of the heartbeat does",
                 name);
    }
}

static int info_find(struct fi_info **info,
                     const char *name,
                     const char *node,
                     struct err *e)
{
    const struct fi_info *best;
    struct fi_info *list;
    int rc;

    if (name != NULL && strcmp(name, "shm") == 0) {
        node = NULL; /* Shared memory has names, no addresses. */
    }
    rc = list_get(&list, name != NULL && name_is_xnet(name) ? NULL : name, node,
                  e);
    if (rc != 0) {
        return rc;
    }
    best = info_choose(list, name);
    if (best == NULL) {
        fi_freeinfo(list);
        return err_no_provider(e, name, node);
    }
    *info = fi_dupinfo(best);
    fi_freeinfo(list);
    return *info == NULL ? err_set(e, ERR_NOMEM, "fi_dupinfo") : 0;
}

static int cq_open(struct fabric *f, struct err *e)
{
    struct fi_cq_attr attr = {.size = FABRIC_CQ_SIZE,
                              .format = FI_CQ_FORMAT_MSG,
                              .wait_obj = FI_WAIT_UNSPEC};
    int rc = fi_cq_open(f->domain, &attr, &f->cq, NULL);

    f->waits = rc == 0;
    if (rc != 0) {
        attr.wait_obj = FI_WAIT_NONE;
        rc = fi_cq_open(f->domain, &attr, &f->cq, NULL);
    }
    return rc == 0 ? 0 : fabric_err(e, "fi_cq_open", rc);
}

/* The address vector goes first, before anything can fail: closing an endpoint
 * that has none crashes in libfabric 1.17. */
static int endpoint_open(struct fabric *f, struct err *e)
{
    int rc = fi_endpoint(f->domain, f->info, &f->endpoint, NULL);

    if (rc != 0) {
        f->endpoint = NULL;
        return fabric_err(e, "fi_endpoint", rc);
    }
    rc = fi_ep_bind(f->endpoint, &f->av->fid, 0);
    if (rc != 0) {
        f->endpoint = NULL; /* Lost, for the reason above. */
        return fabric_err(e, "fi_ep_bind address vector", rc);
    }
    rc = fi_ep_bind(f->endpoint, &f->cq->fid, FI_TRANSMIT | FI_RECV);
    if (rc != 0) {
        return fabric_err(e, "fi_ep_bind completion queue", rc);
    }
    rc = fi_enable(f->endpoint);
    return rc == 0 ? 0 : fabric_err(e, "fi_enable", rc);
}

static int objects_open(struct fabric *f, struct err *e)
{
    struct fi_av_attr av_attr = {.type = FI_AV_TABLE};
    int rc = fi_fabric(f->info->fabric_attr, &f->fabric, NULL);

    if (rc != 0) {
        return fabric_err(e, "fi_fabric", rc);
    }
    rc = fi_domain(f->fabric, f->info, &f->domain, NULL);
    if (rc != 0) {
        return fabric_err(e, "fi_domain", rc);
    }
    rc = fi_av_open(f->domain, &av_attr, &f->av, NULL);
    if (rc != 0) {
        return fabric_err(e, "fi_av_open", rc);
    }
    rc = cq_open(f, e);
    return rc == 0 ? endpoint_open(f, e) : rc;
}

int fabric_open(struct fabric *f,
                const char *provider,
                const char *node,
                struct log *log,
                struct err *e)
{
    int rc;

    memset(f, 0, sizeof *f);
    rc = info_find(&f->info, provider, node, e);
    if (rc != 0) {
        return rc;
    }
    f->needs_mr = (f->info->domain_attr->mr_mode & FI_MR_LOCAL) != 0;
    f->tells_by_again = f->info->ep_attr->protocol == FI_PROTO_XNET;
    rc = objects_open(f, e);
    if (rc != 0) {
        rc = err_wrap(e, rc, "open provider %s%s%s", fabric_provider(f),
                      node == NULL ? "" : " on address ",
                      node == NULL ? "" : node);
        fabric_close(f);
        return rc;
    }
    risk_warn(log, fabric_provider(f));
    return 0;
}

/* A failure means that we still use the object elsewhere: a bug. */
static void fid_close(struct fid *fid)
{
    int rc = fi_close(fid);

    assert(rc == 0);
    (void)rc;
}

void fabric_close(struct fabric *f)
{
    /* Users before what they use. */
    if (f->endpoint != NULL) {
        fid_close(&f->endpoint->fid);
    }
    if (f->av != NULL) {
        fid_close(&f->av->fid);
    }
    if (f->cq != NULL) {
        fid_close(&f->cq->fid);
    }
    if (f->domain != NULL) {
        fid_close(&f->domain->fid);
    }
    if (f->fabric != NULL) {
        fid_close(&f->fabric->fid);
    }
    fi_freeinfo(f->info);
    memset(f, 0, sizeof *f);
}

const char *fabric_provider(const struct fabric *f)
{
    return info_provider(f->info);
}
