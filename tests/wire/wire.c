/*
 * wire.c - see wire.h.
 */
#include "config.h"

#include "tests/wire/wire.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

struct wire wire_bind(const char *pattern)
{
    struct wire wire = {.context = new_context(1), .listener = -1};

    wire.socket = new_socket(wire.context, pattern);
    bind_to(wire.socket, "tcp://127.0.0.1:*", wire.url);
    return wire;
}

int wire_call(struct wire *wire, int minor, const char *type)
{
    uint64_t before = stats_of(wire->socket).connects;
    int fd = raw_connect(wire->url);

    assert_true(fd >= 0);
    raw_handshake(fd, minor, type);
    AWAIT(wire->socket, connects, before + 1);
    return fd;
}

struct wire wire_raw(const char *pattern)
{
    struct wire wire = {.context = new_context(1)};

    wire.socket = new_socket(wire.context, pattern);
    wire.listener = raw_listen(wire.url);
    set_option(wire.socket, "reconnect", "10");
    return wire;
}

void wire_dial(struct wire *wire)
{
    connect_to(wire->socket, wire->url);
}

int wire_answer(struct wire *wire, int minor, const char *type)
{
    uint64_t before = stats_of(wire->socket).connects;
    int fd = raw_accept(wire->listener);

    raw_handshake(fd, minor, type);
    AWAIT(wire->socket, connects, before + 1);
    return fd;
}

void wire_end(struct wire *wire)
{
    weir_stats stats = stats_of(wire->socket);

    assert_true(adds_up(&stats));
    if (wire->listener >= 0)
        close(wire->listener);
    close_socket(wire->socket);
    close_context(wire->context);
}

size_t wire_hello(uint8_t *out, int minor, const char *type, const void *id,
                  size_t size)
{
    uint8_t *ready = out + GREETING, *at;
    size_t plain = make_ready(ready, type), body;

    make_greeting(out, minor, "NULL", false);
    if (!id)
        return GREETING + plain;
    /* In the long form, since an identity can be long. */
    memmove(ready + 9, ready + 2, plain - 2);
    at = ready + 9 + plain - 2;
    memcpy(at, "\10Identity\0\0", 11);
    at[11] = (uint8_t)(size >> 8);
    at[12] = (uint8_t)size;
    memcpy(at + 13, id, size);
    body = plain - 2 + 13 + size;
    memset(ready + 1, 0, 8);
    ready[0] = RAW_COMMAND | RAW_LONG;
    ready[7] = (uint8_t)(body >> 8);
    ready[8] = (uint8_t)body;
    return GREETING + 9 + body;
}

/* ---- texts ---- */

/* One frame of a text, up to '|' or its end. */
static size_t frame_of(const char **text, uint8_t *out)
{
    size_t size = 0;

    for (; **text && **text != '|'; ++*text)
        out[size++] = (uint8_t)(**text == '^' ? 1 : **text == '~' ? 0 : **text);
    return size;
}

static size_t add_text(char *text, const uint8_t *data, size_t size)
{
    assert_true(size < TEXT - 1);
    for (size_t i = 0; i < size; i++)
        text[i] = data[i] == 1 ? '^' : data[i] == 0 ? '~' : (char)data[i];
    text[size] = '\0';
    return size;
}

void wire_say(struct wire *wire, const char *text)
{
    weir_message message;
    uint8_t data[TEXT];
    size_t size;

    weir_message_init(&message);
    do {
        size = frame_of(&text, data);
        assert_int_equal(weir_message_add(&message, data, size), 0);
    } while (*text++ == '|');
    assert_int_equal(weir_send_message(wire->socket, &message, SOON), 0);
}

void wire_hear(struct wire *wire, const char *text)
{
    weir_message message;
    char got[TEXT] = "";
    size_t at = 0;

    weir_message_init(&message);
    assert_int_equal(weir_recv_message(wire->socket, &message, SOON), 0);
    for (uint32_t i = 0; i < weir_message_count(&message); i++) {
        weir_frame *frame = weir_message_frame(&message, i);

        if (i > 0)
            got[at++] = '|';
        at +=
            add_text(got + at, weir_frame_data(frame), weir_frame_size(frame));
    }
    weir_message_fini(&message);
    assert_string_equal(got, text);
}

static void put_frame(int fd, uint8_t flags, const uint8_t *data, size_t size)
{
    uint8_t head[9] = {(uint8_t)(flags | RAW_LONG)};

    if (size <= 255) {
        raw_send(fd, flags, data, size);
        return;
    }
    head[7] = (uint8_t)(size >> 8);
    head[8] = (uint8_t)size;
    raw_write(fd, head, sizeof(head));
    raw_write(fd, data, size);
}

static void put_command(int fd, const char *text)
{
    const char *colon = strchr(text, ':');
    uint8_t data[TEXT];

    data[0] = (uint8_t)(colon - text);
    memcpy(data + 1, text, data[0]);
    colon++;
    put_frame(fd, RAW_COMMAND, data,
              1 + data[0] + frame_of(&colon, data + 1 + data[0]));
}

void wire_put(int fd, const char *text)
{
    uint8_t data[TEXT];
    size_t size;

    if (*text == '!') {
        put_command(fd, text + 1);
        return;
    }
    do {
        size = frame_of(&text, data);
        put_frame(fd, *text == '|' ? RAW_MORE : 0, data, size);
    } while (*text++ == '|');
}

/* "!NAME:data" of a command's body. */
static void show_command(char *text, const uint8_t *body, int size)
{
    assert_true(size > 0 && body[0] < size);
    text[0] = '!';
    memcpy(text + 1, body + 1, body[0]);
    text[1 + body[0]] = ':';
    add_text(text + 2 + body[0], body + 1 + body[0],
             (size_t)size - 1 - body[0]);
}

void wire_get(int fd, const char *text)
{
    char got[TEXT] = "";
    uint8_t flags = 0, body[TEXT];
    size_t at = 0;
    int size;

    do {
        if (flags & RAW_MORE)
            got[at++] = '|';
        size = raw_frame(fd, &flags, body, sizeof(body), SOON);
        if (size < 0)
            fail_msg("\"%s\" does not come", text);
        assert_int_equal(flags & RAW_LONG, size > 255 ? RAW_LONG : 0);
        if (flags & RAW_COMMAND)
            show_command(got, body, size);
        else
            at += add_text(got + at, body, (size_t)size);
    } while (flags & RAW_MORE);
    assert_string_equal(got, text);
}

void wire_quiet(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&one, 1, NOT), 0);
}

weir_event wire_event(struct wire *wire, uint32_t kind)
{
    weir_event event = {.size = sizeof(event)};

    if (!await_event(wire->socket, kind, &event, SOON))
        fail_msg("no event of kind %u", kind);
    return event;
}
