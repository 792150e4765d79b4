/*
 * link_heartbeat.c - is the peer still there?
 *
 * A silent link gets a PING.  No answer within the timeout ends it, unless
 * the peer's kernel has acknowledged all we wrote: then the host is there and
 * only its program is slow, which is an event and no reason to cut it off
 * (the option "heartbeat-strict" makes it one).  While we hold back reading
 * ourselves nothing is asked of the peer, but it is told that we are there: it
 * may ask us, and we do not hear it.
 */
#include "config.h"

#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#ifdef HAVE_STRUCT_TCP_INFO_TCPI_SND_WND
#include <linux/tcp.h> /* that of libc is older, and shorter */
#else
#include <netinet/tcp.h>
#endif

#include "base/clock.h"
#include "base/error.h"
#include "endpoint.h"
#include "pipe.h"
#include "socket.h"
#include "zmtp.h"

enum {
    MS = 1000000,
    LOOK_MIN = 10,  /* ms */
    ASKED_MIN = 50, /* ms: PINGs that come closer say nothing of a pace */
    PROBES_MAX = 2  /* of a closed window, the one under way among them */
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

/* Do octets wait here although the peer has room for them?  Then our own system
 * cannot send them: it has lost the interface, or the way.  A system older than
 * the headers says nothing of the window, which then looks like a closed one.
 */
#if defined(HAVE_STRUCT_TCP_INFO_TCPI_SND_WND)
static bool stuck(const struct tcp_info *info)
{
    return info->tcpi_notsent_bytes > 0 &&
           (info->tcpi_snd_wnd >= info->tcpi_snd_mss ||
            info->tcpi_snd_wnd >= info->tcpi_notsent_bytes);
}
#elif defined(HAVE_STRUCT_TCP_INFO_TCPI_LAST_ACK_RECV)
static bool stuck(const struct tcp_info *info)
{
    (void)info;
    return false;
}
#endif

/* Has the peer's system taken anything since it was asked?  That an ACK has
 * come says less: one comes with all that the peer repeats when it hears
 * nothing of us.  But a system that has no room takes nothing, and older
 * kernels do not count what is delivered. */
#if defined(HAVE_STRUCT_TCP_INFO_TCPI_SND_WND)
static bool took(const struct weir_link *link, const struct tcp_info *info,
                 size_t size, int64_t since)
{
    if (size < offsetof(struct tcp_info, tcpi_delivered_ce) ||
        info->tcpi_snd_wnd == 0)
        return (int64_t)info->tcpi_last_ack_recv * MS < since;
    return info->tcpi_delivered != link->delivered;
}

static void note_delivered(struct weir_link *link)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(link->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
        link->delivered = info.tcpi_delivered;
}
#else
#if defined(HAVE_STRUCT_TCP_INFO_TCPI_LAST_ACK_RECV)
static bool took(const struct weir_link *link, const struct tcp_info *info,
                 size_t size, int64_t since)
{
    (void)link;
    (void)size;
    return (int64_t)info->tcpi_last_ack_recv * MS < since;
}
#endif

static void note_delivered(struct weir_link *link)
{
    (void)link;
}
#endif

/* Does the peer's system answer ours?  It does when nothing is on its way for
 * long: octets that it has no room for are not on their way, and are asked
 * for by probes, which it answers.  Without TCP it is our own system. */
#if defined(HAVE_STRUCT_TCP_INFO_TCPI_LAST_ACK_RECV)
static bool acknowledged(const struct weir_link *link, int64_t since)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(link->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return true;
    if (info.tcpi_probes >= PROBES_MAX)
        return false;
    return (info.tcpi_unacked == 0 && !stuck(&info)) ||
           took(link, &info, size, since);
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
    if (link->ping_at == 0) {
        link->ping_at = now;
        note_delivered(link);
    }
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

static void ping_if_silent(struct weir_link *link, int64_t now)
{
    if (now - link->heard_at >= options_of(link)->heartbeat * MS)
        ping(link, now);
}

static void heard_nothing(struct weir_link *link, int64_t now)
{
    int64_t ttl = atomic_load(&link->ttl);

    if (ttl > 0 && now - link->ttl_at >= ttl)
        lost(link, ttl);
    else if (pings(link) && link->ping_at == 0)
        ping_if_silent(link, now);
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

/* When to look again: often enough for what we wait for, and for what the peer
 * waits for if we cannot hear it. */
static int64_t interval(struct weir_link *link)
{
    const struct weir_options *options = options_of(link);
    int64_t ns = pings(link) ? options->heartbeat * MS : 0;
    int64_t ttl = atomic_load(&link->ttl) / 4;
    int64_t asked = atomic_load(&link->asked_every) / 4;

    if (ns > 0 && link->ping_at != 0 && timeout(options) < ns)
        ns = timeout(options);
    if (ttl > 0 && (ns == 0 || ttl < ns))
        ns = ttl;
    if (asked > 0 && (ns == 0 || asked < ns))
        ns = asked;
    return ns > 0 && ns < LOOK_MIN * MS ? LOOK_MIN * MS : ns;
}

/* We do not read, or did not for a while, so we do not see what the peer asks,
 * or are late to see it. */
static void show_life(struct weir_link *link, int64_t now)
{
    bool asked = atomic_load(&link->asked_every) > 0;

    if ((asked || pings(link)) && !link->failed &&
        now - link->pinged_at >= interval(link) / 2)
        ping(link, now);
    link->ping_at = 0;
    link->ttl_at = link->heard_at = now;
}

/* The driver word is held. */
static void look(struct weir_link *link)
{
    int64_t now = weir_now();

    if (atomic_exchange(&link->was_paused, false) ||
        atomic_load(&link->paused)) {
        show_life(link, now);
    } else if (atomic_exchange(&link->heard, false)) {
        link->ping_at = 0;
        link->ttl_at = link->heard_at = now;
        stall(link, false);
    } else {
        heard_nothing(link, now);
    }
    keep_promise(link, now);
}

static void arm_in(struct weir_link *link, int64_t ns)
{
    if (ns > 0)
        weir_timer_arm(weir_link_pipe(link)->sock->reactor, &link->beat,
                       weir_now() + ns);
}

static void arm(struct weir_link *link)
{
    arm_in(link, interval(link));
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
        arm_in(link, (int64_t)LOOK_MIN * MS); /* somebody drives it */
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

static void rearm(struct weir_link *link)
{
    weir_reactor_post(weir_link_pipe(link)->sock->reactor, &link->rearm);
}

/* How often does the peer ask when it hears nothing?  It asks less often when
 * it does, and what waited for us to read comes at once. */
static void note_pace(struct weir_link *link, int64_t now)
{
    int64_t every = now - link->asked_at;
    int64_t before = atomic_load(&link->asked_every);

    if (every < (int64_t)ASKED_MIN * MS)
        return;
    if (link->asked_at != 0 && (before == 0 || every < before)) {
        atomic_store(&link->asked_every, every);
        rearm(link);
    }
    link->asked_at = now;
}

int weir_heartbeat_ping(struct weir_link *link, int64_t ttl, const uint8_t *end,
                        const void *context, size_t size)
{
    uint8_t frame[WEIR_ZMTP_PONG_MAX];

    link->ttl_at = weir_now();
    link->asked_end = end;
    link->asked_ttl = ttl;
    note_pace(link, link->ttl_at);
    return weir_link_control(link, frame,
                             weir_zmtp_put_pong(frame, context, size));
}

void weir_heartbeat_read(struct weir_link *link, const uint8_t *end)
{
    int64_t ttl = link->asked_end == end ? link->asked_ttl : 0;

    if (!link->asked_end)
        return;
    link->asked_end = NULL;
    if (atomic_exchange(&link->ttl, ttl) != ttl)
        rearm(link);
}
