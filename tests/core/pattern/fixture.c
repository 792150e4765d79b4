/*
 * fixture.c - see fixture.h.  What the patterns call of the core is here, so
 * that the linker does not take it from there.
 */
#include "config.h"

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"
#include "endpoint.h"
#include "message.h"
#include "registry.h"
#include "splice.h"

enum { TEXT = 4096, ENDPOINTS = 64 };

struct fx fx;

static struct weir_sock sock;
static struct weir_ep binder, dialers[ENDPOINTS];
static uint32_t n_dialers, slots;

/* ---- in place of the core ---- */

static void within(bool begin)
{
    if (fx.within)
        fx.within(begin);
}

void weir_sock_wake(struct weir_sock *of, enum weir_wait what)
{
    assert_ptr_equal(of, &sock);
    fx.wakes[what]++;
}

void weir_sock_later(struct weir_sock *of)
{
    assert_ptr_equal(of, &sock);
    assert_non_null(of->pattern->tend);
    fx.later = true;
}

void weir_sock_count(struct weir_sock *of, int change)
{
    assert_ptr_equal(of, &sock);
    fx.peers += change;
    assert_true(fx.peers >= 0);
}

void fx_bury(struct weir_pipe *pipe)
{
    if (pipe->up) {
        pipe->up = false;
        if (sock.pattern->down)
            sock.pattern->down(&sock, pipe);
    }
    if (pipe->attached)
        sock.pattern->detach(&sock, pipe);
    if (pipe->ep->pipe == pipe)
        pipe->ep->pipe = NULL;
    weir_list_remove(&pipe->all);
    assert_true(weir_list_empty(&pipe->in_turn));
    assert_true(weir_list_empty(&pipe->out_turn));
    assert_null(pipe->pattern);
    weir_pipe_free(pipe);
    fx.gone++;
}

void weir_sock_dry(struct weir_sock *of, struct weir_pipe *pipe)
{
    assert_ptr_equal(of, &sock);
    assert_false(weir_pipe_ready(pipe));
    if (pipe->dying)
        fx_bury(pipe);
}

void weir_sock_nudge(struct weir_sock *of)
{
    struct weir_pipe *pipe = atomic_exchange(&of->mail, NULL);

    while (pipe) {
        struct weir_pipe *next = pipe->mail_next;
        uint32_t bits = atomic_exchange(&pipe->mail, 0);

        within(true);
        if (bits & WEIR_MAIL_BEYOND)
            weir_pipe_trim(pipe);
        if (bits & WEIR_MAIL_ROOM && of->pattern->writable)
            of->pattern->writable(of, pipe);
        if (bits & WEIR_MAIL_READABLE)
            of->pattern->readable(of, pipe);
        within(false);
        pipe = next;
    }
}

void weir_link_init(struct weir_link *link)
{
    memset(link, 0, sizeof *link);
}

void weir_link_fini(struct weir_link *link)
{
    (void)link;
}

bool weir_link_hold(struct weir_link *link)
{
    uint32_t free_word = WEIR_DRIVER_FREE;

    return atomic_compare_exchange_strong(&link->driver, &free_word,
                                          WEIR_DRIVER_HELD);
}

bool weir_link_let_go(struct weir_link *link)
{
    assert_int_equal(atomic_exchange(&link->driver, WEIR_DRIVER_FREE),
                     WEIR_DRIVER_HELD);
    return true;
}

bool weir_link_post_turn(struct weir_link *link)
{
    (void)link;
    return false;
}

void weir_sock_let_go(struct weir_sock *of, struct weir_pipe *pipe)
{
    assert_ptr_equal(of, &sock);
    (void)weir_link_let_go(&pipe->link);
}

void weir_link_condemn(struct weir_link *link, int code)
{
    fx.refused = WEIR_CONTAINER(link, struct weir_pipe, link);
    fx.code = code;
}

void weir_splice_refuse(struct weir_pipe *pipe, int code)
{
    fx.refused = pipe;
    fx.code = code;
}

int weir_pipe_add_swap(struct weir_pipe *pipe)
{
    (void)pipe;
    return 0;
}

int weir_registry_store(const char *name, const weir_store_ops **ops,
                        const char **plugin)
{
    (void)name;
    (void)ops;
    (void)plugin;
    return -ENOENT;
}

