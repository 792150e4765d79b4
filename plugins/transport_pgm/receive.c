/*
 * receive.c - from the group: packets of many sources into messages.
 *
 * openpgm gives packets of each source in the order of their numbers; where
 * numbers are missing they are lost for good, and the source is left until a
 * packet says where a message begins.  While the host takes no more, the
 * packets stay where openpgm has them.
 * Above: transport_pgm.c.  Below: apdu.h, source.h, openpgm.
 */
#include "config.h"

#include "end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apdu.h"
#include "source.h"

enum {
    BATCH = 64,         /* packets that openpgm gives at once */
    VIEWS = 128,        /* that the host is given at once */
    ROUNDS = 8,         /* batches in one turn */
    FIRST_ROOM = 65536, /* octets for a frame whose end is not known to come */
    MS = 1000000        /* in ns */
};

enum { INPUT = WEIR_PGM_INPUT, PENDING }; /* watches */

struct receiver {
    struct weir_pgm_link base; /* first */
    struct weir_pgm_sources sources;

    struct pgm_msgv_t packets[BATCH];
    int n, at;                 /* packets before `at` are decoded */
    struct weir_pgm_apdu apdu; /* what is left of packets[at] */
    bool open;                 /* packets[at] is half decoded */
    bool broken;               /* and the rest of it means nothing */

    weir_view views[VIEWS];         /* for the host, of one source */
    int n_views, given;             /* those before `given` are the host's */
    struct weir_pgm_source *source; /* whose they are */
    bool waiting;                   /* for recv_resume */
    uint64_t owes_at; /* ns, when losses are told; 0 = there are none */
};

static void on_timer(void *arg, unsigned events);
static void on_input(void *arg, unsigned events);

static const weir_host *host_of(const struct receiver *receiver)
{
    return receiver->base.end->plan.host;
}

/* --------------------------------------------------------- to the host -- */

/* Hand over what is decoded.  False: the host takes no more now. */
static bool give(struct receiver *receiver)
{
    const struct weir_pgm_link *base = &receiver->base;
    int left = receiver->n_views - receiver->given;

    if (left > 0)
        receiver->given +=
            base->end->more->push(base->link, receiver->source->id,
                                  receiver->views + receiver->given, left);
    if (receiver->given < receiver->n_views) {
        receiver->waiting = true;
        return false;
    }
    receiver->given = receiver->n_views = 0;
    return true;
}

/* There are no views of the source now. */
static void report_gap(struct receiver *receiver,
                       struct weir_pgm_source *source, uint32_t lost)
{
    const struct weir_pgm_link *base = &receiver->base;

    weir_pgm_source_leave(source, host_of(receiver));
    base->end->more->gap(base->link, source->id, lost);
}

/* -------------------------------------------------------------- frames -- */

/* Memory for a frame grows with what has come of it, not with what it says
 * that it will be. */
static int make_room(struct receiver *receiver, struct weir_pgm_source *source,
                     const struct weir_pgm_piece *piece)
{
    const weir_host *host = host_of(receiver);
    size_t need = source->frame.len + piece->size, room = source->room * 2;
    weir_view larger;

    if (need <= source->room)
        return 0;
    if (room < FIRST_ROOM)
        room = FIRST_ROOM;
    if (room < need)
        room = need;
    if (room > piece->frame)
        room = (size_t)piece->frame;
    if (host->view_alloc(&larger, room) < 0)
        return -ENOMEM;
    if (source->frame.len > 0)
        memcpy(larger.data, source->frame.data, source->frame.len);
    larger.len = source->frame.len;
    if (source->frame.owner)
        host->view_free(&source->frame, 1);
    source->frame = larger;
    source->room = room;
    return 0;
}

static void add_view(struct receiver *receiver, const weir_view *view,
                     bool more)
{
    weir_view *to = &receiver->views[receiver->n_views++];

    *to = *view;
    to->flags = more ? WEIR_VIEW_MORE : 0;
}

