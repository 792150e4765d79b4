/*
 * send.c - to the group: messages into packets, at the rate that is allowed.
 *
 * A packet is filled with as many messages as there are, and handed to
 * openpgm, which keeps a copy for repairs.  What is in a packet stays in the
 * host's queue until openpgm has sent it.
 * Above: transport_pgm.c.  Below: apdu.h, rate.h, openpgm.
 */
#include "config.h"

#include "end.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "apdu.h"
#include "rate.h"

enum {
    VIEWS = 256,   /* that are looked at at once */
    REPAIRS = 64,  /* in one turn */
    PACKETS = 512, /* in one turn */
    ALIGN = 16,
    SECOND = 1000000000, /* in ns */
    MS = 1000000,        /* in ns */
    PAUSE = 500000       /* ns: to send several packets after each */
};

enum { REPAIR = WEIR_PGM_INPUT + 1, RATE, OUTPUT }; /* watches */

struct sender {
    struct weir_pgm_link base; /* first */
    struct weir_pgm_packet packet;
    struct weir_pgm_rate rate;

    weir_view views[VIEWS]; /* the host's */
    int n, at;              /* those before `at` are in packets */
    int sent;               /* those before it are sent */
    uint64_t part;          /* octets of views[at] in packets, in the stream */
    bool inside;            /* views[at] goes on with a message */
    bool blocked;           /* the packet waits for the rate or the system */
    int rate_fd;            /* a timer finer than the host's */
    uint8_t memory[];       /* the packet's */
};

static void on_timer(void *arg, unsigned events);
static void on_output(void *arg, unsigned events);

/* --------------------------------------------------------------- filling -- */

/* Tell the host what is sent, and see what there is now. */
static void settle(struct sender *sender)
{
    const struct weir_pgm_link *base = &sender->base;
    const weir_transport_host *more = base->end->more;

    if (sender->sent > 0)
        more->queue_done(base->link, sender->sent);
    sender->at -= sender->sent;
    sender->sent = 0;
    sender->n = more->queue_peek(base->link, sender->views, VIEWS);
}

/* Put what fits of the next view into the packet.  False: the packet is
 * full. */
static bool put_view(struct sender *sender)
{
    const weir_view *view = &sender->views[sender->at];
    bool more = view->flags & WEIR_VIEW_MORE;
    struct weir_pgm_frame frame = {.data = view->data,
                                   .size = view->len,
                                   .sent = sender->part,
                                   .begins = !sender->inside,
                                   .more = more};
    bool whole = view->flags & WEIR_VIEW_COMMAND ||
                 weir_pgm_packet_put(&sender->packet, &frame);

    sender->part = whole ? 0 : frame.sent;
    if (!whole)
        return false;
    if (!(view->flags & WEIR_VIEW_COMMAND))
        sender->inside = more;
    sender->at++;
    return true;
}

/* False: there is nothing to send. */
static bool fill(struct sender *sender)
{
    weir_pgm_packet_start(&sender->packet);
    if (sender->at == sender->n)
        settle(sender);
    if (sender->at == sender->n)
        return false;
    while (sender->at < sender->n && put_view(sender))
        ;
    return true;
}

/* --------------------------------------------------------------- sending -- */

/* The clock is looked at when what it said last is used up. */
static bool may_send(struct sender *sender)
{
    if (weir_pgm_rate_wait(&sender->rate) > 0)
        weir_pgm_rate_look(&sender->rate, weir_pgm_link_now());
    return weir_pgm_rate_wait(&sender->rate) == 0;
}

/* What is not sent in a few milliseconds is not sent any more at high rates,
 * so timers of milliseconds would be too coarse. */
static void wait_for_rate(struct sender *sender)
{
    uint64_t after = weir_pgm_rate_wait(&sender->rate);
    struct itimerspec time = {{0, 0}, {0, 0}};

    if (after < PAUSE)
        after = PAUSE;
    time.it_value.tv_sec = (time_t)(after / SECOND);
    time.it_value.tv_nsec = (long)(after % SECOND);
    if (timerfd_settime(sender->rate_fd, 0, &time, NULL) < 0)
        weir_pgm_link_timer(&sender->base, MS, on_timer);
}

static void wait_for_system(struct sender *sender)
{
    if (weir_pgm_link_watch(&sender->base, OUTPUT, sender->base.session.send_fd,
                            WEIR_WATCH_OUT, on_output, NULL) < 0)
        weir_pgm_link_timer(&sender->base, MS, on_timer);
}

/* Returns openpgm's status. */
static int send_packet(struct sender *sender)
{
    const struct weir_pgm_packet *packet = &sender->packet;
    const struct weir_pgm_session *session = &sender->base.session;
    int status;

    if (weir_pgm_packet_empty(packet))
        return PGM_IO_STATUS_NORMAL;
    if (!may_send(sender))
        return PGM_IO_STATUS_RATE_LIMITED;
    status = pgm_send(session->sock, packet->data, packet->size, NULL);
    if (status == PGM_IO_STATUS_NORMAL)
        weir_pgm_rate_spend(&sender->rate, session->headers + packet->size);
    return status;
}

/* Returns false when it has to wait, or it is over. */
static bool transmit(struct sender *sender)
{
    int status = send_packet(sender);

    sender->blocked = status != PGM_IO_STATUS_NORMAL;
    if (!sender->blocked) {
        sender->sent = sender->at;
        return true;
    }
    if (sender->sent > 0)
        settle(sender);
    if (status == PGM_IO_STATUS_RATE_LIMITED)
        wait_for_rate(sender);
    else if (status == PGM_IO_STATUS_WOULD_BLOCK)
        wait_for_system(sender);
    else
        weir_pgm_link_down(&sender->base, EIO, "openpgm does not send");
    return false;
}

