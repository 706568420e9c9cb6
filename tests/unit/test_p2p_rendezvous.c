/* Unit tests of p2p/rendezvous.h: peers are threads. */

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/rendezvous.h"
#include "tests/support/test.h"

#define PEERS_MAX 8

struct peer {
    pthread_t thread;
    struct rendezvous_options o;
    struct rendezvous_card own;
    struct rendezvous_card cards[PEERS_MAX];
    uint64_t session;
    struct err e;
    int rc;
};

static void *peer_run(void *arg)
{
    struct peer *p = arg;

    p->rc = rendezvous_meet(&p->o, &p->own, p->cards, &p->session, &p->e);
    return NULL;
}

static void
peer_init(struct peer *p, const char *url, p2p_peer self, uint32_t n_peers)
{
    memset(p, 0, sizeof *p);
    p->o = (struct rendezvous_options){.url = url,
                                       .self = self,
                                       .n_peers = n_peers,
                                       .timeout_ns = 20 * CLOCK_S};
    p->own.address_size = 10 + self;
    memset(p->own.address, (int)('a' + self), p->own.address_size);
    p->own.note_size = self == 1 ? RENDEZVOUS_NOTE_MAX : self;
    memset(p->own.note, (int)('A' + self), p->own.note_size);
}

static void peer_start(struct peer *p)
{
    assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
}

static void peer_join(struct peer *p)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
}

/* All peers of @p have met, and agree. */
static void expect_met(struct peer *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (p[i].rc != 0) {
            fail_msg("rank %u: %s", i, p[i].e.msg);
        }
        assert_true(p[i].session == p[0].session);
        for (uint32_t k = 0; k < n; k++) {
            assert_memory_equal(&p[i].cards[k], &p[k].own, sizeof p[k].own);
        }
    }
}

static void expect_failed(const struct peer *p, int rc, const char *words)
{
    assert_int_equal(p->rc, rc);
    if (strstr(p->e.msg, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, p->e.msg);
    }
}

/* A port that nobody has now. */
static void url_tcp(char url[64], int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *port = ntohs(a.sin_port);
    snprintf(url, 64, "tcp://127.0.0.1:%d", *port);
    close(fd);
}

