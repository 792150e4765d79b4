/* listen.c - binding, and what was accepted. */
#include "config.h"

#include "address.h"
#include "end.h"
#include "resolve.h"

#include "../common/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAME_PORT_TRIES 16

struct binder {
    struct weir_tcp_end end;
    size_t n;
    int fds[]; /* one per address of the host */
};

/* What bind() works on. */
struct listening {
    const char *address; /* as the application wrote it */
    struct weir_tcp_host host;
    struct weir_tcp_list list;
    struct binder *binder;
    union weir_tcp_number actual;  /* of the first descriptor */
    union weir_tcp_number culprit; /* what could not be had */
    const char *option;            /* the option at fault, or NULL */
};

static void close_all(struct binder *binder)
{
    while (binder->n > 0)
        (void)close(binder->fds[--binder->n]);
}

static int set_flag(int fd, int level, int what, int value)
{
    return setsockopt(fd, level, what, &value, sizeof value) < 0 ? -errno : 0;
}

/* "[::]" takes IPv4 as well.  All else is of one family, so that it does not
 * get in the way of what has the same port in the other: "*" is one of each. */
static int set_families(const struct listening *work, int fd,
                        const union weir_tcp_number *number)
{
    bool both =
        weir_tcp_is_unspecified(number) && work->host.kind == WEIR_TCP_NUMERIC;

    if (number->any.sa_family != AF_INET6)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&number->v6.sin6_addr))
        both = true;
    return set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
}

/* SO_REUSEADDR lets a restarted server bind while connections of the former
 * one are in TIME_WAIT; a second listener still gets EADDRINUSE. */
static int prepare(struct listening *work, int fd,
                   const union weir_tcp_number *number)
{
    const struct weir_tcp_tuning *tuning = &work->binder->end.tuning;
    const char *option;
    int rc = weir_tcp_tune(tuning, fd, number->any.sa_family, &option);

    if (rc < 0) {
        work->option = option;
        return rc;
    }
    rc = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0)
        rc = set_families(work, fd, number);
    if (rc == 0 && bind(fd, &number->any, weir_tcp_size(number)) < 0)
        rc = -errno;
    if (rc == 0 && listen(fd, tuning->number[WEIR_TCP_BACKLOG]) < 0)
        rc = -errno;
    return rc;
}

