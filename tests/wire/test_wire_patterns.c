/*
 * test_wire_patterns.c - what the patterns put on the wire and make of what
 * comes from there: subscriptions, envelopes, routing ids.  The numbers are
 * those of tests/CONFORMANCE.
 */
#include "config.h"

#include "tests/wire/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- subscriptions, the subscriber's side ---- */

static void subscribe(struct wire *wire, const char *topic)
{
    assert_int_equal(weir_subscribe(wire->socket, topic, strlen(topic)), 0);
}

static void unsubscribe(struct wire *wire, const char *topic)
{
    assert_int_equal(weir_unsubscribe(wire->socket, topic, strlen(topic)), 0);
}

/* Subscribing and its end, to a publisher of 3.`minor`. */
static void check_topic(struct wire *wire, int fd, int minor, size_t size)
{
    char topic[300], text[400];

    memset(topic, 't', size);
    topic[size] = '\0';
    subscribe(wire, topic);
    snprintf(text, sizeof(text), minor ? "!SUBSCRIBE:%s" : "^%s", topic);
    wire_get(fd, text);
    unsubscribe(wire, topic);
    snprintf(text, sizeof(text), minor ? "!CANCEL:%s" : "~%s", topic);
    wire_get(fd, text);
}

static void line_84_86_forms_and_lengths(void **state)
{
    (void)state;
    for (int minor = 0; minor <= 1; minor++) {
        struct wire wire = wire_raw("SUB");
        int fd;

        wire_dial(&wire);
        fd = wire_answer(&wire, minor, "PUB");
        check_topic(&wire, fd, minor, 0);
        check_topic(&wire, fd, minor, 1);
        for (size_t size = 245; size <= 256; size++)
            check_topic(&wire, fd, minor, size);
        close(fd);
        wire_end(&wire);
    }
}

static void line_87_last_unsubscribe_cancels(void **state)
{
    struct wire wire = wire_raw("SUB");
    int fd;

    (void)state;
    wire_dial(&wire);
    fd = wire_answer(&wire, 1, "PUB");
    subscribe(&wire, "a");
    subscribe(&wire, "a");
    wire_get(fd, "!SUBSCRIBE:a");
    wire_get(fd, "!SUBSCRIBE:a");
    unsubscribe(&wire, "a");
    subscribe(&wire, "b"); /* so that one sees that nothing came before */
    wire_get(fd, "!SUBSCRIBE:b");
    unsubscribe(&wire, "a");
    wire_get(fd, "!CANCEL:a");
    assert_int_equal(weir_unsubscribe(wire.socket, "a", 1), -ENOENT);
    subscribe(&wire, "c");
    wire_get(fd, "!SUBSCRIBE:c");
    close(fd);
    wire_end(&wire);
}

static void line_89_resent_once(void **state)
{
    struct wire wire = wire_raw("SUB");

    (void)state;
    subscribe(&wire, "a");
    subscribe(&wire, "b");
    subscribe(&wire, "a");
    wire_dial(&wire);
    for (int i = 0; i < 3; i++) {
        int fd = wire_answer(&wire, 1, "PUB");

        wire_get(fd, "!SUBSCRIBE:a");
        wire_get(fd, "!SUBSCRIBE:b");
        subscribe(&wire, "c");
        wire_get(fd, "!SUBSCRIBE:c");
        unsubscribe(&wire, "c");
        wire_get(fd, "!CANCEL:c");
        close(fd);
        wire_event(&wire, WEIR_EVENT_DISCONNECTED);
    }
    wire_end(&wire);
}

static void line_90_subscriber_filters(void **state)
{
    struct wire wire = wire_bind("SUB");
    int fd;

    (void)state;
    subscribe(&wire, "ab");
    fd = wire_call(&wire, 1, "PUB");
    wire_get(fd, "!SUBSCRIBE:ab");
    wire_put(fd, "a");
    wire_put(fd, "b|ab");
    wire_put(fd, "");
    wire_put(fd, "abc|x");
    wire_put(fd, "ab");
    wire_hear(&wire, "abc|x");
    wire_hear(&wire, "ab");
    assert_int_equal(stats_of(wire.socket).recv_dropped[WEIR_DROP_UNWANTED], 3);
    close(fd);
    wire_end(&wire);
}

/* ---- the publisher's side ---- */

