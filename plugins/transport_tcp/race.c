/* race.c - non-blocking connects, staggered. */
#include "config.h"

#include "race.h"

#include "../common/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STAGGER_NS 250000000u

static void advance(struct weir_tcp_race *race);

/* Add a failure to the report. */
static void note(struct weir_tcp_race *race, const union weir_tcp_number *to,
                 int rc, const char *option)
{
    size_t used = strlen(race->report);
    char text[WEIR_TCP_TEXT_ROOM], reason[WEIR_REASON_ROOM];

    race->code = rc;
    snprintf(race->report + used, sizeof race->report - used, "%s%s: %s%s%s",
             used > 0 ? "; " : "", weir_tcp_text(to, text, sizeof text),
             option ? "option " : "", option ? option : "", option ? ": " : "");
    used = strlen(race->report);
    snprintf(race->report + used, sizeof race->report - used, "%s",
             weir_common_reason(-rc, reason, sizeof reason));
}

static void cancel(const struct weir_tcp_race *race, int64_t *id)
{
    if (*id > 0)
        race->end->host->cancel(race->end->reactor, *id);
    *id = 0;
}

/* Take the descriptor from an attempt. */
static int release(struct weir_tcp_attempt *attempt)
{
    int fd = attempt->fd;

    cancel(attempt->race, &attempt->watch);
    attempt->fd = -1;
    attempt->race->pending--;
    return fd;
}

void weir_tcp_race_stop(struct weir_tcp_race *race)
{
    cancel(race, &race->stagger);
    cancel(race, &race->deadline);
    for (size_t i = 0; i < race->next; i++) {
        if (race->attempts[i].fd >= 0)
            (void)close(release(&race->attempts[i]));
    }
    free(race->attempts);
    race->attempts = NULL;
    race->next = 0;
    weir_tcp_list_fini(&race->to);
    weir_tcp_list_fini(&race->from);
}

static void finish(struct weir_tcp_race *race, int result)
{
    weir_tcp_race_stop(race);
    race->over(race, result);
}

static bool link_local(const union weir_tcp_number *number)
{
    return number->any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_LINKLOCAL(&number->v6.sin6_addr);
}

/* The source for a target: of its family, and of its scope if there is one. */
static const union weir_tcp_number *
pick_source(const struct weir_tcp_race *race, const union weir_tcp_number *to)
{
    const union weir_tcp_number *found = NULL;

    for (size_t i = 0; i < race->from.n; i++) {
        const union weir_tcp_number *from = &race->from.items[i];

        if (from->any.sa_family != to->any.sa_family)
            continue;
        if (link_local(from) == link_local(to))
            return from;
        if (!found)
            found = from;
    }
    return found;
}

/* Two dialers to one peer can share a source port, and a dialer can have it
 * back at once after a connection; a port that is not given is chosen only at
 * connect(), so that targets do not compete for it. */
static int bind_source(const struct weir_tcp_race *race, int fd,
                       const union weir_tcp_number *to)
{
    const union weir_tcp_number *from = pick_source(race, to);
    int one = 1;

    if (race->from.n == 0)
        return 0;
    if (!from)
        return -EAFNOSUPPORT;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        return -errno;
#ifdef IP_BIND_ADDRESS_NO_PORT
    if (weir_tcp_port(from) == 0)
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
                         sizeof one);
#endif
    return bind(fd, &from->any, weir_tcp_size(from)) < 0 ? -errno : 0;
}

/* A connection to a free local port can meet itself: both ends are the same
 * socket.  Nobody listens there. */
static bool met_itself(int fd)
{
    union weir_tcp_number local, remote;
    socklen_t local_size = sizeof local, remote_size = sizeof remote;

    memset(&local, 0, sizeof local);
    memset(&remote, 0, sizeof remote);
    return getsockname(fd, &local.any, &local_size) == 0 &&
           getpeername(fd, &remote.any, &remote_size) == 0 &&
           weir_tcp_same_host(&local, &remote) &&
           weir_tcp_port(&local) == weir_tcp_port(&remote);
}

/* What became of a connect(): 0, -EINPROGRESS or what went wrong. */
static int outcome(int fd)
{
    union weir_tcp_number remote;
    socklen_t size = sizeof remote;
    int code = 0;
    socklen_t room = sizeof code;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &room) < 0)
        return -errno;
    if (code != 0)
        return -code;
    if (getpeername(fd, &remote.any, &size) < 0)
        return errno == ENOTCONN ? -EINPROGRESS : -errno;
    return met_itself(fd) ? -ECONNREFUSED : 0;
}