/* Listen at one address.  The first one shows which port was chosen. */
static int open_one(struct listening *work, const union weir_tcp_number *number)
{
    struct binder *binder = work->binder;
    socklen_t size = sizeof work->actual;
    int fd = weir_common_socket(number->any.sa_family);
    int rc = fd < 0 ? fd : prepare(work, fd, number);

    if (rc == 0 && binder->n == 0 &&
        getsockname(fd, &work->actual.any, &size) < 0)
        rc = -errno;
    if (rc < 0) {
        work->culprit = *number;
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    binder->fds[binder->n++] = fd;
    return 0;
}

/* Is it that this system, or its network, lacks the address's family? */
static bool lacks_address(int rc)
{
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT ||
           rc == -EPROTONOSUPPORT;
}

/* All addresses of the host, all at one port.  One that cannot be had here
 * is left out as long as there is another. */
static int open_each(struct listening *work)
{
    int rc, missing = -EADDRNOTAVAIL;

    for (size_t i = 0; i < work->list.n; i++) {
        union weir_tcp_number number = work->list.items[i];

        if (work->binder->n > 0)
            weir_tcp_set_port(&number, weir_tcp_port(&work->actual));
        rc = open_one(work, &number);
        if (rc < 0 && !lacks_address(rc))
            return rc;
        if (rc < 0)
            missing = rc;
    }
    return work->binder->n > 0 ? 0 : missing;
}

/* A free port of the first address may be taken at another one. */
static int open_all(struct listening *work)
{
    int rc = 0;

    for (int i = 0; i < SAME_PORT_TRIES; i++) {
        rc = open_each(work);
        if (rc != -EADDRINUSE || work->host.port != 0)
            break;
        close_all(work->binder);
    }
    return rc;
}

static int explain_open(const struct listening *work, int rc, weir_error *error)
{
    const weir_host *host = work->binder->end.host;
    char reason[WEIR_REASON_ROOM], text[WEIR_TCP_TEXT_ROOM];
    const char *words = weir_common_reason(-rc, reason, sizeof reason);

    if (work->option)
        return host->fail(error, -rc, "tcp://%s: option %s: %s", work->address,
                          work->option, words);
    weir_tcp_text(&work->culprit, text, sizeof text);
    return host->fail(error, -rc, "tcp://%s: cannot listen at %s: %s",
                      work->address, text, words);
}

static int explain_resolve(const weir_host *host, const struct listening *work,
                           int rc, const char *why, weir_error *error)
{
    char reason[WEIR_REASON_ROOM];

    if (!why)
        why = weir_common_reason(-rc, reason, sizeof reason);
    if (work->host.kind == WEIR_TCP_NAME)
        return host->fail(error, -rc,
                          "tcp://%s: \"%s\" is no interface, and as a name it "
                          "has no address: %s",
                          work->address, work->host.name, why);
    return host->fail(error, -rc, "tcp://%s: %s%%%s: %s", work->address,
                      work->host.name, work->host.zone, why);
}

/* The host and the list of its addresses. */
static int understand(const weir_host *host, struct listening *work,
                      weir_error *error)
{
    const char *why;
    int rc = weir_tcp_parse_bind(host, work->address, &work->host, error);

    if (rc < 0)
        return rc;
    rc = weir_tcp_resolve(&work->host, true, &work->list, &why);
    return rc < 0 ? explain_resolve(host, work, rc, why, error) : 0;
}

static int listen_all(struct listening *work, char *actual, size_t room,
                      weir_error *error)
{
    const weir_host *host = work->binder->end.host;
    char text[WEIR_TCP_TEXT_ROOM];
    int rc = open_all(work);

    if (rc < 0)
        return explain_open(work, rc, error);
    weir_tcp_text(&work->actual, text, sizeof text);
    if (strlen(text) >= room)
        return host->fail(error, ERANGE, "tcp://%s: no room for the address",
                          work->address);
    memcpy(actual, text, strlen(text) + 1);
    return 0;
}

int weir_tcp_bind(const weir_host *host, const weir_transport_host *more,
                  weir_ep *ep, const char *address, char *actual, size_t room,
                  void **self, weir_error *error)
{
    struct listening work = {.address = address};
    struct binder *binder;
    int rc = understand(host, &work, error);

    if (rc < 0)
        return rc;
    binder = calloc(1, sizeof *binder + work.list.n * sizeof binder->fds[0]);
    if (!binder) {
        rc = host->fail(error, ENOMEM, "tcp://%s: no memory", address);
        goto done;
    }
    binder->end = (struct weir_tcp_end){
        .host = host, .more = more, .ep = ep, .binds = true};
    work.binder = binder;
    rc = weir_tcp_tune_read(host, ep, &binder->end.tuning, error);
    if (rc == 0)
        rc = listen_all(&work, actual, room, error);
    if (rc < 0)
        weir_tcp_binder_close(&binder->end);
    else
        *self = binder;
done:
    weir_tcp_list_fini(&work.list);
    return rc;
}

int weir_tcp_binder_attach(struct weir_tcp_end *end, weir_error *error)
{
    struct binder *binder = (struct binder *)end;

    for (size_t i = 0; i < binder->n; i++) {
        int rc = end->more->listener(end->ep, binder->fds[i]);

        if (rc < 0)
            return end->host->fail(error, -rc,
                                   "tcp: the host does not accept on "
                                   "descriptor %d",
                                   binder->fds[i]);
    }
    return 0;
}

/* A newcomer is kept even if an option does not take: the other side may be
 * gone already, which some systems report here. */
void weir_tcp_binder_accepted(void *self, int fd, const struct sockaddr *from,
                              socklen_t size)
{
    struct weir_tcp_end *end = self;
    char reason[WEIR_REASON_ROOM];
    const char *option;
    int family = size > 0 ? from->sa_family : AF_UNSPEC;
    int rc = weir_tcp_tune_accepted(&end->tuning, fd, family, &option);

    if (rc < 0)
        end->host->log(end->ep, "tcp: option %s of a newcomer: %s", option,
                       weir_common_reason(-rc, reason, sizeof reason));
    weir_tcp_made(end, fd);
}

void weir_tcp_binder_close(struct weir_tcp_end *end)
{
    struct binder *binder = (struct binder *)end;

    close_all(binder);
    free(binder);
}