static void line_85_both_forms_are_read(void **state)
{
    (void)state;
    for (int minor = 0; minor <= 1; minor++) {
        struct wire wire = wire_bind("XPUB");
        int fd = wire_call(&wire, minor, "SUB");

        wire_put(fd, "!SUBSCRIBE:a");
        wire_put(fd, "^b");
        wire_hear(&wire, "^a");
        wire_hear(&wire, "^b");
        wire_say(&wire, "a1");
        wire_say(&wire, "b1|x");
        wire_get(fd, "a1");
        wire_get(fd, "b1|x");
        wire_put(fd, "~a"); /* the one form ends what the other began */
        wire_put(fd, "!CANCEL:b");
        wire_hear(&wire, "~a");
        wire_hear(&wire, "~b");
        close(fd);
        wire_end(&wire);
    }
}

static void line_88_one_cancel_ends_all(void **state)
{
    struct wire wire = wire_bind("XPUB");
    int fd = wire_call(&wire, 1, "SUB");

    (void)state;
    wire_put(fd, "!SUBSCRIBE:a");
    wire_put(fd, "!SUBSCRIBE:a");
    wire_put(fd, "!SUBSCRIBE:z");
    wire_hear(&wire, "^a");
    wire_hear(&wire, "^z");
    wire_say(&wire, "a1");
    wire_get(fd, "a1");
    wire_put(fd, "!CANCEL:a");
    wire_hear(&wire, "~a");
    wire_say(&wire, "a2");
    wire_say(&wire, "z");
    wire_get(fd, "z");
    close(fd);
    wire_end(&wire);
}

static void line_91_first_and_last_are_news(void **state)
{
    struct wire wire = wire_bind("XPUB");
    int one = wire_call(&wire, 1, "SUB"), two = wire_call(&wire, 1, "SUB");

    (void)state;
    wire_put(one, "!SUBSCRIBE:a");
    wire_hear(&wire, "^a");
    wire_put(two, "!SUBSCRIBE:a"); /* no news */
    wire_put(two, "!SUBSCRIBE:b");
    wire_hear(&wire, "^b");
    wire_put(one, "!CANCEL:a"); /* none either */
    wire_put(one, "!SUBSCRIBE:c");
    wire_hear(&wire, "^c");
    wire_put(two, "!CANCEL:a");
    wire_hear(&wire, "~a");
    close(one);
    close(two);
    wire_end(&wire);
}

static void line_92_topics_of_the_lost(void **state)
{
    struct wire wire = wire_bind("XPUB");
    int one = wire_call(&wire, 1, "SUB"), two = wire_call(&wire, 1, "SUB");

    (void)state;
    wire_put(one, "!SUBSCRIBE:both");
    wire_put(one, "!SUBSCRIBE:one");
    wire_hear(&wire, "^both");
    wire_hear(&wire, "^one");
    wire_put(two, "!SUBSCRIBE:both");
    wire_put(two, "!SUBSCRIBE:two");
    wire_hear(&wire, "^two");
    close(one);
    wire_hear(&wire, "~one");
    wire_put(two, "!CANCEL:both");
    wire_hear(&wire, "~both");
    raw_reset(two);
    wire_hear(&wire, "~two");
    wire_end(&wire);
}

static void line_96_messages_to_publishers(void **state)
{
    struct wire pub = wire_bind("PUB"), xpub = wire_bind("XPUB");
    int one = wire_call(&pub, 1, "SUB"), two = wire_call(&xpub, 1, "SUB");

    (void)state;
    wire_put(one, "hello|world");
    wire_put(one, "!SUBSCRIBE:a");
    wait_peers(pub.socket, 1);
    wire_say(&pub, "a");
    wire_get(one, "a");
    assert_int_equal(stats_of(pub.socket).recv_dropped[WEIR_DROP_UNWANTED], 1);
    wire_put(two, "hello|world");
    wire_put(two, "!SUBSCRIBE:a");
    wire_hear(&xpub, "hello|world");
    wire_hear(&xpub, "^a");
    close(one);
    close(two);
    wire_end(&pub);
    wire_end(&xpub);
}

/* ---- requests ---- */

static void line_97_request_octets(void **state)
{
    struct wire wire = wire_bind("REQ");
    int fd = wire_call(&wire, 1, "REP");
    uint8_t octets[10];

    (void)state;
    wire_say(&wire, "q|is");
    assert_true(raw_read(fd, octets, 9, SOON));
    assert_memory_equal(octets, "\1\0\1\1q\0\2is", 9);
    assert_int_equal(weir_send(wire.socket, "r", 1, 0), -WEIR_ESTATE);
    wire_put(fd, "|a");
    wire_hear(&wire, "a");
    close(fd);
    wire_end(&wire);
}

/* Which of the two has something to read? */
static int asked(const int fd[2])
{
    struct pollfd both[2] = {{.fd = fd[0], .events = POLLIN},
                             {.fd = fd[1], .events = POLLIN}};

    assert_int_equal(poll(both, 2, SOON), 1);
    return both[0].revents ? 0 : 1;
}