/* A frame that is whole in its packet is lent, another is given. */
static int take_piece(struct receiver *receiver, struct weir_pgm_source *source,
                      const struct weir_pgm_piece *piece)
{
    weir_view whole = {.data = (void *)(uintptr_t)piece->data,
                       .len = piece->size};

    if (piece->first && piece->last) {
        add_view(receiver, &whole, piece->more);
        return 0;
    }
    if (make_room(receiver, source, piece) < 0)
        return -ENOMEM;
    memcpy((uint8_t *)source->frame.data + source->frame.len, piece->data,
           piece->size);
    source->frame.len += piece->size;
    if (!piece->last)
        return 0;
    add_view(receiver, &source->frame, piece->more);
    memset(&source->frame, 0, sizeof source->frame);
    source->room = 0;
    return 0;
}

static bool too_large(const struct receiver *receiver,
                      const struct weir_pgm_piece *piece)
{
    uint64_t most = receiver->base.end->plan.tuning.max_message;

    return (most && piece->frame > most) || piece->frame > SIZE_MAX / 2;
}

/* -------------------------------------------------------------- packets -- */

/* Decode what is left of the packet.  False: the host takes no more now, and
 * the rest is for later. */
static bool decode(struct receiver *receiver, struct weir_pgm_source *source)
{
    struct weir_pgm_piece piece;
    int rc = 1;

    while (rc > 0) {
        if (receiver->n_views == VIEWS && !give(receiver))
            return false;
        rc = weir_pgm_decode(&source->decoder, &receiver->apdu, &piece);
        if (rc > 0 && too_large(receiver, &piece))
            rc = -EMSGSIZE;
        if (rc > 0)
            rc = take_piece(receiver, source, &piece) < 0 ? -ENOMEM : 1;
    }
    receiver->broken = rc < 0;
    return true;
}

/* Wrong octets cost the message that they are in. */
static bool end_packet(struct receiver *receiver)
{
    if (receiver->broken) {
        if (!give(receiver))
            return false;
        report_gap(receiver, receiver->source, 1);
    }
    receiver->broken = receiver->open = false;
    receiver->at++;
    return true;
}

/* What was told already is not told again. */
static void lose(struct receiver *receiver, struct weir_pgm_source *source,
                 uint32_t lost)
{
    lost = weir_pgm_losses_gap(&source->losses, lost, weir_pgm_link_now());
    if (lost > 0)
        report_gap(receiver, source, lost);
    else
        weir_pgm_source_leave(source, host_of(receiver));
}

/* The number of a packet says what is lost before it. */
static void check_number(struct receiver *receiver,
                         struct weir_pgm_source *source, uint32_t number)
{
    uint32_t lost = source->numbered ? number - source->next : 0;

    source->numbered = true;
    source->next = number + 1;
    if (lost > INT32_MAX)
        lost = 1; /* openpgm has forgotten it in between: nobody knows */
    if (lost > 0)
        lose(receiver, source, lost);
}

/* Begin with the first message that begins in the packet. */
static bool join(struct weir_pgm_source *source, struct weir_pgm_apdu *apdu)
{
    if (!source->joined && apdu->offset != WEIR_PGM_NO_MESSAGE) {
        apdu->at += apdu->offset;
        source->joined = true;
    }
    return source->joined;
}

/* PGM's session identifier as a number, its first octet the highest. */
static uint64_t id_of(const pgm_tsi_t *tsi)
{
    uint8_t octets[sizeof *tsi];
    uint64_t id = 0;

    memcpy(octets, tsi, sizeof octets);
    for (size_t i = 0; i < sizeof octets; i++)
        id = id << 8 | octets[i];
    return id;
}

