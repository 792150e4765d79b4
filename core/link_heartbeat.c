/*
 * link_heartbeat.c - is the peer still there?
 *
 * A silent link gets a PING.  No answer within the timeout ends it, unless
 * the peer's kernel has acknowledged all we wrote: then the host is there and
 * only its program is slow, which is an event and no reason to cut it off
 * (the option "heartbeat-strict" makes it one).  While we hold back reading
 * ourselves nothing is asked of the peer.
 */
#include "config.h"

#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "endpoint.h"
#include "pipe.h"
#include "socket.h"
#include "zmtp.h"

enum {
    MS = 1000000,
    LOOK_MIN = 10, /* ms */
    PROBES_MAX = 2 /* of a closed window, the one under way among them */
};

static const struct weir_options *options_of(struct weir_link *link)
{
    return &weir_link_pipe(link)->ep->options;
}

static bool pings(struct weir_link *link)
{
    const struct weir_options *options = options_of(link);

    return options->heartbeat > 0 &&
           (weir_link_pipe(link)->minor >= 1 || options->heartbeat_old);
}

static int64_t timeout(const struct weir_options *options)
{
    int64_t ms = options->heartbeat_timeout ? options->heartbeat_timeout
                                            : options->heartbeat;

    return ms * MS;
}

/* Does the peer's system answer ours?  It does when nothing is on its way for
 * long: octets that it has no room for are not on their way, and are asked
 * for by probes, which it answers.  Without TCP it is our own system. */