static void attempt_turn(void *arg, unsigned events)
{
    struct weir_tcp_attempt *attempt = arg;
    struct weir_tcp_race *race = attempt->race;
    int rc = outcome(attempt->fd);

    (void)events;
    if (rc == -EINPROGRESS)
        return;
    if (rc == 0) {
        finish(race, release(attempt));
        return;
    }
    note(race, &race->to.items[attempt - race->attempts], rc, NULL);
    (void)close(release(attempt));
    cancel(race, &race->stagger);
    advance(race);
}

/* Connect a fresh descriptor.  Returns 0 when it is connected,
 * -EINPROGRESS, or what went wrong, with the option at fault if it is one. */
static int connect_to(const struct weir_tcp_race *race, int fd,
                      const union weir_tcp_number *to, const char **option)
{
    int rc = weir_tcp_tune(&race->end->tuning, fd, to->any.sa_family, option);

    if (rc < 0)
        return rc;
    *option = NULL;
    rc = bind_source(race, fd, to);
    if (rc < 0)
        return rc;
    if (connect(fd, &to->any, weir_tcp_size(to)) == 0)
        return outcome(fd);
    return errno == EINTR ? -EINPROGRESS : -errno;
}

static int watch(struct weir_tcp_attempt *attempt)
{
    const struct weir_tcp_end *end = attempt->race->end;
    int64_t id = end->host->watch(end->reactor, attempt->fd, WEIR_WATCH_OUT,
                                  attempt_turn, attempt);

    if (id < 0)
        return (int)id;
    attempt->watch = id;
    return -EINPROGRESS;
}

/* Try the next address.  Returns as connect_to(). */
static int begin(struct weir_tcp_race *race)
{
    const union weir_tcp_number *to = &race->to.items[race->next];
    struct weir_tcp_attempt *attempt = &race->attempts[race->next++];
    const char *option = NULL;
    int rc;

    attempt->race = race;
    attempt->fd = weir_common_socket(to->any.sa_family);
    if (attempt->fd < 0) {
        rc = attempt->fd;
        attempt->fd = -1;
        note(race, to, rc, NULL);
        return rc;
    }
    race->pending++;
    rc = connect_to(race, attempt->fd, to, &option);
    if (rc == -EINPROGRESS)
        rc = watch(attempt);
    if (rc < 0 && rc != -EINPROGRESS) {
        note(race, to, rc, option);
        (void)close(release(attempt));
    }
    return rc;
}

static void stagger_turn(void *arg, unsigned events)
{
    struct weir_tcp_race *race = arg;

    (void)events;
    race->stagger = 0;
    advance(race);
}

static void arm_stagger(struct weir_tcp_race *race)
{
    const struct weir_tcp_end *end = race->end;

    if (race->next < race->to.n)
        race->stagger =
            end->host->timer(end->reactor, STAGGER_NS, stagger_turn, race);
}

/* Go on until an attempt is under way. */
static void advance(struct weir_tcp_race *race)
{
    while (race->next < race->to.n) {
        struct weir_tcp_attempt *attempt = &race->attempts[race->next];
        int rc = begin(race);

        if (rc == 0) {
            finish(race, release(attempt));
            return;
        }
        if (rc == -EINPROGRESS) {
            arm_stagger(race);
            return;
        }
    }
    if (race->pending == 0)
        finish(race, race->code);
}

static void deadline_turn(void *arg, unsigned events)
{
    struct weir_tcp_race *race = arg;

    (void)events;
    race->deadline = 0;
    for (size_t i = 0; i < race->next; i++) {
        if (race->attempts[i].fd >= 0)
            note(race, &race->to.items[i], -ETIMEDOUT, NULL);
    }
    finish(race, -ETIMEDOUT);
}

/* Timers that cannot be had fail the race: without them it might never end. */
static int arm_deadline(struct weir_tcp_race *race)
{
    const struct weir_tcp_end *end = race->end;

    race->deadline = 0;
    if (race->timeout_ns > 0)
        race->deadline = end->host->timer(end->reactor, race->timeout_ns,
                                          deadline_turn, race);
    return race->deadline < 0 ? (int)race->deadline : 0;
}

void weir_tcp_race_start(struct weir_tcp_race *race)
{
    int rc;

    race->report[0] = '\0';
    race->next = race->pending = 0;
    race->stagger = 0;
    race->code = -ECONNREFUSED;
    race->attempts = calloc(race->to.n, sizeof *race->attempts);
    rc = arm_deadline(race);
    if (!race->attempts)
        rc = -ENOMEM;
    if (rc == 0) {
        advance(race);
        return;
    }
    note(race, &race->to.items[0], rc, NULL);
    finish(race, rc);
}