static void line_98_replies_nobody_waits_for(void **state)
{
    struct wire wire = wire_bind("REQ");
    int fd[2] = {wire_call(&wire, 1, "REP"), wire_call(&wire, 1, "REP")};
    weir_stats stats;
    int who;

    (void)state;
    wire_say(&wire, "q");
    who = asked(fd);
    wire_get(fd[who], "|q");
    wire_put(fd[!who], "|of another");
    AWAIT(wire.socket, decoded, 1);
    wire_put(fd[who], "|right");
    wire_hear(&wire, "right");
    wire_put(fd[who], "|once more");
    AWAIT(wire.socket, decoded, 3);
    wire_say(&wire, "r");
    who = asked(fd);
    wire_get(fd[who], "|r");
    wire_put(fd[who], "|also right");
    wire_hear(&wire, "also right");
    stats = stats_of(wire.socket);
    assert_int_equal(stats.recv_dropped[WEIR_DROP_STALE], 2);
    assert_int_equal(stats.disconnects, 0);
    close(fd[0]);
    close(fd[1]);
    wire_end(&wire);
}

/* A reply is looked at by who waits for it. */
static void receive_nothing(struct wire *wire)
{
    int64_t end = now_ms() + SOON;
    char data[8];
    size_t size = sizeof(data);

    while (stats_of(wire->socket).disconnects == 0 && now_ms() < end)
        assert_int_equal(weir_recv(wire->socket, data, &size, NOT), -EAGAIN);
}

/* Who replies so is cut off, and the dialer does not hurry back. */
static void line_99_reply_without_delimiter(void **state)
{
    static const char *const bad[] = {"x", "", "idxx5||z", "x||y"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire wire = wire_raw("REQ");
        weir_event event;
        int fd;

        wire_dial(&wire);
        fd = wire_answer(&wire, 1, "REP");
        wire_say(&wire, "q");
        wire_get(fd, "|q");
        wire_put(fd, bad[i]);
        receive_nothing(&wire);
        if (!raw_closed(fd, SOON))
            fail_msg("\"%s\" is taken", bad[i]);
        event = wire_event(&wire, WEIR_EVENT_DISCONNECTED);
        assert_int_equal(event.code, EPROTO);
        assert_true(wire_event(&wire, WEIR_EVENT_RETRY).value >= 1000);
        close(fd);
        wire_end(&wire);
    }
}

static void line_101_envelope(void **state)
{
    struct wire wire = wire_bind("REP");
    int fd = wire_call(&wire, 1, "DEALER");

    (void)state;
    wire_put(fd, "no delimiter");
    wire_put(fd, "no|delimiter either");
    wire_put(fd, "e1|e2||q|");
    wire_hear(&wire, "q|");
    wire_say(&wire, "rep");
    wire_get(fd, "e1|e2||rep");
    assert_int_equal(stats_of(wire.socket).recv_dropped[WEIR_DROP_MALFORMED],
                     2);
    close(fd);
    wire_end(&wire);
}

static void line_102_reply_to_the_vanished(void **state)
{
    struct wire wire = wire_bind("REP");
    int fd = wire_call(&wire, 1, "REQ");

    (void)state;
    wire_put(fd, "|q");
    wire_hear(&wire, "q");
    raw_reset(fd);
    AWAIT(wire.socket, disconnects, 1);
    wire_say(&wire, "a");
    assert_int_equal(stats_of(wire.socket).send_dropped[WEIR_DROP_NO_ROUTE], 1);
    fd = wire_call(&wire, 1, "REQ");
    wire_put(fd, "|r");
    wire_hear(&wire, "r");
    wire_say(&wire, "b");
    wire_get(fd, "|b");
    close(fd);
    wire_end(&wire);
}

/* ---- routing ids ---- */

/* A peer that announces an id, and what became of it. */
static int call_as(struct wire *wire, const char *id, size_t size)
{
    uint8_t hello[GREETING + 400];
    int fd = raw_connect(wire->url);

    assert_true(fd >= 0);
    raw_write(fd, hello, wire_hello(hello, 1, "DEALER", id, size));
    return fd;
}

static int known_as(struct wire *wire, const char *id)
{
    uint64_t before = stats_of(wire->socket).connects;
    int fd = call_as(wire, id, strlen(id));
    uint8_t greeting[GREETING], flags;

    assert_true(raw_read(fd, greeting, sizeof(greeting), SOON));
    assert_true(raw_frame(fd, &flags, NULL, 0, SOON) > 0);
    AWAIT(wire->socket, connects, before + 1);
    return fd;
}