static struct weir_pgm_source *find_source(struct receiver *receiver,
                                           const struct pgm_sk_buff_t *skb)
{
    const struct weir_pgm_link *base = &receiver->base;
    uint64_t gone;
    struct weir_pgm_source *source = weir_pgm_source_get(
        &receiver->sources, host_of(receiver), id_of(&skb->tsi), &gone);

    if (gone)
        base->end->more->gap(base->link, gone, 1);
    return source;
}

/* Look at a packet for the first time: whose it is, what is lost before it,
 * whether it can be used.  False: the host takes no more now. */
static bool open_packet(struct receiver *receiver,
                        const struct pgm_sk_buff_t *skb)
{
    struct weir_pgm_source *source = find_source(receiver, skb);
    bool goes_on = source && source == receiver->source && source->numbered &&
                   source->next == skb->sequence;

    if (!goes_on && !give(receiver))
        return false;
    receiver->source = source;
    receiver->open = true;
    if (!source)
        return true; /* there is no memory for it */
    check_number(receiver, source, skb->sequence);
    receiver->broken =
        weir_pgm_apdu_open(&receiver->apdu, skb->data, skb->len) < 0;
    return true;
}

/* Decode a packet, or what is left of it. */
static bool take_packet(struct receiver *receiver)
{
    const struct pgm_msgv_t *packet = &receiver->packets[receiver->at];
    struct weir_pgm_source *source;

    if (!receiver->open && !open_packet(receiver, packet->msgv_skb[0]))
        return false;
    source = receiver->source;
    if (source && !receiver->broken && join(source, &receiver->apdu) &&
        !decode(receiver, source))
        return false;
    return end_packet(receiver);
}

/* Decode all packets that openpgm has given.  False: the host takes no more
 * now. */
static bool decode_all(struct receiver *receiver)
{
    while (receiver->at < receiver->n)
        if (!take_packet(receiver))
            return false;
    return give(receiver);
}

/* --------------------------------------------------------------- losses -- */

/* openpgm tells how many packets of a source it has given up, perhaps before
 * all packets in front of them are here.  Where they are missing will show in
 * the numbers; if nothing comes any more, it is told after a while. */
static void note_loss(struct receiver *receiver, struct pgm_sk_buff_t *notice)
{
    struct weir_pgm_source *source = find_source(receiver, notice);

    if (source) {
        weir_pgm_losses_announce(&source->losses, notice->sequence,
                                 weir_pgm_link_now());
        receiver->owes_at = weir_pgm_link_now() + WEIR_PGM_LATE;
        weir_pgm_link_timer(&receiver->base, WEIR_PGM_LATE, on_timer);
    }
    pgm_free_skb(notice);
}

static void tell_losses(struct receiver *receiver)
{
    struct weir_pgm_source *source = receiver->sources.first;

    if (!receiver->owes_at || receiver->waiting)
        return;
    if (weir_pgm_link_now() < receiver->owes_at) {
        weir_pgm_link_timer(&receiver->base, MS, on_timer);
        return;
    }
    for (; source; source = source->after) {
        uint32_t lost = weir_pgm_losses_tell(&source->losses);

        if (lost > 0)
            report_gap(receiver, source, lost);
    }
    receiver->owes_at = 0;
}

/* -------------------------------------------------------------- reading -- */

/* One batch of packets.  Returns openpgm's status. */
static int read_batch(struct receiver *receiver)
{
    int status;

    for (int i = 0; i < BATCH; i++)
        receiver->packets[i].msgv_len = 0;
    receiver->n = receiver->at = 0;
    status = pgm_recvmsgv(receiver->base.session.sock, receiver->packets, BATCH,
                          MSG_DONTWAIT | MSG_ERRQUEUE, NULL, NULL);
    if (status == PGM_IO_STATUS_RESET)
        note_loss(receiver, receiver->packets[0].msgv_skb[0]);
    if (status != PGM_IO_STATUS_NORMAL)
        return status;
    while (receiver->n < BATCH && receiver->packets[receiver->n].msgv_len > 0)
        receiver->n++;
    return status;
}