bool weir_direct_begin(struct weir_pipe *pipe, weir_frame *frame)
{
    (void)pipe;
    (void)frame;
    return false;
}

void weir_direct_end(struct weir_pipe *pipe, weir_frame *frame, bool put)
{
    (void)pipe;
    (void)frame;
    (void)put;
}

void weir_splice_leave(struct weir_pipe *pipe)
{
    (void)pipe;
}

void weir_splice_trim(struct weir_pipe *pipe)
{
    (void)pipe;
}

bool weir_splice_joined(const struct weir_pipe *pipe)
{
    (void)pipe;
    return true;
}

/* ---- the socket ---- */

static void make_ep(struct weir_ep *ep, bool binds)
{
    memset(ep, 0, sizeof *ep);
    ep->sock = &sock;
    ep->binder = binds;
    ep->options = sock.options;
}

void fx_open(enum weir_type type)
{
    memset(&sock, 0, sizeof sock);
    fx = (struct fx){.within = fx.within};
    sock.pattern = weir_pattern_by_type(type);
    assert_non_null(sock.pattern);
    assert_int_equal(sock.pattern->type, type);
    weir_options_init(&sock.options, type);
    weir_list_init(&sock.pipes);
    weir_list_init(&sock.in_turn);
    weir_list_init(&sock.out_turn);
    sock.pool = weir_pool_new(1 << 20);
    sock.state_memory = calloc(1, sock.pattern->state_size + 1);
    make_ep(&binder, true);
    n_dialers = slots = 0;
    make_ep(&dialers[0], false);
    fx.sock = &sock;
    fx.binder = &binder.options;
    fx.dialer = &dialers[0].options;
    if (sock.pattern->open)
        assert_int_equal(sock.pattern->open(&sock), 0);
}

void fx_close(void)
{
    struct weir_list *node;

    fx.within = NULL;
    while ((node = weir_list_first(&sock.pipes)) != NULL)
        fx_bury(WEIR_CONTAINER(node, struct weir_pipe, all));
    assert_int_equal(fx.peers, 0);
    assert_int_equal(sock.in_splices, 0);
    if (sock.pattern->close)
        sock.pattern->close(&sock);
    free(sock.state_memory);
    weir_pool_close(sock.pool);
}

/* ---- peers ---- */

static struct weir_pipe *new_pipe(struct weir_ep *ep)
{
    struct weir_pipe *pipe = weir_pipe_new(&sock, ep);

    assert_non_null(pipe);
    pipe->slot = slots++;
    weir_list_append(&sock.pipes, &pipe->all);
    return pipe;
}

static int attach(struct weir_pipe *pipe)
{
    int r;

    within(true);
    r = pipe->attached ? 0 : sock.pattern->attach(&sock, pipe);
    within(false);
    pipe->attached = r >= 0;
    return r;
}

static int bring_up(struct weir_pipe *pipe, const char *id)
{
    int r = attach(pipe);

    pipe->id_size = (uint8_t)(id ? strlen(id) : 0);
    if (id)
        memcpy(pipe->id, id, pipe->id_size);
    pipe->up = r >= 0;
    within(true);
    if (r >= 0 && sock.pattern->up)
        r = sock.pattern->up(&sock, pipe);
    within(false);
    if (r < 0)
        pipe->up = false;
    return r;
}

struct weir_pipe *fx_accept(const char *id)
{
    struct weir_pipe *pipe = new_pipe(&binder);

    fx.code = -bring_up(pipe, id);
    if (pipe->up)
        return pipe;
    fx_bury(pipe);
    return NULL;
}

struct weir_pipe *fx_connect(void)
{
    struct weir_ep *ep = &dialers[n_dialers++];
    struct weir_pipe *pipe = new_pipe(ep);

    assert_in_range(n_dialers, 0, ENDPOINTS - 1);
    make_ep(&dialers[n_dialers], false);
    fx.dialer = &dialers[n_dialers].options;
    ep->pipe = pipe;
    if (sock.pattern->abilities & WEIR_PATTERN_LATE_QUEUE ||
        ep->options.immediate)
        return pipe;
    fx.code = -attach(pipe);
    if (pipe->attached)
        return pipe;
    fx_bury(pipe);
    return NULL;
}

int fx_reach(struct weir_pipe *pipe, const char *id)
{
    return bring_up(pipe, id);
}