static void url_file(char url[64], char dir[64])
{
    strcpy(dir, "/tmp/rendezvous-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(url, 64, "file://%s", dir);
}

static int dir_count(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *x = readdir(d); x != NULL; x = readdir(d)) {
        n += x->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static void dir_remove(const char *dir)
{
    DIR *d = opendir(dir);
    char path[512];

    assert_non_null(d);
    for (struct dirent *x = readdir(d); x != NULL; x = readdir(d)) {
        if (x->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", dir, x->d_name);
            assert_int_equal(unlink(path), 0);
        }
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

/* Ranks start from the last to the first, so that all wait for rank 0. */
static void meet(struct peer *p, const char *url, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;) {
        peer_init(&p[i], url, i, n);
        peer_start(&p[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        peer_join(&p[i]);
    }
}

static struct peer peers[PEERS_MAX];

static void test_peers_meet_over_tcp(void **state)
{
    char url[64];
    int port;
    uint64_t session;

    (void)state;
    url_tcp(url, &port);
    meet(peers, url, 5);
    expect_met(peers, 5);
    session = peers[0].session;
    meet(peers, url, 3); /* The same port again, at once. */
    expect_met(peers, 3);
    assert_true(peers[0].session != session);
}

static void test_peers_meet_by_name_and_over_ipv6(void **state)
{
    char url[64];
    char address[64];
    struct err e;
    int port;

    (void)state;
    url_tcp(url, &port);
    snprintf(url, sizeof url, "tcp://localhost:%d", port);
    meet(peers, url, 2);
    expect_met(peers, 2);
    snprintf(url, sizeof url, "tcp://[::1]:%d", port);
    if (rendezvous_local_address(url, address, &e) != 0) {
        return; /* No IPv6 here. */
    }
    assert_string_equal(address, "::1");
    meet(peers, url, 2);
    if (peers[0].rc != ERR_IO) {
        expect_met(peers, 2);
    }
}

static void test_peers_meet_in_a_directory(void **state)
{
    char url[64];
    char dir[64];
    uint64_t session;

    (void)state;
    url_file(url, dir);
    meet(peers, url, 5);
    expect_met(peers, 5);
    assert_int_equal(dir_count(dir), 0);
    session = peers[0].session;
    meet(peers, url, 3);
    expect_met(peers, 3);
    assert_true(peers[0].session != session);
    dir_remove(dir);
}

static void test_a_job_of_one_needs_nobody(void **state)
{
    (void)state;
    meet(peers, "file:///nonexistent", 1);
    expect_met(peers, 1);
}

/* Run a job whose files stay, as if it had been killed, and another one in the
 * same directory. */
static void test_leftovers_in_a_directory_are_ignored(void **state)
{
    static const char *const FILES[] = {"lyre-opening", "lyre-card-1",
                                        "lyre-card-2", "lyre-clash-1",
                                        "lyre-table"};
    char url[64];
    char dir[64];
    char path[128];

    (void)state;
    url_file(url, dir);
    /* An old peer that was stopped while it waited, in each role. */
    for (p2p_peer self = 0; self < 2; self++) {
        peer_init(&peers[0], url, self, 3);
        peers[0].o.timeout_ns = CLOCK_S / 10;
        peer_start(&peers[0]);
        peer_join(&peers[0]);
        expect_failed(&peers[0], ERR_UNREACHABLE, "within 0.1 s");
    }
    /* And rubbish under every name. */
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        int fd;
        snprintf(path, sizeof path, "%s/%s", dir, FILES[i]);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0);
        for (size_t k = 0; k < 20 * i; k++) {
            assert_int_equal(write(fd, "LYWR rubbish", 12), 12);
        }
        close(fd);
    }
    meet(peers, url, 3);
    expect_met(peers, 3);
    dir_remove(dir);
}

/* Old, valid files of a whole meeting lie there when the next one begins. */
static void copy_files(const char *from, const char *to)
{
    DIR *d = opendir(from);
    char command[1024];

    assert_non_null(d);
    for (struct dirent *x = readdir(d); x != NULL; x = readdir(d)) {
        if (x->d_name[0] != '.') {
            static uint8_t bytes[1 << 16];
            FILE *f;
            size_t n;
            snprintf(command, sizeof command, "%s/%s", from, x->d_name);
            f = fopen(command, "r");
            if (f == NULL) {
                continue; /* Gone just now. */
            }
            n = fread(bytes, 1, sizeof bytes, f);
            fclose(f);
            snprintf(command, sizeof command, "%s/%s", to, x->d_name);
            f = fopen(command, "w");
            assert_non_null(f);
            assert_int_equal(fwrite(bytes, 1, n, f), n);
            fclose(f);
        }
    }
    closedir(d);
}

static void test_valid_files_of_an_old_job_are_ignored(void **state)
{
    char url[64];
    char dir[64];
    char old[64];
    char old_url[64];

    (void)state;
    url_file(url, dir);
    url_file(old_url, old);
    /* Watch an old meeting, and keep copies of all it wrote. */
    for (uint32_t i = 0; i < 3; i++) {
        peer_init(&peers[i], old_url, i, 3);
    }
    peer_start(&peers[0]);
    peer_start(&peers[1]);
    for (int i = 0; i < 100000 && dir_count(dir) < 2; i++) {
        copy_files(old, dir);
    }
    peer_start(&peers[2]);
    for (int i = 0; i < 100000 && dir_count(old) > 0; i++) {
        copy_files(old, dir);
    }
    for (uint32_t i = 0; i < 3; i++) {
        peer_join(&peers[i]);
    }
    expect_met(peers, 3);
    assert_true(dir_count(dir) > 2);
    meet(peers, url, 3);
    expect_met(peers, 3);
    dir_remove(dir);
    dir_remove(old);
}

static void expect_all_told(const char *url, uint32_t n, const char *words)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_start(&peers[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        peer_join(&peers[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        expect_failed(&peers[i], ERR_INVALID, words);
        expect_failed(&peers[i], ERR_INVALID, url);
    }
}

static void test_a_rank_twice_is_told_to_all(void **state)
{
    char url[64];
    char dir[64];
    int port;

    (void)state;
    url_tcp(url, &port);
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 1) {
            url_file(url, dir);
        }
        peer_init(&peers[0], url, 0, 4);
        peer_init(&peers[1], url, 1, 4);
        peer_init(&peers[2], url, 2, 4);
        peer_init(&peers[3], url, 2, 4);
        expect_all_told(url, 4, "two peers have rank 2");
    }
    dir_remove(dir);
}

static void test_different_numbers_of_peers_are_told_to_all(void **state)
{
    char url[64];
    char dir[64];
    int port;

    (void)state;
    url_tcp(url, &port);
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 1) {
            url_file(url, dir);
        }
        peer_init(&peers[0], url, 0, 3);
        peer_init(&peers[1], url, 1, 3);
        peer_init(&peers[2], url, 2, 4);
        expect_all_told(url, 3, "rank 2 was told of 4 peers, rank 0 of 3");
        peer_init(&peers[0], url, 0, 3);
        peer_init(&peers[1], url, 1, 3);
        peer_init(&peers[2], url, 3, 4);
        expect_all_told(url, 3, "rank 3 was told of 4 peers, rank 0 of 3");
    }
    dir_remove(dir);
}

static void test_who_did_not_come_is_named(void **state)
{
    char url[64];
    char dir[64];
    int port;

    (void)state;
    url_tcp(url, &port);
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 1) {
            url_file(url, dir);
        }
        peer_init(&peers[0], url, 0, 4);
        peer_init(&peers[1], url, 2, 4);
        peers[0].o.timeout_ns = 3 * CLOCK_S / 2; /* 2 comes by then. */
        peer_start(&peers[1]);
        peer_start(&peers[0]);
        peer_join(&peers[0]);
        peer_join(&peers[1]);
        expect_failed(&peers[0], ERR_UNREACHABLE, "ranks 1, 3 did not come");
        expect_failed(&peers[1], ERR_UNREACHABLE, "ranks 1, 3 did not come");
    }
    dir_remove(dir);
    url_tcp(url, &port);
    peer_init(&peers[1], url, 1, 2);
    peers[1].o.timeout_ns = CLOCK_S / 4;
    peer_start(&peers[1]);
    peer_join(&peers[1]);
    expect_failed(&peers[1], ERR_UNREACHABLE, "rank 0 did not answer at");
}