/* After a packet openpgm wants to announce sooner what it has sent. */
static void follow_timer(struct sender *sender)
{
    uint64_t due = weir_pgm_session_due(&sender->base.session);

    weir_pgm_link_timer(&sender->base, due < MS ? MS : due, on_timer);
}

static void pump(struct sender *sender)
{
    int n = 0;

    if (sender->base.over)
        return;
    weir_pgm_rate_look(&sender->rate, weir_pgm_link_now());
    if (sender->blocked && !transmit(sender))
        return;
    while (n < PACKETS && fill(sender) && transmit(sender))
        n++;
    if (n == PACKETS)
        weir_pgm_link_timer(&sender->base, 0, on_timer);
    follow_timer(sender);
}

static void send_ready(void *self)
{
    struct sender *sender = self;

    if (!sender->blocked)
        pump(sender);
}

static void on_rate(void *arg, unsigned events)
{
    struct sender *sender = arg;
    uint64_t times;

    (void)events;
    if (read(sender->rate_fd, &times, sizeof times) == (ssize_t)sizeof times)
        pump(sender);
}

static void on_output(void *arg, unsigned events)
{
    struct sender *sender = arg;

    (void)events;
    weir_pgm_link_unwatch(&sender->base, OUTPUT);
    pump(sender);
}

/* ---------------------------------------------------- requests and timers --
 */

/* Openpgm's timers, requests that have come, and one repair. */
static void hear(struct sender *sender)
{
    struct pgm_msgv_t nothing;
    int status = pgm_recvmsgv(sender->base.session.sock, &nothing, 1,
                              MSG_DONTWAIT | MSG_ERRQUEUE, NULL, NULL);

    if (status == PGM_IO_STATUS_ERROR || status == PGM_IO_STATUS_EOF)
        weir_pgm_link_down(&sender->base, EIO, "openpgm does not hear");
}

static bool has_repairs(const struct sender *sender)
{
    struct pollfd one = {sender->base.session.repair_fd, POLLIN, 0};

    return poll(&one, 1, 0) == 1;
}

/* Openpgm makes one repair each time that it is called, and clears this
 * descriptor when it has none to make. */
static void on_repair(void *arg, unsigned events)
{
    struct sender *sender = arg;

    (void)events;
    for (int i = 0; i < REPAIRS && !sender->base.over; i++) {
        hear(sender);
        if (!has_repairs(sender))
            break;
    }
    follow_timer(sender);
}

/* There may be repairs to make now, which openpgm does not announce. */
static void on_input(void *arg, unsigned events)
{
    struct sender *sender = arg;
    uint64_t one = 1;

    hear(sender);
    if (write(sender->base.session.repair_fd, &one, sizeof one) ==
        (ssize_t)sizeof one)
        on_repair(sender, events);
}

static void on_timer(void *arg, unsigned events)
{
    struct sender *sender = arg;

    (void)events;
    weir_pgm_link_fired(&sender->base);
    if (weir_pgm_session_due(&sender->base.session) == 0)
        hear(sender);
    weir_pgm_link_tell_drops(&sender->base);
    pump(sender);
}

/* ------------------------------------------------------------------- life --
 */

static void recv_resume(void *self)
{
    (void)self; /* nothing is received here */
}

static int attach(void *self, weir_link *to, weir_reactor *reactor,
                  weir_error *error)
{
    struct sender *sender = self;
    struct weir_pgm_link *base = &sender->base;
    int rc = weir_pgm_link_start(base, to, on_input, error);

    (void)reactor; /* the endpoint's */
    if (rc == 0)
        rc = weir_pgm_link_watch(base, REPAIR, base->session.repair_fd,
                                 WEIR_WATCH_IN, on_repair, error);
    if (rc == 0)
        rc = weir_pgm_link_watch(base, RATE, sender->rate_fd, WEIR_WATCH_IN,
                                 on_rate, error);
    if (rc == 0)
        follow_timer(sender);
    return rc;
}

static void close_link(void *self)
{
    struct sender *sender = self;

    weir_pgm_link_fini(&sender->base);
    (void)close(sender->rate_fd);
    free(sender);
}

static const weir_link_ops ops = {
    .size = sizeof ops,
    .attach = attach,
    .send_ready = send_ready,
    .recv_resume = recv_resume,
    .close = close_link,
};

/* openpgm copies packets with instructions that crash unless the copy lies as
 * the original does, relative to multiples of 16; the copy is in memory from
 * malloc, behind openpgm's own header and PGM's. */
static uint8_t *align(uint8_t *memory)
{
    size_t copy = sizeof(struct pgm_sk_buff_t) + sizeof(struct pgm_header) +
                  sizeof(struct pgm_data);

    return memory + (copy - (uintptr_t)memory) % ALIGN;
}

int weir_pgm_sender(struct weir_pgm_end *end)
{
    size_t room = end->session.room;
    struct sender *sender = calloc(1, sizeof *sender + room + ALIGN);

    if (!sender)
        return -ENOMEM;
    sender->rate_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sender->rate_fd < 0) {
        int rc = -errno;

        free(sender);
        return rc;
    }
    sender->packet.data = align(sender->memory);
    sender->packet.room = room;
    weir_pgm_packet_start(&sender->packet);
    weir_pgm_rate_init(&sender->rate,
                       (unsigned)end->plan.tuning.number[WEIR_PGM_RATE]);
    weir_pgm_link_init(&sender->base, end);
    weir_pgm_link_made(&sender->base, &ops, sender);
    return 0;
}