/* The frame that a ROUTER puts before what came. */
static void hear_id(struct wire *wire, uint8_t id[17])
{
    weir_message message;
    weir_frame *frame;

    weir_message_init(&message);
    assert_int_equal(weir_recv_message(wire->socket, &message, SOON), 0);
    assert_int_equal(weir_message_count(&message), 2);
    frame = weir_message_frame(&message, 0);
    assert_int_equal(weir_frame_size(frame), 17);
    memcpy(id, weir_frame_data(frame), 17);
    weir_message_fini(&message);
}

/* weir's own form: 00 and a UUID. */
static void line_103_invented_ids(void **state)
{
    struct wire wire = wire_bind("ROUTER");
    uint8_t id[3][17];
    int fd[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        weir_message reply;

        fd[i] = i == 2 ? call_as(&wire, "", 0) : wire_call(&wire, 1, "DEALER");
        wire_put(fd[i], "hello");
        hear_id(&wire, id[i]);
        assert_int_equal(id[i][0], 0);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(id[i], id[j], 17);
        weir_message_init(&reply);
        assert_int_equal(weir_message_add(&reply, id[i], 17), 0);
        assert_int_equal(weir_message_add(&reply, "you", 3), 0);
        assert_int_equal(weir_send_message(wire.socket, &reply, SOON), 0);
    }
    for (int i = 0; i < 2; i++)
        wire_get(fd[i], "you");
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    wire_end(&wire);
}

static void line_104_unknown_id(void **state)
{
    struct wire wire = wire_bind("ROUTER");
    int fd = known_as(&wire, "anna");
    weir_message message;

    (void)state;
    wire_say(&wire, "nobody|x");
    assert_int_equal(stats_of(wire.socket).send_dropped[WEIR_DROP_NO_ROUTE], 1);
    set_option(wire.socket, "mandatory", "yes");
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, "nobody", 6), 0);
    assert_int_equal(weir_message_add(&message, "x", 1), 0);
    assert_int_equal(weir_send_message(wire.socket, &message, SOON),
                     -EHOSTUNREACH);
    weir_message_fini(&message);
    wire_say(&wire, "anna|y");
    wire_get(fd, "y");
    close(fd);
    wire_end(&wire);
}

static void line_106_same_id(void **state)
{
    struct wire wire = wire_bind("ROUTER");
    int old = known_as(&wire, "id"), new;

    (void)state;
    new = call_as(&wire, "id", 2);
    assert_true(raw_closed(new, SOON));
    close(new);
    wire_put(old, "mine");
    wire_hear(&wire, "id|mine");
    wire_say(&wire, "id|still");
    wire_get(old, "still");
    set_option(wire.socket, "handover", "yes");
    new = known_as(&wire, "id");
    assert_true(raw_closed(old, SOON));
    close(old);
    wire_say(&wire, "id|yours");
    wire_get(new, "yours");
    wire_put(new, "now mine");
    wire_hear(&wire, "id|now mine");
    close(new);
    wire_end(&wire);
}

static void line_107_bad_ids(void **state)
{
    struct wire wire = wire_bind("ROUTER");
    char id[257];
    int fd;

    (void)state;
    memset(id, 'i', 256);
    id[256] = '\0';
    fd = call_as(&wire, id, 256);
    assert_true(raw_closed(fd, SOON));
    close(fd);
    fd = call_as(&wire, "\0id", 3);
    assert_true(raw_closed(fd, SOON));
    close(fd);
    AWAIT(wire.socket, refused, 2);
    id[255] = '\0';
    fd = known_as(&wire, id);
    wire_say(&wire, "other|x");
    close(fd);
    wire_end(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_84_86_forms_and_lengths),
        cmocka_unit_test(line_85_both_forms_are_read),
        cmocka_unit_test(line_87_last_unsubscribe_cancels),
        cmocka_unit_test(line_88_one_cancel_ends_all),
        cmocka_unit_test(line_89_resent_once),
        cmocka_unit_test(line_90_subscriber_filters),
        cmocka_unit_test(line_91_first_and_last_are_news),
        cmocka_unit_test(line_92_topics_of_the_lost),
        cmocka_unit_test(line_96_messages_to_publishers),
        cmocka_unit_test(line_97_request_octets),
        cmocka_unit_test(line_98_replies_nobody_waits_for),
        cmocka_unit_test(line_99_reply_without_delimiter),
        cmocka_unit_test(line_101_envelope),
        cmocka_unit_test(line_102_reply_to_the_vanished),
        cmocka_unit_test(line_103_invented_ids),
        cmocka_unit_test(line_104_unknown_id),
        cmocka_unit_test(line_106_same_id),
        cmocka_unit_test(line_107_bad_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