#if defined(HAVE_STRUCT_TCP_INFO_TCPI_LAST_ACK_RECV)
static bool acknowledged(const struct weir_link *link, int64_t since)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (getsockopt(link->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return true;
    if (info.tcpi_probes >= PROBES_MAX)
        return false;
    return info.tcpi_unacked == 0 ||
           (int64_t)info.tcpi_last_ack_recv * MS < since;
}
#elif defined(SO_NWRITE)
static bool acknowledged(const struct weir_link *link, int64_t since)
{
    int queued = 0;
    socklen_t size = sizeof(queued);

    (void)since;
    return getsockopt(link->watch.fd, SOL_SOCKET, SO_NWRITE, &queued, &size) <
               0 ||
           queued == 0;
}
#else
static bool acknowledged(const struct weir_link *link, int64_t since)
{
    (void)link;
    (void)since;
    return true;
}
#endif

static void stall(struct weir_link *link, bool stalled)
{
    struct weir_pipe *pipe = weir_link_pipe(link);

    if (link->stalled == stalled)
        return;
    link->stalled = stalled;
    weir_ep_event(pipe->ep,
                  stalled ? WEIR_EVENT_PEER_STALLED : WEIR_EVENT_PEER_RESUMED,
                  weir_link_peer(link), pipe->peer_id, 0, 0,
                  stalled ? "the peer's system answers, its program does not"
                          : "the peer answers again");
}

static void lost(struct weir_link *link, int64_t silence)
{
    weir_fail(ETIMEDOUT, "%s has not been heard of for %lld ms",
              weir_link_peer(link), (long long)(silence / MS));
    weir_link_fail(link, ETIMEDOUT);
}

static void ping(struct weir_link *link, int64_t now)
{
    uint8_t frame[WEIR_ZMTP_PING_MAX];
    size_t size = weir_zmtp_put_ping(
        frame, (uint32_t)options_of(link)->heartbeat_ttl, NULL, 0);

    if (link->control_size == 0 && weir_link_control(link, frame, size) < 0)
        return; /* no memory: next time */
    link->pinged_at = now;
    if (link->ping_at == 0)
        link->ping_at = now;
    weir_link_flush(link);
}

/* A PING is unanswered for too long. */
static void unanswered(struct weir_link *link, int64_t now)
{
    int64_t silence = now - link->ping_at;

    if (options_of(link)->heartbeat_strict || !acknowledged(link, silence)) {
        lost(link, silence);
        return;
    }
    stall(link, true);
    link->ping_at = 0; /* the next one asks its system again */
}

static void heard_nothing(struct weir_link *link, int64_t now)
{
    int64_t ttl = atomic_load(&link->ttl);

    if (ttl > 0 && now - link->ttl_at >= ttl)
        lost(link, ttl);
    else if (pings(link) && link->ping_at == 0)
        ping(link, now);
    else if (pings(link) && now - link->ping_at >= timeout(options_of(link)))
        unanswered(link, now);
}

/* With a TTL we promise to be heard of, whatever we hear. */
static void keep_promise(struct weir_link *link, int64_t now)
{
    const struct weir_options *options = options_of(link);

    if (options->heartbeat_ttl > 0 && pings(link) && !link->failed &&
        now - link->pinged_at >= options->heartbeat * MS)
        ping(link, now);
}

/* The driver word is held. */
static void look(struct weir_link *link)
{
    int64_t now = weir_now();

    if (atomic_load(&link->paused))
        link->ping_at = 0, link->ttl_at = now;
    else if (atomic_exchange(&link->heard, false)) {
        link->ping_at = 0;
        link->ttl_at = now;
        stall(link, false);
    } else {
        heard_nothing(link, now);
    }
    keep_promise(link, now);
}

/* Half the shortest of what is waited for. */
static int64_t interval(struct weir_link *link)
{
    const struct weir_options *options = options_of(link);
    int64_t ns = pings(link) ? options->heartbeat * MS : 0;
    int64_t ttl = atomic_load(&link->ttl) / 4;

    if (ns > 0 && link->ping_at != 0 && timeout(options) < ns)
        ns = timeout(options);
    if (ttl > 0 && (ns == 0 || ttl < ns))
        ns = ttl;
    return ns > 0 && ns < LOOK_MIN * MS ? LOOK_MIN * MS : ns;
}

static void arm(struct weir_link *link)
{
    int64_t ns = interval(link);

    if (ns > 0)
        weir_timer_arm(weir_link_pipe(link)->sock->reactor, &link->beat,
                       weir_now() + ns);
}

static void let_go(struct weir_link *link)
{
    struct weir_pipe *pipe = weir_link_pipe(link);
    struct weir_sock *sock = pipe->sock;

    weir_sock_lock(sock);
    weir_sock_due(sock, pipe, WEIR_POLLER_OUT);
    weir_sock_let_go(sock, pipe);
    weir_turn_drive(sock);
    weir_sock_unlock(sock);
}

static void on_beat(struct weir_timer *timer)
{
    struct weir_link *link = WEIR_CONTAINER(timer, struct weir_link, beat);

    if (!weir_link_hold(link)) {
        arm(link); /* somebody drives it: it lives */
        return;
    }
    look(link);
    arm(link);
    let_go(link);
}

void weir_heartbeat_start(struct weir_link *link)
{
    link->beat.fire = on_beat;
    link->rearm.run = weir_heartbeat_rearm;
    arm(link);
}

void weir_heartbeat_stop(struct weir_link *link)
{
    weir_timer_cancel(weir_link_pipe(link)->sock->reactor, &link->beat);
}

void weir_heartbeat_rearm(struct weir_task *task)
{
    struct weir_link *link = WEIR_CONTAINER(task, struct weir_link, rearm);

    if (atomic_load(&link->live))
        arm(link);
}

int weir_heartbeat_ping(struct weir_link *link, int64_t ttl,
                        const void *context, size_t size)
{
    uint8_t frame[WEIR_ZMTP_PONG_MAX];

    link->ttl_at = weir_now();
    if (atomic_exchange(&link->ttl, ttl) != ttl)
        weir_reactor_post(weir_link_pipe(link)->sock->reactor, &link->rearm);
    return weir_link_control(link, frame,
                             weir_zmtp_put_pong(frame, context, size));
}