static void follow_timer(struct receiver *receiver)
{
    uint64_t due = weir_pgm_session_due(&receiver->base.session);

    if (!receiver->waiting)
        weir_pgm_link_timer(&receiver->base, due < MS ? MS : due, on_timer);
}

/* A full buffer must not be reported all the time while the host waits. */
static void watch(struct receiver *receiver)
{
    struct weir_pgm_link *base = &receiver->base;
    bool wanted = !receiver->waiting && !base->over;

    if (!wanted) {
        weir_pgm_link_unwatch(base, INPUT);
        weir_pgm_link_unwatch(base, PENDING);
    } else if (weir_pgm_link_watch(base, INPUT, base->session.recv_fd,
                                   WEIR_WATCH_IN, on_input, NULL) < 0 ||
               weir_pgm_link_watch(base, PENDING, base->session.pending_fd,
                                   WEIR_WATCH_IN, on_input, NULL) < 0) {
        weir_pgm_link_down(base, ENOMEM, "no memory for a watch");
    }
}

static void receive(struct receiver *receiver)
{
    int status = PGM_IO_STATUS_NORMAL;

    for (int i = 0;
         i < ROUNDS && decode_all(receiver) &&
         (status == PGM_IO_STATUS_NORMAL || status == PGM_IO_STATUS_RESET);
         i++)
        status = read_batch(receiver);
    if (status == PGM_IO_STATUS_ERROR || status == PGM_IO_STATUS_EOF)
        weir_pgm_link_down(&receiver->base, EIO, "openpgm does not receive");
    if (receiver->at < receiver->n && !receiver->waiting)
        (void)decode_all(receiver);
    tell_losses(receiver);
    watch(receiver);
    follow_timer(receiver);
}

static void on_input(void *arg, unsigned events)
{
    (void)events;
    receive(arg);
}

static void on_timer(void *arg, unsigned events)
{
    struct receiver *receiver = arg;

    (void)events;
    weir_pgm_link_fired(&receiver->base);
    weir_pgm_link_tell_drops(&receiver->base);
    if (!receiver->waiting)
        receive(receiver);
}

static void recv_resume(void *self)
{
    struct receiver *receiver = self;

    receiver->waiting = false;
    receive(receiver);
}

/* ------------------------------------------------------------------- life --
 */

static void send_ready(void *self)
{
    (void)self; /* the host drops what a receiver sends */
}

static int attach(void *self, weir_link *to, weir_reactor *reactor,
                  weir_error *error)
{
    struct receiver *receiver = self;
    struct weir_pgm_link *base = &receiver->base;
    int rc = weir_pgm_link_start(base, to, on_input, error);

    (void)reactor; /* the endpoint's */
    if (rc == 0)
        rc = weir_pgm_link_watch(base, PENDING, base->session.pending_fd,
                                 WEIR_WATCH_IN, on_input, error);
    if (rc == 0)
        follow_timer(receiver);
    return rc;
}

static void close_link(void *self)
{
    struct receiver *receiver = self;
    const weir_host *host = host_of(receiver);

    for (int i = receiver->given; i < receiver->n_views; i++)
        if (receiver->views[i].owner)
            host->view_free(&receiver->views[i], 1);
    weir_pgm_sources_fini(&receiver->sources, host);
    weir_pgm_link_fini(&receiver->base);
    free(receiver);
}

static const weir_link_ops ops = {
    .size = sizeof ops,
    .attach = attach,
    .send_ready = send_ready,
    .recv_resume = recv_resume,
    .close = close_link,
};

int weir_pgm_receiver(struct weir_pgm_end *end)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);

    if (!receiver)
        return -ENOMEM;
    weir_pgm_link_init(&receiver->base, end);
    weir_pgm_link_made(&receiver->base, &ops, receiver);
    return 0;
}