void fx_lose(struct weir_pipe *pipe)
{
    bool lasts = pipe->ep->pipe == pipe && !pipe->ep->options.immediate;

    (void)weir_queue_cut(pipe->out);
    (void)weir_queue_rollback(pipe->in);
    pipe->up = false;
    within(true);
    if (sock.pattern->down)
        sock.pattern->down(&sock, pipe);
    within(false);
    if (lasts)
        return;
    pipe->dying = true;
    if (!weir_pipe_ready(pipe))
        fx_bury(pipe);
}

/* ---- text and octets ---- */

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* The octet at *text, which goes to its last character. */
static uint8_t octet_at(const char **text)
{
    const char *at = *text;

    if (*at == '~' || *at == '^')
        return *at == '^';
    if (*at != '%')
        return (uint8_t)*at;
    *text += 2;
    return (uint8_t)(digit(at[1]) * 16 + digit(at[2]));
}

static char *put_octet(char *at, uint8_t octet)
{
    if (octet < 2)
        *at++ = octet ? '^' : '~';
    else if (octet > ' ' - 1 && octet < 127 && !strchr("|!^~%", octet))
        *at++ = (char)octet;
    else
        at += sprintf(at, "%%%02X", octet);
    return at;
}

/* Octets of the next frame of a text; *text goes behind it. */
static size_t next_frame(const char **text, uint8_t *octets, bool *more)
{
    size_t size = 0;

    for (; **text && **text != '|'; ++*text)
        octets[size++] = octet_at(text);
    *more = **text == '|';
    *text += *more;
    return size;
}

static void message_of(weir_message *message, const char *text)
{
    uint8_t octets[TEXT];
    bool more = true;

    weir_message_init(message);
    while (more) {
        size_t size = next_frame(&text, octets, &more);

        assert_int_equal(weir_message_add(message, octets, size), 0);
    }
}

static char *put_text(char *at, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at = put_octet(at, data[i]);
    *at = '\0';
    return at;
}

/* ---- the peer ---- */

static int publish(void *arg, const uint8_t *body, size_t size)
{
    (void)arg;
    (void)body;
    (void)size;
    return 1;
}

/* As a link does: octets first, then what they mean. */
static int receive(struct weir_pipe *pipe, const uint8_t *octets, size_t size)
{
    static const struct weir_queue_parser parser = {.command = publish};
    struct iovec parts[2];

    assert_true(weir_queue_space(pipe->in, parts, false) > 0);
    assert_true(parts[0].iov_len >= size);
    memcpy(parts[0].iov_base, octets, size);
    return weir_queue_filled(pipe->in, size, &parser);
}

static size_t pack_command(uint8_t *at, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t name = (size_t)(colon - text), size = 1 + name;
    uint8_t body[TEXT];

    body[0] = (uint8_t)name;
    memcpy(body + 1, text, name);
    while (*++colon)
        body[size++] = octet_at(&colon);
    name = weir_queue_head(at, size, WEIR_FRAME_COMMAND);
    memcpy(at + name, body, size);
    return name + size;
}

/* Without its last frame, if it is not whole. */
static size_t pack(uint8_t *at, const char *text, bool whole)
{
    uint8_t octets[TEXT], *begin = at;
    bool more = true;

    while (more) {
        size_t size = next_frame(&text, octets, &more);

        if (!more && !whole)
            break;
        at += weir_queue_head(at, size, more ? WEIR_FRAME_MORE : 0);
        memcpy(at, octets, size);
        at += size;
    }
    return (size_t)(at - begin);
}

void fx_feed(struct weir_pipe *pipe, const char *text)
{
    uint8_t octets[2 * TEXT];
    size_t size = *text == '!' ? pack_command(octets, text + 1)
                               : pack(octets, text, true);

    assert_int_equal(receive(pipe, octets, size), 1);
}

void fx_feed_part(struct weir_pipe *pipe, const char *text)
{
    uint8_t octets[2 * TEXT];

    assert_int_equal(receive(pipe, octets, pack(octets, text, false)), 0);
}

static char *put_sent(char *at, const uint8_t *data, size_t size,
                      unsigned flags)
{
    if (flags & WEIR_FRAME_COMMAND) {
        *at++ = '!';
        at = put_text(at, data + 1, data[0]);
        *at++ = ':';
        return put_text(at, data + 1 + data[0], size - 1 - data[0]);
    }
    at = put_text(at, data, size);
    if (flags & WEIR_FRAME_MORE)
        *at++ = '|';
    return at;
}

