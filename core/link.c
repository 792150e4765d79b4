/*
 * link.c - see link.h.
 */
#include "config.h"

#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "endpoint.h"
#include "handshake.h"
#include "link_messages.h"
#include "pipe.h"
#include "socket.h"
#include "zmtp.h"

enum {
    PARTS = 32,            /* of one write */
    WRITES = 64,           /* of one flush, and */
    FLUSH_MAX = 4 << 20,   /* octets: after so many none begins */
    CONTROL_MAX = 64 << 10 /* octets of PONGs that may wait */
};

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE is set on the socket instead */
#endif

struct weir_pipe *weir_link_pipe(struct weir_link *link)
{
    return WEIR_CONTAINER(link, struct weir_pipe, link);
}

/* ---- the driver word ---- */

bool weir_link_post_turn(struct weir_link *link)
{
    struct weir_task *turn = atomic_load(&link->turn);

    if (turn)
        weir_reactor_post(weir_link_pipe(link)->sock->reactor, turn);
    return turn != NULL;
}

bool weir_link_hold(struct weir_link *link)
{
    uint32_t seen = WEIR_DRIVER_FREE;

    for (;;) {
        uint32_t want =
            seen == WEIR_DRIVER_FREE ? WEIR_DRIVER_HELD : WEIR_DRIVER_AGAIN;

        if (!atomic_compare_exchange_weak_explicit(&link->driver, &seen, want,
                                                   memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        if (want == WEIR_DRIVER_AGAIN)
            (void)weir_link_post_turn(link);
        return want == WEIR_DRIVER_HELD;
    }
}

bool weir_link_seize(struct weir_link *link)
{
    return link->messages ? weir_messages_quit(link) : weir_link_hold(link);
}

static bool set_free(struct weir_link *link)
{
    uint32_t seen = WEIR_DRIVER_HELD;

    return atomic_compare_exchange_strong_explicit(&link->driver, &seen,
                                                   WEIR_DRIVER_FREE,
                                                   memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* The reactor wants a condemned link.  When it finds the word taken it leaves
 * it at that, so it is told again until it finds it free. */
static bool leave_to_reactor(struct weir_link *link)
{
    do {
        atomic_store(&link->driver, WEIR_DRIVER_HELD);
        weir_reactor_post(weir_link_pipe(link)->sock->reactor, &link->down);
    } while (!set_free(link));
    return true;
}

/* A driver that asks for another round itself may have taken the reactor's
 * request for one of these, so a condemned link is always left to it. */
static bool doomed(struct weir_link *link)
{
    return atomic_load(&link->condemned) && atomic_load(&link->live);
}

bool weir_link_let_go(struct weir_link *link)
{
    if (!doomed(link) && set_free(link))
        return true;
    if (atomic_load(&link->condemned))
        return leave_to_reactor(link);
    atomic_store(&link->driver, WEIR_DRIVER_HELD);
    return false;
}

bool weir_link_asked(struct weir_link *link)
{
    uint32_t seen = WEIR_DRIVER_AGAIN;

    return atomic_load(&link->driver) == WEIR_DRIVER_AGAIN &&
           atomic_compare_exchange_strong(&link->driver, &seen,
                                          WEIR_DRIVER_HELD);
}

/* ---- endings ---- */

static void condemn(struct weir_link *link)
{
    atomic_store(&link->condemned, true);
    weir_reactor_post(weir_link_pipe(link)->sock->reactor, &link->down);
}

void weir_link_fail(struct weir_link *link, int code)
{
    if (link->failed)
        return;
    link->failed = true;
    link->code = code;
    snprintf(link->reason, sizeof(link->reason), "%s", weir_error_text());
    condemn(link);
}

void weir_link_condemn(struct weir_link *link, int code)
{
    if (!atomic_load(&link->live))
        return;
    if (!weir_link_hold(link)) {
        link->verdict_code = code;
        snprintf(link->verdict, sizeof(link->verdict), "%s", weir_error_text());
        condemn(link);
        return;
    }
    weir_link_fail(link, code);
    (void)weir_link_let_go(link);
}

/* ---- readiness of the descriptor ---- */

static struct weir_poller *poller_of(struct weir_sock *sock)
{
    return sock->has_set ? &sock->set : &sock->reactor->poller;
}

static uint64_t key_of(struct weir_link *link)
{
    struct weir_pipe *pipe = weir_link_pipe(link);

    return pipe->sock->has_set ? link->key : (uint64_t)(uintptr_t)&link->watch;
}

/* Streams that may have to read in order to write, or the reverse. */
static bool inverts(const struct weir_link *link)
{
    return link->stream && WEIR_HAS(weir_stream_ops, link->stream, interest);
}

static unsigned wanted(const struct weir_link *link)
{
    unsigned events = WEIR_POLLER_IN | WEIR_POLLER_EDGE;

    if (link->watches_out)
        events |= WEIR_POLLER_OUT;
    if (inverts(link))
        events = WEIR_POLLER_EDGE |
                 link->stream->interest(link->stream_self,
                                        events & ~(unsigned)WEIR_POLLER_EDGE);
    return events;
}

/* Say what we wait for, if that is news, or if some of `anew` is to be reported
 * again. */
static void rewatch(struct weir_link *link, unsigned anew)
{
    struct weir_sock *sock = weir_link_pipe(link)->sock;
    unsigned events = wanted(link);

    if (events == link->watched && !(events & anew))
        return;
    link->watched = events;
    (void)weir_poller_change(poller_of(sock), link->watch.fd, events,
                             key_of(link));
}

static void watch_out_no_more(struct weir_link *link)
{
    if (!link->watches_out && !inverts(link))
        return;
    link->watches_out = false;
    rewatch(link, 0);
}

/* Who has to write in order to read may have had room all the time, and then
 * there is no new edge: it is asked for, even if we watched for that before. */
static void watch_in_again(struct weir_link *link)
{
    struct weir_sock *sock = weir_link_pipe(link)->sock;

    if (inverts(link))
        rewatch(link, WEIR_POLLER_OUT);
    weir_poller_again(poller_of(sock), link->watch.fd, link->watched,
                      key_of(link));
}

/* ---- writing ---- */

/* One thread writes it, any may read it. */
static void count(_Atomic uint64_t *counter, ssize_t n)
{
    uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, sum + (uint64_t)n, memory_order_relaxed);
}

static uint64_t octets_written(const struct weir_link *link)
{
    return atomic_load_explicit(&link->octets_out, memory_order_relaxed);
}

static ssize_t write_parts(struct weir_link *link, struct iovec *parts, int n)
{
    struct msghdr header = {.msg_iov = parts};
    ssize_t r;

    if (link->stream)
        return link->stream->writev(link->stream_self, parts, n);
    header.msg_iovlen = (size_t)n;
    do
        r = n == 1 ? send(link->watch.fd, parts->iov_base, parts->iov_len,
                          MSG_NOSIGNAL)
                   : sendmsg(link->watch.fd, &header, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* `blocked` first: the report may come at once.  The edge is armed anew, since
 * an earlier one may have been for room that was used up. */
static void wait_for_room(struct weir_link *link)
{
    atomic_store(&link->blocked, true);
    link->watches_out = true;
    rewatch(link, WEIR_POLLER_IN | WEIR_POLLER_OUT);
}

/* The peer takes no more, but what it sent before is still there to be read,
 * and behind it the end. */
static int read_to_the_end(struct weir_link *link, int code)
{
    link->write_code = code;
    link->control_size = link->control_sent = 0;
    atomic_store(&link->blocked, true);
    atomic_store(&link->ending, true);
    atomic_store(&link->readable, true);
    return 0;
}

/* The write gave an error: wait for room, or give up. */
static int no_write(struct weir_link *link, int r)
{
    if (r == -EAGAIN || r == -EWOULDBLOCK || r == -ENOBUFS) {
        wait_for_room(link);
        return 0;
    }
    if (!link->stream)
        return read_to_the_end(link, -r);
    weir_link_error(link->stream, link->stream_self, -r, "writing to",
                    weir_link_peer(link));
    weir_link_fail(link, -r);
    return r;
}

static int write_control(struct weir_link *link)
{
    while (link->control_sent < link->control_size) {
        struct iovec part = {link->control + link->control_sent,
                             link->control_size - link->control_sent};
        ssize_t r = write_parts(link, &part, 1);

        if (r < 0)
            return no_write(link, (int)r);
        link->control_sent += (size_t)r;
        count(&link->octets_out, r);
    }
    link->control_size = link->control_sent = 0;
    return 1;
}

/* One write from the queue.  1 go on, 0 blocked, negative: dead;
 * `*gone`: the queue is empty.  What comes after that look comes with a request
 * for another round. */
static int write_queue(struct weir_link *link, bool *gone)
{
    struct weir_queue *queue = weir_link_pipe(link)->out;
    struct weir_queue_mark_point at;
    struct iovec parts[PARTS];
    int n;
    ssize_t size =
        weir_queue_gather(queue, parts, PARTS, &n, WEIR_QUEUE_BATCH, &at);
    ssize_t r;

    *gone = size == 0;
    if (size == 0)
        return 1;
    r = write_parts(link, parts, n);
    if (r < 0)
        return no_write(link, (int)r);
    *gone = weir_queue_wrote(queue, (size_t)r, &at);
    link->mid_write = weir_queue_midway(queue);
    count(&link->octets_out, r);
    return 1;
}

/* An inverting stream is read after each write: what it waits for may be what
 * the other direction got, and it may have found messages on the way. */
int weir_link_flush(struct weir_link *link)
{
    uint64_t end = octets_written(link) + FLUSH_MAX;
    bool gone = false;
    int r = 1, writes = 0;

    atomic_store_explicit(&link->more, false, memory_order_relaxed);
    if (!atomic_load_explicit(&link->live, memory_order_relaxed) ||
        link->failed)
        return 1;
    if (inverts(link))
        atomic_store(&link->readable, true);
    else if (atomic_load(&link->blocked))
        return 0;
    while (r > 0 && !gone && ++writes <= WRITES && octets_written(link) < end) {
        if (link->control_size > 0 && !link->mid_write)
            r = write_control(link);
        if (r > 0)
            r = write_queue(link, &gone);
    }
    if (r > 0 && !gone) {
        atomic_store_explicit(&link->more, true, memory_order_relaxed);
        return r;
    }
    if (r > 0 && link->control_size > 0)
        r = write_control(link);
    if (r > 0)
        watch_out_no_more(link);
    return r;
}

static int grow_control(struct weir_link *link, size_t need)
{
    size_t room = link->control_room ? link->control_room : 64;
    uint8_t *more;

    while (room < need)
        room *= 2;
    more = realloc(link->control, room);
    if (!more)
        return weir_fail(ENOMEM, "no memory for a PONG");
    link->control = more;
    link->control_room = room;
    return 0;
}

/* Of a peer that asks on and reads slowly there is always something left: what
 * was written goes, or the rest would lie further and further behind. */
static void forget_written(struct weir_link *link)
{
    link->control_size -= link->control_sent;
    memmove(link->control, link->control + link->control_sent,
            link->control_size);
    link->control_sent = 0;
}

int weir_link_control(struct weir_link *link, const void *data, size_t size)
{
    size_t need;

    if (link->write_code)
        return 0; /* nobody would get it */
    if (link->control_size + size > link->control_room &&
        link->control_sent > 0)
        forget_written(link);
    need = link->control_size + size;
    if (need > link->control_room && grow_control(link, need) < 0)
        return -ENOMEM;
    memcpy(link->control + link->control_size, data, size);
    link->control_size = need;
    return 0;
}

/* ---- reading ---- */

static ssize_t read_parts(struct weir_link *link, struct iovec *parts, int n)
{
    ssize_t r;

    if (link->stream)
        return link->stream->readv(link->stream_self, parts, n);
    do
        r = n == 1 ? recv(link->watch.fd, parts->iov_base, parts->iov_len, 0)
                   : readv(link->watch.fd, parts, n);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int no_read(struct weir_link *link, ssize_t r)
{
    if ((r == -EAGAIN || r == -EWOULDBLOCK) && link->write_code == 0) {
        watch_in_again(link);
        return 0;
    }
    if (link->write_code)
        r = -link->write_code; /* what has come is read */
    if (r == 0)
        r = weir_fail(ECONNRESET, "%s closed the connection",
                      weir_link_peer(link));
    else
        r = weir_link_error(link->stream, link->stream_self, (int)-r,
                            "reading from", weir_link_peer(link));
    weir_link_fail(link, (int)-r);
    return (int)r;
}

/* A store that others see in order costs as much as a lock, and who spins comes
 * by here all the time. */
static void set(_Atomic bool *flag, bool value)
{
    if (atomic_load(flag) != value)
        atomic_store(flag, value);
}

/* Our queue is at its mark: stop, until its reader tells us, unless something
 * is to be dropped instead.  Or the peer does not take our PONGs: stop, until
 * they are written. */
static bool hold_back(struct weir_link *link)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    bool full = weir_queue_full(pipe->in) &&
                pipe->in_policy == WEIR_POLICY_BLOCK &&
                weir_queue_arm_writer(pipe->in);

    if (link->control_size - link->control_sent > CONTROL_MAX)
        full = true;
    set(&link->paused, full);
    if (full)
        atomic_store(&link->was_paused, true);
    return full;
}

static const uint8_t *end_of(const struct iovec *parts, size_t size)
{
    const struct iovec *last = parts;

    if (size > parts[0].iov_len) {
        size -= parts[0].iov_len;
        last++;
    }
    return (const uint8_t *)last->iov_base + size;
}

static int take_octets(struct weir_link *link, const struct iovec *parts,
                       size_t size)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    int n = weir_queue_filled(pipe->in, size, &link->parser);

    if (WEIR_UNLIKELY(pipe->in_policy != WEIR_POLICY_BLOCK))
        weir_pipe_came(pipe);
    if (n < 0) {
        weir_link_fail(link, -n);
        return n;
    }
    weir_heartbeat_read(link, end_of(parts, size));
    if (link->control_size > 0)
        weir_link_flush(link);
    return n;
}

int weir_link_read(struct weir_link *link)
{
    struct iovec parts[2];
    size_t room;
    ssize_t r;
    int n;

    if (!atomic_load_explicit(&link->live, memory_order_relaxed) ||
        link->failed) {
        atomic_store(&link->readable, false); /* nobody is to come again */
        return 0;
    }
    if (hold_back(link))
        return 0;
    /* Before the read: news that comes after it must not be forgotten. */
    set(&link->readable, false);
    n = weir_queue_space(weir_link_pipe(link)->in, parts, false);
    if (n < 0) {
        weir_link_fail(link, -n);
        return n;
    }
    room = parts[0].iov_len + (n > 1 ? parts[1].iov_len : 0);
    r = read_parts(link, parts, n);
    if (r <= 0)
        return no_read(link, r);
    atomic_store_explicit(&link->heard, true, memory_order_relaxed);
    if (atomic_load_explicit(&link->ttl, memory_order_relaxed) != 0)
        atomic_store(&link->ttl, 0); /* until the next PING */
    count(&link->octets_in, r);
    if ((size_t)r == room || link->stream || atomic_load(&link->ending))
        atomic_store(&link->readable, true);
    else
        watch_in_again(link);
    return take_octets(link, parts, (size_t)r);
}

/* ---- commands among the messages ---- */

/* Called by the queue's parser.  Subscriptions are the pattern's, in order
 * with the messages; heartbeats are ours; the rest is ignored. */
static int on_command(void *arg, const uint8_t *body, size_t size)
{
    struct weir_link *link = arg;
    struct weir_zmtp_command command;
    int r = weir_zmtp_get_command(body, size, &command);

    if (r < 0)
        return r;
    switch (command.kind) {
    case WEIR_ZMTP_IS_PING:
        return weir_heartbeat_ping(link, (int64_t)command.ttl * 1000000,
                                   body + size, command.data, command.len);
    case WEIR_ZMTP_IS_SUBSCRIBE:
    case WEIR_ZMTP_IS_CANCEL:
        return weir_sock_publishes(weir_link_pipe(link)->sock);
    default:
        return 0;
    }
}

/* ---- life ---- */

/* The poll backend has no sets of sockets: the reactor itself has us. */
static void on_watch(struct weir_watch *watch, unsigned events)
{
    struct weir_link *link = WEIR_CONTAINER(watch, struct weir_link, watch);
    struct weir_pipe *pipe = weir_link_pipe(link);
    struct weir_sock *sock = pipe->sock;

    weir_sock_lock(sock);
    weir_sock_due(sock, pipe, events);
    weir_turn_drive(sock);
    weir_sock_unlock(sock);
}

static void on_down(struct weir_task *task);

void weir_link_init(struct weir_link *link)
{
    memset(link, 0, sizeof(*link));
    link->watch.fd = -1;
    link->watch.ready = on_watch;
    link->down.run = on_down;
    link->parser.command = on_command;
    link->parser.arg = link;
}

void weir_link_fini(struct weir_link *link)
{
    free(link->control);
    link->control = NULL;
    link->control_size = link->control_sent = link->control_room = 0;
}

int weir_link_error(const weir_stream_ops *stream, void *self, int code,
                    const char *doing, const char *peer)
{
    char text[160];
    weir_error error = {sizeof(error), 0, text, sizeof(text)};

    text[0] = '\0';
    if (stream && WEIR_HAS(weir_stream_ops, stream, explain))
        (void)stream->explain(self, &error);
    return weir_fail(code, "%s %s: %s", doing, peer,
                     text[0] ? text : weir_strerror(code));
}

const char *weir_link_peer(const struct weir_link *link)
{
    return link->peer ? link->peer : "the peer";
}

static int take_rest(struct weir_link *link, const uint8_t *data, size_t size)
{
    struct weir_queue *queue = weir_link_pipe(link)->in;
    struct iovec parts[2];

    while (size > 0) {
        int n = weir_queue_space(queue, parts, false);
        size_t k;

        if (n < 0)
            return n;
        k = parts[0].iov_len < size ? parts[0].iov_len : size;
        memcpy(parts[0].iov_base, data, k);
        n = weir_queue_filled(queue, k, &link->parser);
        if (n < 0)
            return n;
        weir_heartbeat_read(link, (const uint8_t *)parts[0].iov_base + k);
        data += k;
        size -= k;
    }
    return 0;
}

static void reset(struct weir_link *link)
{
    const struct weir_options *options = &weir_link_pipe(link)->ep->options;
    uint64_t put, octets;

    weir_queue_counts(weir_link_pipe(link)->out, &put, &link->written_at_up,
                      &octets);
    link->mid_write = link->watches_out = link->failed = false;
    link->stalled = false;
    atomic_store(&link->blocked, false);
    link->control_size = link->control_sent = 0;
    link->code = 0;
    link->reason[0] = '\0';
    link->ping_at = link->pinged_at = link->ttl_at = 0;
    link->heard_at = 0;
    link->asked_end = NULL;
    link->asked_at = 0;
    atomic_store(&link->asked_every, 0);
    atomic_store(&link->ttl, 0);
    atomic_store(&link->paused, false);
    atomic_store(&link->was_paused, false);
    atomic_store(&link->more, false);
    atomic_store(&link->ending, false);
    atomic_store(&link->condemned, false);
    link->verdict_code = 0;
    link->write_code = 0;
    atomic_store(&link->heard, true);
    link->parser.max_frame = (uint64_t)options->max_message;
    link->parser.max_frames = (uint32_t)options->max_frames;
    link->parser.refuses =
        weir_options_recv_policy(options) == WEIR_POLICY_DROP_NEW;
}

void weir_link_start(struct weir_link *link, struct weir_handshake *from)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    struct weir_sock *sock = pipe->sock;
    int r;

    reset(link);
    link->key = weir_sock_key(pipe);
    link->watch.fd = from->watch.fd;
    link->stream = from->stream;
    link->stream_self = from->stream_self;
    link->peer = from->remote;
    from->watch.fd = -1;
    from->stream = NULL;
    from->remote = NULL;
    atomic_store(&link->live, true);
    atomic_store(&link->readable, weir_link_may_hide_input(link));
    weir_heartbeat_start(link);
    link->watched = wanted(link);
    r = weir_poller_add(poller_of(sock), link->watch.fd, link->watched,
                        key_of(link));
    if (r >= 0)
        r = take_rest(link, from->rest, from->rest_size);
    weir_pipe_came(pipe);
    if (r < 0)
        weir_link_fail(link, -r);
}

void weir_link_start_messages(struct weir_link *link,
                              struct weir_messages *messages,
                              struct weir_task *turn)
{
    reset(link);
    link->messages = messages;
    atomic_store(&link->turn, turn);
    atomic_store(&link->live, true);
}

static void close_connection(struct weir_link *link)
{
    struct weir_sock *sock = weir_link_pipe(link)->sock;

    if (link->watch.fd >= 0) {
        weir_poller_remove(poller_of(sock), link->watch.fd);
        weir_watch_forget(sock->reactor, &link->watch);
        weir_owned_remove(link->watch.fd, weir_sock_owner(sock));
    }
    if (link->stream)
        link->stream->close(link->stream_self);
    else if (link->watch.fd >= 0)
        close(link->watch.fd);
    if (link->messages)
        weir_messages_close(link);
    link->stream = NULL;
    link->watch.fd = -1;
}

/* Returns how many messages were cut. */
static int stop(struct weir_link *link)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    int cut;

    atomic_store(&link->live, false);
    atomic_store(&link->readable, false);
    weir_heartbeat_stop(link);
    if (!link->messages) /* there it has whole messages only */
        weir_queue_rollback(pipe->in);
    close_connection(link);
    cut = weir_queue_cut(pipe->out);
    free(link->peer);
    link->peer = NULL;
    weir_link_fini(link);
    return cut;
}

bool weir_link_at_risk(const struct weir_link *link)
{
    int unread = 0, queued = 0, value;
    socklen_t size = sizeof(value);

    if (!atomic_load(&link->live) || link->watch.fd < 0 ||
        getsockopt(link->watch.fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) < 0)
        return false;
#if defined(FIONREAD) && defined(TIOCOUTQ)
    if (ioctl(link->watch.fd, FIONREAD, &unread) < 0 ||
        ioctl(link->watch.fd, TIOCOUTQ, &queued) < 0)
        return false;
#endif
    return unread > 0 && queued > 0;
}

/* ---- a connection is over: reactor ---- */

/* What was written since the connection came up and may not have arrived. */
static uint64_t unconfirmed(struct weir_pipe *pipe)
{
    uint64_t put, taken, octets;

    weir_queue_counts(pipe->out, &put, &taken, &octets);
    return taken - pipe->link.written_at_up;
}

void weir_link_end(struct weir_link *link, struct weir_parting *how)
{
    struct weir_pipe *pipe = weir_link_pipe(link);

    snprintf(how->peer, sizeof(how->peer), "%s", weir_link_peer(link));
    how->unconfirmed = unconfirmed(pipe);
    pipe->tally.unconfirmed += how->unconfirmed;
    pipe->tally.send_dropped[WEIR_DROP_CUT] += (uint64_t)stop(link);
    pipe->sock->n_links--;
}

/* What a peer sent after the handshake made no sense. */
static bool makes_no_sense(int code)
{
    return code == EPROTO || code == EMSGSIZE;
}

/* The socket's side of a loss.  Lock held on entry, not on return.  Returns
 * whether a dialer should try again. */
static bool lose(struct weir_pipe *pipe)
{
    struct weir_sock *sock = pipe->sock;
    bool dialer = pipe->ep->pipe == pipe;
    struct weir_parting how = {.code = pipe->link.code,
                               .reason = pipe->link.reason};

    weir_link_end(&pipe->link, &how);
    if (makes_no_sense(how.code))
        weir_ep_count_refused(pipe->ep, how.code, how.reason);
    weir_sock_part(sock, pipe, &how);
    weir_list_remove(&pipe->drive);
    weir_list_remove(&pipe->flush);
    if (dialer && !pipe->ep->options.immediate) {
        weir_sock_unlock(sock);
        return true;
    }
    if (dialer)
        pipe->ep->pipe = NULL;
    weir_sock_retire(sock, pipe, false);
    weir_sock_unlock(sock);
    return dialer;
}

/* The reactor has a task of the link still to run, so the pipe has to stay.
 * There are no new ones while both the driver word and the lock are held. */
static bool posted(struct weir_link *link)
{
    return atomic_load(&link->down.posted) ||
           atomic_load(&link->rearm.posted) ||
           (link->messages && !weir_messages_quit(link));
}

/* Who condemned it was not its driver, so could not say why there. */
static void accept_verdict(struct weir_link *link)
{
    if (link->failed || link->verdict_code == 0)
        return;
    link->code = link->verdict_code;
    snprintf(link->reason, sizeof(link->reason), "%s", link->verdict);
}

static void on_down(struct weir_task *task)
{
    struct weir_link *link = WEIR_CONTAINER(task, struct weir_link, down);
    struct weir_pipe *pipe = weir_link_pipe(link);
    struct weir_ep *ep = pipe->ep;
    char reason[192];
    int code;

    if (!atomic_load(&link->live) || !(link->messages || weir_link_hold(link)))
        return; /* its driver posts us again */
    weir_sock_lock(pipe->sock);
    if (posted(link)) {
        weir_sock_unlock(pipe->sock);
        weir_reactor_post(pipe->sock->reactor, task);
        if (!link->messages)
            (void)weir_link_let_go(link);
        return;
    }
    accept_verdict(link);
    code = link->code;
    snprintf(reason, sizeof(reason), "%s", link->reason);
    if (lose(pipe)) {
        if (ep->pipe == pipe)
            (void)weir_link_let_go(link);
        weir_ep_again(ep, makes_no_sense(code), code, reason);
    }
}