static void test_the_stop_flag_ends_waiting(void **state)
{
    volatile int stop = 0;
    char url[64];
    char dir[64];
    int port;

    (void)state;
    url_tcp(url, &port);
    for (int kind = 0; kind < 2; kind++) {
        if (kind == 1) {
            url_file(url, dir);
        }
        for (p2p_peer self = 0; self < 2; self++) {
            uint64_t start_ns;
            stop = 0;
            peer_init(&peers[0], url, self, 3);
            peers[0].o.stop = &stop;
            peer_start(&peers[0]);
            start_ns = clock_ns();
            __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
            peer_join(&peers[0]);
            expect_failed(&peers[0], ERR_INTERRUPTED, "interrupted");
            assert_true(clock_ns() - start_ns < 2 * CLOCK_S);
        }
    }
    dir_remove(dir);
}

static int connect_raw(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < 1000000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
            return fd;
        }
        close(fd);
    }
    fail_msg("nobody listens on port %d", port);
    return -1;
}

static void test_strangers_do_no_harm(void **state)
{
    static const char *const WORDS[] = {
        "GET / HTTP/1.0\r\n\r\n", "", "LYWR",
        /* Right magic and kind, an absurd size. */
        "LYWR\1\0\0\0\377\377\377\377aaaaaaaaaaaaaaaaaaaaaa",
        /* A card that is no card. */
        "LYWR\1\0\0\0\10\0\0\0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
    static const size_t SIZES[] = {18, 0, 4, 34, 43};
    char url[64];
    int fds[40];
    int port;

    (void)state;
    url_tcp(url, &port);
    peer_init(&peers[0], url, 0, 2);
    peer_start(&peers[0]);
    for (size_t i = 0; i < 40; i++) { /* More than rank 0 listens to. */
        fds[i] = connect_raw(port);
        (void)!send(fds[i], WORDS[i % 5], SIZES[i % 5], MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < 40; i += 2) {
        close(fds[i]);
    }
    peer_init(&peers[1], url, 1, 2);
    peer_start(&peers[1]);
    peer_join(&peers[0]);
    peer_join(&peers[1]);
    expect_met(peers, 2);
    for (size_t i = 1; i < 40; i += 2) {
        close(fds[i]);
    }
}

/* A peer that leaves before all are there, and is started again. */
static void test_a_peer_may_come_again(void **state)
{
    char url[64];
    int port;

    (void)state;
    url_tcp(url, &port);
    peer_init(&peers[0], url, 0, 3);
    peer_start(&peers[0]);
    peer_init(&peers[1], url, 1, 3);
    peers[1].o.timeout_ns = CLOCK_S / 4;
    peer_start(&peers[1]);
    peer_join(&peers[1]);
    assert_int_equal(peers[1].rc, ERR_UNREACHABLE);
    peer_init(&peers[1], url, 1, 3);
    peer_init(&peers[2], url, 2, 3);
    peer_start(&peers[1]);
    peer_start(&peers[2]);
    for (int i = 0; i < 3; i++) {
        peer_join(&peers[i]);
    }
    expect_met(peers, 3);
}

static void test_bad_urls_say_what_is_wrong(void **state)
{
    static const struct {
        const char *url;
        const char *words;
    } CASES[] = {
        {"http://a:1", "unknown kind"},
        {"tcp://host", "no port"},
        {"tcp://host:", "no port"},
        {"tcp://host:0", "no port"},
        {"tcp://host:65536", "no port"},
        {"tcp://host:12x", "no port"},
        {"tcp://:1", "no host"},
        {"tcp://::1:4", "an IPv6 address stands in brackets"},
        {"file://relative", "unknown kind"},
        {"file:///nonexistent/dir", "open /nonexistent/dir: No such file"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        peer_init(&peers[0], CASES[i].url, 0, 2);
        peer_run(&peers[0]);
        expect_failed(&peers[0], ERR_INVALID, CASES[i].words);
    }
    peer_init(&peers[0], "tcp://127.0.0.1:1", 2, 2);
    peer_run(&peers[0]);
    expect_failed(&peers[0], ERR_INVALID, "rank 2 of 2 peers");
}

static void test_the_local_address_leads_to_the_rendezvous(void **state)
{
    char address[64];
    struct err e;

    (void)state;
    assert_int_equal(
        rendezvous_local_address("tcp://127.0.0.1:99", address, &e), 0);
    assert_string_equal(address, "127.0.0.1");
    assert_int_equal(rendezvous_local_address("tcp://0.0.0.0:99", address, &e),
                     0);
    assert_string_equal(address, "");
    assert_int_equal(rendezvous_local_address("file:///tmp", address, &e), 0);
    assert_string_equal(address, "");
    assert_int_equal(rendezvous_local_address("nonsense", address, &e),
                     ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers_meet_over_tcp),
        cmocka_unit_test(test_peers_meet_by_name_and_over_ipv6),
        cmocka_unit_test(test_peers_meet_in_a_directory),
        cmocka_unit_test(test_a_job_of_one_needs_nobody),
        cmocka_unit_test(test_leftovers_in_a_directory_are_ignored),
        cmocka_unit_test(test_valid_files_of_an_old_job_are_ignored),
        cmocka_unit_test(test_a_rank_twice_is_told_to_all),
        cmocka_unit_test(test_different_numbers_of_peers_are_told_to_all),
        cmocka_unit_test(test_who_did_not_come_is_named),
        cmocka_unit_test(test_the_stop_flag_ends_waiting),
        cmocka_unit_test(test_strangers_do_no_harm),
        cmocka_unit_test(test_a_peer_may_come_again),
        cmocka_unit_test(test_bad_urls_say_what_is_wrong),
        cmocka_unit_test(test_the_local_address_leads_to_the_rendezvous),
    };
    return cmocka_run_group_tests_name("rendezvous", tests, NULL, NULL);
}