const char *fx_sent(struct weir_pipe *pipe)
{
    static char text[TEXT];
    const uint8_t *data;
    char *at = text;
    unsigned flags = 0;
    size_t size;

    if (!weir_queue_peek(pipe->out, &data, &size, &flags))
        return "none";
    do {
        at = put_sent(at, data, size, flags);
        weir_queue_pass(pipe->out);
    } while (flags & WEIR_FRAME_MORE &&
             weir_queue_peek(pipe->out, &data, &size, &flags));
    return text;
}

int fx_drain(struct weir_pipe *pipe)
{
    int n = 0;

    while (weir_queue_skip(pipe->out))
        n++;
    (void)weir_queue_ready(pipe->out);
    return n;
}

/* ---- the application ---- */

/* Otherwise can_send speaks for any message, not for this one. */
static bool is_exact(weir_message *message)
{
    return !sock.options.mandatory && !sock.options.nodrop &&
           weir_frame_size(&message->first) < TEXT;
}

static int send_message(weir_message *message)
{
    bool can;
    int r;

    within(true);
    can = sock.pattern->can_send(&sock);
    r = sock.pattern->send(&sock, message);
    within(false);
    if (is_exact(message) && (r >= 0 || r == -EAGAIN))
        assert_int_equal(can, r >= 0);
    weir_message_fini(message);
    return r > 0 ? 0 : r;
}

int fx_send(const char *text)
{
    weir_message message;

    message_of(&message, text);
    return send_message(&message);
}

int fx_send_long(size_t size)
{
    weir_message message;
    weir_frame frame;

    weir_message_init(&message);
    assert_int_equal(weir_frame_alloc(&frame, size), 0);
    memset(weir_frame_data(&frame), 'x', size);
    assert_int_equal(weir_message_push(&message, &frame), 0);
    return send_message(&message);
}

static const char *name_of(int r)
{
    switch (r) {
    case -EAGAIN:
        return "again";
    case -WEIR_ESTATE:
        return "state";
    case -ENOMEM:
        return "memory";
    default:
        return "error";
    }
}

static void put_message(char *at, weir_message *message)
{
    for (uint32_t i = 0; i < weir_message_count(message); i++) {
        weir_frame *frame = weir_message_frame(message, i);

        if (i > 0)
            *at++ = '|';
        at = put_text(at, weir_frame_data(frame), weir_frame_size(frame));
    }
}

const char *fx_recv(void)
{
    static char text[TEXT];
    weir_message message;
    bool can;
    int r;

    weir_message_init(&message);
    within(true);
    can = sock.pattern->can_recv(&sock);
    r = sock.pattern->recv(&sock, &message);
    within(false);
    assert_int_equal(can, r >= 0 || r == -ENOMEM);
    if (r >= 0)
        put_message(text, &message);
    weir_message_fini(&message);
    return r >= 0 ? text : name_of(r);
}

int fx_subscribe(const char *topic, bool on)
{
    uint8_t octets[TEXT];
    bool more;
    size_t size = next_frame(&topic, octets, &more);

    int r;

    assert_false(more);
    within(true);
    r = sock.pattern->subscribe(&sock, octets, size, on);
    within(false);
    return r;
}

bool fx_tend(void)
{
    if (!fx.later)
        return false;
    fx.later = false;
    within(true);
    if (sock.pattern->tend(&sock))
        fx.later = true;
    within(false);
    return true;
}

void fx_option(void)
{
    if (sock.pattern->option)
        sock.pattern->option(&sock);
}

uint64_t fx_accepted(void)
{
    struct weir_list *node, *after;
    uint64_t sum = sock.gone.accepted, put, taken, octets;

    WEIR_LIST_EACH(node, after, &sock.pipes)
    {
        struct weir_pipe *pipe = WEIR_CONTAINER(node, struct weir_pipe, all);

        weir_queue_counts(pipe->out, &put, &taken, &octets);
        sum += put + pipe->tally.refused_put;
    }
    return sum;
}

uint64_t fx_delivered(struct weir_pipe *pipe)
{
    uint64_t put, taken, octets;

    weir_queue_counts(pipe->in, &put, &taken, &octets);
    for (int i = 0; i < WEIR_DROPS; i++)
        taken -= pipe->tally.recv_dropped[i];
    return taken;
}
