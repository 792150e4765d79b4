/*
 * test_queue_link.c - the queue at a connection: octets written and lost at
 * every place, octets received in any portions, limits, and peers that lie.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "message.h"
#include "queue.h"
#include "scarce.h"

#define MB ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 2003 /* of places inside large frames */
#else
#define STRIDE 307
#endif

/* ------------------------------------------------------------ messages -- */

struct shape {
    uint32_t frames;
    size_t size[4];
};

/* Small and large, and every neighbourhood of the two. */
static const struct shape shapes[] = {
    {1, {0}},          {1, {1}},        {3, {3, 0, 5}},     {1, {255}},
    {2, {256, 16383}}, {1, {20000}},    {3, {2, 17000, 3}}, {2, {16384, 30000}},
    {1, {7}},          {2, {0, 70000}}, {4, {1, 2, 3, 4}},  {1, {100000}},
    {1, {5}},
};
#define SHAPES   (sizeof(shapes) / sizeof(*shapes))
#define REFUSALS 120 /* messages, of which some are refused */

/* What goes over the wire. */
struct stream {
    uint8_t *octets;
    size_t size;
    size_t begin[SHAPES + 1];
    size_t frame[4 * SHAPES], frames; /* where frames end */
};

static void fill(uint8_t *data, size_t message, size_t frame, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + i / 251 + message * 17 + frame * 5);
}

/* By the RFC, and not by the code under test. */
static size_t encode(uint8_t *at, size_t message, size_t frame, size_t size,
                     unsigned flags)
{
    size_t before = 2;

    at[0] = (uint8_t)flags;
    at[1] = (uint8_t)size;
    if (size > 255) {
        at[0] |= 2;
        before = 9;
        for (int i = 0; i < 8; i++)
            at[1 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
    }
    fill(at + before, message, frame, size);
    return before + size;
}

static void make_stream(struct stream *stream)
{
    stream->octets = malloc(MB);
    stream->size = stream->frames = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        stream->begin[i] = stream->size;
        for (uint32_t n = 0; n < shapes[i].frames; n++) {
            stream->size += encode(stream->octets + stream->size, i, n,
                                   shapes[i].size[n], n + 1 < shapes[i].frames);
            stream->frame[stream->frames++] = stream->size;
        }
    }
    stream->begin[SHAPES] = stream->size;
}

/* The message that octet `at` lies in, and whether it begins there. */
static size_t message_at(const struct stream *stream, size_t at, bool *begins)
{
    size_t i = 0;

    while (i < SHAPES && stream->begin[i + 1] <= at)
        i++;
    *begins = stream->begin[i] == at;
    return i;
}

/* Every place that is special, and some that are not. */
static size_t next_place(const struct stream *stream, size_t at)
{
    size_t next = at + STRIDE;

    if (at < 15)
        return at + 1;
    for (size_t i = 0; i < stream->frames; i++) {
        if (at + 15 >= stream->frame[i] && at < stream->frame[i] + 15)
            return at + 1;
        if (at + 15 < stream->frame[i] && next > stream->frame[i] - 15)
            next = stream->frame[i] - 15;
    }
    return next;
}

static void put_shape(struct weir_queue *queue, size_t message)
{
    static uint8_t payload[100000];
    const struct shape *shape = &shapes[message];

    weir_queue_begin(queue);
    for (uint32_t n = 0; n < shape->frames; n++) {
        fill(payload, message, n, shape->size[n]);
        assert_int_equal(
            weir_queue_frame(queue, payload, shape->size[n],
                             n + 1 < shape->frames ? WEIR_FRAME_MORE : 0),
            0);
    }
    weir_queue_commit(queue);
}

static void take_shape(struct weir_queue *queue, size_t index)
{
    static uint8_t payload[100000];
    weir_message message;

    weir_message_init(&message);
    assert_int_equal(weir_queue_take_message(queue, &message), 0);
    assert_int_equal(weir_message_count(&message), shapes[index].frames);
    for (uint32_t n = 0; n < shapes[index].frames; n++) {
        weir_frame *frame = weir_message_frame(&message, n);

        fill(payload, index, n, shapes[index].size[n]);
        assert_int_equal(weir_frame_size(frame), shapes[index].size[n]);
        assert_memory_equal(weir_frame_data(frame), payload,
                            shapes[index].size[n]);
    }
    weir_message_fini(&message);
}

struct fixture {
    struct stream stream;
    struct weir_pool *pool;
    struct weir_queue *queue;
};

static void open_queue(struct fixture *fixture)
{
    static const struct weir_queue_limits no_mark;

    fixture->queue = weir_queue_new(fixture->pool, no_mark, false);
    assert_non_null(fixture->queue);
}

static void close_queue(struct fixture *fixture)
{
    weir_queue_leave(fixture->queue);
    weir_queue_leave(fixture->queue);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    make_stream(&fixture.stream);
    fixture.pool = weir_pool_new(MB);
    *state = &fixture;
    return fixture.pool == NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    weir_pool_close(fixture->pool);
    free(fixture->stream.octets);
    return 0;
}

static void assert_counts(struct weir_queue *queue, uint64_t put,
                          uint64_t taken, uint64_t octets)
{
    uint64_t is_put, is_taken, are_octets;

    weir_queue_counts(queue, &is_put, &is_taken, &are_octets);
    assert_int_equal(is_put, put);
    assert_int_equal(is_taken, taken);
    assert_int_equal(are_octets, octets);
}

static void assert_taken(struct weir_queue *queue, uint64_t taken)
{
    uint64_t is_put, is_taken, are_octets;

    weir_queue_counts(queue, &is_put, &is_taken, &are_octets);
    assert_int_equal(is_taken, taken);
}

/* ------------------------------------------------------------- writing -- */

/* Write `size` octets that are expected at `from`, or what there is. */
static size_t write_out(struct weir_queue *queue, const uint8_t *from,
                        size_t size, int max)
{
    struct weir_queue_mark_point at;
    struct iovec parts[16];
    size_t done = 0;
    int n;

    while (done < size) {
        ssize_t octets = weir_queue_gather(queue, parts, max, &n, size, &at);
        size_t some = 0;

        if (octets == 0)
            break;
        assert_in_range(n, 1, max);
        for (int i = 0; i < n; i++) {
            size_t length = parts[i].iov_len;

            assert_true(length > 0);
            if (length > size - done - some)
                length = size - done - some;
            assert_memory_equal(parts[i].iov_base, from + done + some, length);
            some += length;
        }
        assert_true(some <= (size_t)octets);
        (void)weir_queue_wrote(queue, some, &at);
        done += some;
    }
    return done;
}

static void put_all(struct weir_queue *queue)
{
    for (size_t i = 0; i < SHAPES; i++)
        put_shape(queue, i);
}

static void test_octets_as_the_rfc_says(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (int max = 1; max <= 16; max += 5)
        for (size_t step = 1; step < stream->size; step = step * 3 + 1) {
            size_t done = 0, some;

            open_queue(fixture);
            put_all(fixture->queue);
            while ((some = write_out(fixture->queue, stream->octets + done,
                                     step, max))) {
                size_t message;
                bool begins;

                done += some;
                message = message_at(stream, done, &begins);
                assert_int_equal(weir_queue_midway(fixture->queue), !begins);
                assert_counts(fixture->queue, SHAPES, message,
                              stream->size - done);
            }
            assert_int_equal(done, stream->size);
            assert_counts(fixture->queue, SHAPES, SHAPES, 0);
            close_queue(fixture);
            if (step < 100 && max > 1)
                step = 100;
        }
}

/* Promise 8: after a cut at any octet the next connection begins with the next
 * message, and the one that was cut is counted. */
static void test_cut_everywhere(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (size_t at = 0; at <= stream->size; at = next_place(stream, at)) {
        struct weir_queue_mark_point ahead;
        struct iovec part;
        bool begins;
        int n;
        size_t message = message_at(stream, at, &begins), next;

        open_queue(fixture);
        put_all(fixture->queue);
        assert_int_equal(write_out(fixture->queue, stream->octets, at / 2, 3),
                         at / 2);
        assert_int_equal(write_out(fixture->queue, stream->octets + at / 2,
                                   at - at / 2, 16),
                         at - at / 2);
        if (at % 3 == 0)
            assert_int_equal(weir_queue_midway(fixture->queue), !begins);
        if (at % 4 < 2) /* what was gathered was not written any more */
            (void)weir_queue_gather(fixture->queue, &part, 1, &n, MB, &ahead);
        assert_int_equal(weir_queue_cut(fixture->queue), !begins);
        assert_int_equal(weir_queue_cut(fixture->queue), 0);
        assert_taken(fixture->queue, message + !begins);
        next = stream->begin[message + !begins];
        if (at % 2 && next < stream->size) { /* drop-old in the meantime */
            assert_int_equal(weir_queue_skip(fixture->queue), 1);
            next = stream->begin[message + !begins + 1];
        }
        assert_int_equal(write_out(fixture->queue, stream->octets + next, MB,
                                   16),
                         stream->size - next);
        assert_counts(fixture->queue, SHAPES, SHAPES, 0);
        assert_true(weir_queue_idle(fixture->queue));
        close_queue(fixture);
    }
}

/* A message of which a part is written goes on being written, and the one
 * behind it is dropped; unless the rest is too long to be set aside. */
static void test_skip_while_writing(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (size_t at = 0; at <= stream->size; at = next_place(stream, at)) {
        bool begins;
        size_t message = message_at(stream, at, &begins);
        size_t victim = message + !begins, next = at;
        size_t rest = stream->begin[victim < SHAPES ? victim : SHAPES] - at;
        bool drops = victim < SHAPES && rest <= WEIR_QUEUE_ASIDE;

        open_queue(fixture);
        put_all(fixture->queue);
        assert_int_equal(write_out(fixture->queue, stream->octets, at, 16), at);
        assert_int_equal(weir_queue_skip(fixture->queue), drops);
        if (drops) {
            assert_int_equal(weir_queue_midway(fixture->queue), !begins);
            assert_int_equal(
                write_out(fixture->queue, stream->octets + at, rest, 16), rest);
            next = stream->begin[victim + 1];
        }
        assert_int_equal(write_out(fixture->queue, stream->octets + next, MB,
                                   16),
                         stream->size - next);
        assert_counts(fixture->queue, SHAPES, SHAPES, 0);
        assert_true(weir_queue_idle(fixture->queue));
        close_queue(fixture);
    }
}

/* The connection is lost before what was set aside is written: that message
 * is cut, and the others are whole. */
static void test_cut_aside(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (size_t at = 0; at <= stream->size; at = next_place(stream, at)) {
        bool begins;
        size_t message = message_at(stream, at, &begins);
        size_t next =
            stream->begin[message + 2 < SHAPES ? message + 2 : SHAPES];

        if (begins || message + 1 >= SHAPES)
            continue;
        open_queue(fixture);
        put_all(fixture->queue);
        assert_int_equal(write_out(fixture->queue, stream->octets, at, 16), at);
        if (weir_queue_skip(fixture->queue) == 1) {
            (void)write_out(fixture->queue, stream->octets + at, 1, 16);
            if (stream->begin[message + 1] - at > 1)
                assert_int_equal(weir_queue_cut(fixture->queue), 1);
            assert_int_equal(weir_queue_cut(fixture->queue), 0);
            assert_int_equal(write_out(fixture->queue, stream->octets + next,
                                       MB, 16),
                             stream->size - next);
        }
        close_queue(fixture);
    }
}

/* A writer does not count messages, but a full queue that it has written out
 * takes the next ones at once. */
static void test_marks_of_a_writer(void **state)
{
    struct fixture *fixture = *state;
    struct weir_queue_limits limits = {1, 0};

    open_queue(fixture);
    for (uint64_t mark = 1; mark < 300; mark = mark * 3 + 1) {
        limits.messages = mark;
        weir_queue_set_mark(fixture->queue, limits);
        for (int turn = 0; turn < 10; turn++) {
            struct weir_queue_mark_point at;
            struct iovec parts[16];
            ssize_t octets;
            int n;

            while (weir_queue_put(fixture->queue, "x", 1) == 0)
                ;
            octets = weir_queue_gather(fixture->queue, parts, 16, &n, MB, &at);
            assert_int_equal(octets, mark * 3);
            assert_false(weir_queue_wrote(fixture->queue, 1, &at));
            assert_true(weir_queue_full(fixture->queue));
            octets = weir_queue_gather(fixture->queue, parts, 16, &n, MB, &at);
            assert_true(weir_queue_wrote(fixture->queue, (size_t)octets, &at));
            assert_false(weir_queue_full(fixture->queue));
        }
    }
    close_queue(fixture);
}

/* What lies in chunks that are written is counted, whatever is not. */
static void test_a_writer_counts_by_chunks(void **state)
{
    static uint8_t payload[1000];
    struct fixture *fixture = *state;
    struct weir_queue_mark_point at;
    uint64_t put, taken, octets;
    struct iovec parts[16];
    ssize_t gathered;
    int n;

    open_queue(fixture);
    for (int i = 0; i < 100; i++)
        assert_int_equal(weir_queue_put(fixture->queue, payload, 1000), 0);
    gathered = weir_queue_gather(fixture->queue, parts, 16, &n, MB, &at);
    assert_int_equal(gathered, 100900);
    assert_true(n > 2);
    assert_false(weir_queue_wrote(fixture->queue, (size_t)gathered - 1, &at));
    weir_queue_counts(fixture->queue, &put, &taken, &octets);
    assert_in_range(taken, 20, 99);
    assert_true(weir_queue_midway(fixture->queue));
    assert_taken(fixture->queue, 99);
    close_queue(fixture);
}

/* What came since it was gathered is not written. */
static void test_more_came_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    struct weir_queue_mark_point at;
    struct iovec parts[16];
    int n;

    open_queue(fixture);
    assert_int_equal(weir_queue_put(fixture->queue, "a", 1), 0);
    assert_int_equal(weir_queue_gather(fixture->queue, parts, 16, &n, MB, &at),
                     3);
    assert_int_equal(weir_queue_put(fixture->queue, "b", 1), 0);
    assert_false(weir_queue_wrote(fixture->queue, 3, &at));
    assert_int_equal(weir_queue_gather(fixture->queue, parts, 16, &n, MB, &at),
                     3);
    assert_true(weir_queue_wrote(fixture->queue, 3, &at));
    close_queue(fixture);
}

/* The octets of a message can be written before its number is stored; the
 * number is made up for when the writer looks again. */
static void test_a_number_that_comes_late(void **state)
{
    struct weir_queue_limits limits = {1, 0};
    struct fixture *fixture = *state;

    open_queue(fixture);
    weir_queue_set_mark(fixture->queue, limits);
    assert_int_equal(weir_queue_put(fixture->queue, "x", 1), 0);
    atomic_store(&fixture->queue->messages, 0);
    assert_int_equal(write_out(fixture->queue, (const uint8_t *)"\0\1x", 3, 16),
                     3);
    assert_true(weir_queue_full(fixture->queue));
    atomic_store(&fixture->queue->messages, 1);
    assert_false(weir_queue_ready(fixture->queue));
    assert_false(weir_queue_full(fixture->queue));
    close_queue(fixture);
}

static void test_latest_is_written(void **state)
{
    struct fixture *fixture = *state;
    uint8_t expected[3000];
    weir_message message;
    size_t size;

    open_queue(fixture);
    weir_message_init(&message);
    assert_int_equal(weir_message_add(&message, "topic", 5), 0);
    assert_int_equal(weir_message_add(&message, expected, 2000), 0);
    fill(weir_frame_data(&message.first), 1, 0, 5);
    fill(weir_frame_data(weir_message_frame(&message, 1)), 1, 1, 2000);
    size = encode(expected, 1, 0, 5, 1);
    size += encode(expected + size, 1, 1, 2000, 0);
    for (size_t at = 0; at <= size; at += 13) {
        assert_int_equal(weir_queue_put_latest(fixture->queue, &message), 0);
        assert_int_equal(write_out(fixture->queue, expected, at, 16), at);
        assert_int_equal(weir_queue_holds(fixture->queue), at < size);
        assert_int_equal(weir_queue_put_latest(fixture->queue, &message),
                         at == 0);
        assert_int_equal(weir_queue_cut(fixture->queue), at > 0 && at < size);
        assert_int_equal(write_out(fixture->queue, expected, MB, 16), size);
        assert_int_equal(write_out(fixture->queue, expected, MB, 16), 0);
        assert_false(weir_queue_holds(fixture->queue));
        assert_true(weir_queue_idle(fixture->queue));
    }
    weir_message_fini(&message);
    close_queue(fixture);
}

/* ----------------------------------------------------------- receiving -- */

/* As a kernel would: into the space given, `most` octets at a time. */
static int feed(struct weir_queue *queue,
                const struct weir_queue_parser *parser, const uint8_t *from,
                size_t size, size_t most, bool rewind)
{
    struct iovec parts[2];
    int published = 0;

    while (size) {
        size_t octets = 0, left = size < most ? size : most;
        int n = weir_queue_space(queue, parts, rewind), result;

        assert_in_range(n, 1, 2);
        for (int i = 0; i < n && left; i++) {
            size_t some = left < parts[i].iov_len ? left : parts[i].iov_len;

            assert_true(parts[i].iov_len > 0);
            memcpy(parts[i].iov_base, from, some);
            from += some;
            left -= some;
            octets += some;
        }
        size -= octets;
        result = weir_queue_filled(queue, octets, parser);
        if (result < 0)
            return result;
        published += result;
    }
    return published;
}

static const struct weir_queue_parser no_limits;

static void test_any_portions(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (size_t most = 1; most < MB; most = most * 2 + 1) {
        open_queue(fixture);
        for (int turn = 0; turn < 3; turn++) {
            assert_int_equal(feed(fixture->queue, &no_limits, stream->octets,
                                  stream->size, most, true),
                             SHAPES);
            for (size_t i = 0; i < SHAPES; i++)
                take_shape(fixture->queue, i);
            assert_false(weir_queue_ready(fixture->queue));
        }
        assert_counts(fixture->queue, 3 * SHAPES, 3 * SHAPES, 0);
        assert_true(weir_queue_idle(fixture->queue));
        close_queue(fixture);
    }
}

/* Promise 8: what is whole shows, what is not does not; and after a lost
 * connection nothing is left of it. */
static void test_rollback_everywhere(void **state)
{
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;

    for (size_t at = 0; at <= stream->size; at = next_place(stream, at)) {
        bool begins;
        size_t whole = message_at(stream, at, &begins), from;

        open_queue(fixture);
        assert_int_equal(feed(fixture->queue, &no_limits, stream->octets, at,
                              at % 5 ? MB : 1000, false),
                         whole);
        for (size_t i = 0; at % 2 && i < whole; i++)
            take_shape(fixture->queue, i);
        assert_int_equal(weir_queue_rollback(fixture->queue), !begins);
        assert_int_equal(weir_queue_rollback(fixture->queue), 0);
        from = stream->begin[whole];
        assert_int_equal(feed(fixture->queue, &no_limits, stream->octets + from,
                              stream->size - from, at % 3 ? MB : 7000, false),
                         SHAPES - whole);
        for (size_t i = at % 2 ? whole : 0; i < SHAPES; i++)
            take_shape(fixture->queue, i);
        assert_counts(fixture->queue, SHAPES, SHAPES, 0);
        close_queue(fixture);
    }
}

static void take_text(struct weir_queue *queue, const char *text,
                      unsigned wanted)
{
    const uint8_t *data;
    unsigned flags;
    size_t size;

    assert_int_equal(weir_queue_peek(queue, &data, &size, &flags), 1);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    assert_int_equal(flags, wanted);
    weir_queue_pass(queue);
}

static int feed_text(struct weir_queue *queue,
                     const struct weir_queue_parser *parser, const char *octets,
                     size_t size)
{
    return feed(queue, parser, (const uint8_t *)octets, size, size, false);
}

#define FEED(queue, parser, octets) \
    feed_text(queue, parser, octets, sizeof(octets) - 1)

/* Bits that mean nothing are ignored, also the one that we use ourselves; a
 * long head may hold a short size. */
static void test_odd_heads(void **state)
{
    struct fixture *fixture = *state;

    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &no_limits,
                          "\370\1a"
                          "\200\1b"
                          "\271\1c\210\1d"
                          "\2\0\0\0\0\0\0\0\1e"
                          "\202\0\0\0\0\0\0\0\0"
                          "\0\1f"),
                     6);
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "b", 0);
    take_text(fixture->queue, "c", WEIR_FRAME_MORE);
    take_text(fixture->queue, "d", 0);
    take_text(fixture->queue, "e", 0);
    take_text(fixture->queue, "", 0);
    take_text(fixture->queue, "f", 0);
    assert_false(weir_queue_ready(fixture->queue));
    close_queue(fixture);
}

/* A row of messages of one size, among which one is not alike. */
struct row {
    char octets[256];
    size_t size, odd; /* octets; which one */
    const char *text; /* of the first frame of that, and its flags */
    unsigned flags;
};

enum { ROW = 13 };

static void append(struct row *row, const char *octets, size_t size)
{
    memcpy(row->octets + row->size, octets, size);
    row->size += size;
}

static void make_row(struct row *row, const char *odd, size_t size)
{
    row->size = 0;
    for (size_t i = 0; i < ROW; i++) {
        if (i == row->odd)
            append(row, odd, size);
        append(row, "\0\5abcd", 6);
        append(row, &"ABCDEFGHIJKLM"[i], 1);
    }
}

static void take_row(struct weir_queue *queue, const struct row *row)
{
    char text[] = "abcd?";

    for (size_t i = 0; i < ROW; i++) {
        if (i == row->odd)
            take_text(queue, row->text, row->flags);
        if (i == row->odd && row->flags)
            take_text(queue, "g", 0);
        text[4] = "ABCDEFGHIJKLM"[i];
        take_text(queue, text, 0);
    }
    assert_false(weir_queue_ready(queue));
}

/* Wherever the odd one is, and wherever a portion ends. */
static void try_rows(struct fixture *fixture, struct row *row, const char *odd,
                     size_t size)
{
    for (row->odd = 0; row->odd < ROW; row->odd++) {
        make_row(row, odd, size);
        for (size_t at = 0; at <= row->size; at++) {
            int found;

            open_queue(fixture);
            found = feed_text(fixture->queue, &no_limits, row->octets, at);
            found += feed_text(fixture->queue, &no_limits, row->octets + at,
                               row->size - at);
            assert_int_equal(found, ROW + 1);
            take_row(fixture->queue, row);
            close_queue(fixture);
        }
    }
}

static void test_rows_of_one_size(void **state)
{
    struct fixture *fixture = *state;
    struct row row = {.text = "abcd"};

    try_rows(fixture, &row, "\0\4abcd", 6);
    row.text = "abcdef";
    try_rows(fixture, &row, "\0\6abcdef", 8);
    row.text = "";
    try_rows(fixture, &row, "\0\0", 2);
    row.text = "abcde";
    try_rows(fixture, &row, "\2\0\0\0\0\0\0\0\5abcde", 14);
    row.flags = WEIR_FRAME_MORE;
    try_rows(fixture, &row, "\1\5abcde\0\1g", 10);
}

/* --------------------------------------------------------------- limits -- */

static void assert_refused(struct fixture *fixture,
                           const struct weir_queue_parser *parser,
                           const char *octets, size_t size, int error,
                           const char *word)
{
    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, parser, "\0\2ok"), 1);
    assert_int_equal(feed_text(fixture->queue, parser, octets, size), error);
    assert_non_null(strstr(weir_error_text(), word));
    take_text(fixture->queue, "ok", 0);
    (void)weir_queue_rollback(fixture->queue);
    assert_false(weir_queue_ready(fixture->queue));
    close_queue(fixture);
}

#define REFUSED(parser, octets, error, word) \
    assert_refused(*state, parser, octets, sizeof(octets) - 1, error, word)

/* Refused as soon as the head is there. */
static void test_limit_of_a_frame(void **state)
{
    struct weir_queue_parser ten = {.max_frame = 10};
    struct weir_queue_parser thousand = {.max_frame = 1000};
    struct fixture *fixture = *state;

    REFUSED(&ten, "\0\13", -EMSGSIZE, "11");
    REFUSED(&ten, "\1\13", -EMSGSIZE, "10");
    REFUSED(&ten, "\2\0\0\0\0\0\0\0\13", -EMSGSIZE, "11");
    REFUSED(&ten, "\4\13", -EMSGSIZE, "11");
    REFUSED(&thousand, "\2\0\0\0\0\0\0\3\351", -EMSGSIZE, "1001");
    REFUSED(&thousand, "\2\0\0\1\0\0\0\0\0", -EMSGSIZE, "1099511627776");
    REFUSED(&no_limits, "\2\200\0\0\0\0\0\0\0", -EPROTO, "0x8000000000000000");
    REFUSED(&no_limits, "\2\377\377\377\377\377\377\377\377", -EPROTO, "0xff");
    REFUSED(&ten, "\2\200\0\0\0\0\0\0\0", -EPROTO, "0x8000000000000000");
    REFUSED(&no_limits, "\2\177\377\377\377\377\377\377\377", -EMSGSIZE,
            "9223372036854775807");
    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &ten, "\0\0120123456789"), 1);
    take_text(fixture->queue, "0123456789", 0);
    close_queue(fixture);
}

static void test_limit_of_frames(void **state)
{
    struct weir_queue_parser three = {.max_frames = 3};
    struct fixture *fixture = *state;

    REFUSED(&three, "\1\0\1\0\1\0\0\0", -EMSGSIZE, "3");
    REFUSED(&three, "\1\0\1\0\1\0\1\5", -EMSGSIZE, "3");
    open_queue(fixture);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            FEED(fixture->queue, &three, "\1\0\1\0\0\0\0\0\1\0\0\0"), 3);
    close_queue(fixture);
}

static void test_messages_before_the_fault_are_there(void **state)
{
    struct weir_queue_parser ten = {.max_frame = 10};
    struct fixture *fixture = *state;
    uint64_t put, taken, octets;

    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &ten, "\0\1a\0\1b\1\1c\0\13"),
                     -EMSGSIZE);
    weir_queue_counts(fixture->queue, &put, &taken, &octets);
    assert_int_equal(put, 2);
    assert_int_equal(weir_queue_rollback(fixture->queue), 1);
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "b", 0);
    assert_false(weir_queue_ready(fixture->queue));
    close_queue(fixture);
}

/* Promise 22: memory follows what has come, not what was said to come. */
static void test_claims_cost_nothing(void **state)
{
    /* 2^40 octets, or what fits into the addresses */
    static const char wide[] = "\2\0\0\001\0\0\0\0\0";
    static const char narrow[] = "\2\0\0\0\0\040\0\0\0";
    const char *claim = sizeof(size_t) > 4 ? wide : narrow;
    struct fixture *fixture = *state;
    static uint8_t some[65536];
    size_t come = 0;

    weir_pool_trim(fixture->pool);
    scarce_count_anew();
    open_queue(fixture);
    assert_int_equal(feed_text(fixture->queue, &no_limits, claim, 9), 0);
    while (come < 20 * MB) {
        assert_int_equal(feed(fixture->queue, &no_limits, some, sizeof(some),
                              sizeof(some), false),
                         0);
        come += sizeof(some);
        assert_true(scarce_largest <= 2 * come + 80000);
    }
    assert_true(scarce_octets <= 4 * come + 80000);
    assert_int_equal(weir_queue_rollback(fixture->queue), 1);
    close_queue(fixture);
}

/* Frames of a size that was seen before are read into place: nothing is
 * allocated for them any more. */
static void test_large_frames_in_a_row(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *octets = malloc(MB);
    size_t size = encode(octets, 1, 0, 300000, 0);
    struct iovec parts[2];

    open_queue(fixture);
    for (int i = 0; i < 50; i++) {
        const uint8_t *data;
        unsigned flags;
        size_t length;

        if (i == 10)
            scarce_count_anew();
        assert_int_equal(
            feed(fixture->queue, &no_limits, octets, size, 100000, true), 1);
        assert_int_equal(
            weir_queue_peek(fixture->queue, &data, &length, &flags), 1);
        assert_int_equal(length, 300000);
        assert_memory_equal(data, octets + 9, length);
        weir_queue_pass(fixture->queue);
        assert_false(weir_queue_ready(fixture->queue));
    }
    assert_int_equal(scarce_count, 0);
    assert_int_equal(FEED(fixture->queue, &no_limits, "\0\1a"), 1);
    assert_int_equal(weir_queue_space(fixture->queue, parts, false), 1);
    assert_true(parts[0].iov_len > 16000); /* they have come to an end */
    close_queue(fixture);
    free(octets);
}

/* ------------------------------------------------------------- commands -- */

struct seen {
    int result;
    int commands;
    size_t size;
    uint8_t first;
};

static int see(void *opaque, const uint8_t *body, size_t size)
{
    struct seen *seen = opaque;

    seen->commands++;
    seen->size = size;
    seen->first = size ? body[0] : 0;
    for (size_t i = 1; i < size; i++)
        assert_int_equal(body[i], 'p');
    return seen->result;
}

static void test_hidden_commands(void **state)
{
    struct seen seen = {0};
    struct weir_queue_parser parser = {.command = see, .arg = &seen};
    struct fixture *fixture = *state;

    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &parser, "\4\3Ppp"), 0);
    assert_int_equal(seen.commands, 1);
    assert_int_equal(seen.size, 3);
    assert_false(weir_queue_ready(fixture->queue));
    assert_int_equal(FEED(fixture->queue, &parser,
                          "\4\0\0\1a\4\1X\5\1Y\1\1b\4\1Z\0\1c\4\2Vp\0"),
                     2);
    assert_int_equal(seen.commands, 6);
    assert_int_equal(seen.first, 'V');
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "b", WEIR_FRAME_MORE);
    take_text(fixture->queue, "c", 0);
    assert_false(weir_queue_ready(fixture->queue));
    assert_int_equal(FEED(fixture->queue, &parser, "\1d"), 1);
    take_text(fixture->queue, "d", 0);
    assert_counts(fixture->queue, 3, 3, 0);
    assert_true(weir_queue_idle(fixture->queue));
    close_queue(fixture);
}

static void test_published_commands(void **state)
{
    struct seen seen = {.result = 1};
    struct weir_queue_parser parser = {.command = see, .arg = &seen};
    struct fixture *fixture = *state;

    open_queue(fixture);
    assert_int_equal(
        FEED(fixture->queue, &parser, "\0\1a\4\2Sp\5\1T\371\1b\0\0"), 4);
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "Sp", WEIR_FRAME_COMMAND);
    take_text(fixture->queue, "T", WEIR_FRAME_COMMAND);
    take_text(fixture->queue, "b", WEIR_FRAME_MORE);
    take_text(fixture->queue, "", 0);
    assert_int_equal(FEED(fixture->queue, &parser, "\1\1a\4\1S\0\1b"), -EPROTO);
    (void)weir_queue_rollback(fixture->queue);
    seen.result = -EACCES;
    assert_int_equal(FEED(fixture->queue, &parser, "\0\1a\4\1S\0\1b"), -EACCES);
    (void)weir_queue_rollback(fixture->queue);
    take_text(fixture->queue, "a", 0);
    assert_false(weir_queue_ready(fixture->queue));
    close_queue(fixture);
}

static size_t command(uint8_t *at, size_t size)
{
    size_t before = weir_queue_head(at, size, WEIR_FRAME_COMMAND);

    memset(at + before, 'p', size);
    at[before] = 'L';
    return before + size;
}

/* In every portion; between messages, and between the frames of one. */
static void test_large_commands(void **state)
{
    struct seen seen = {0};
    struct weir_queue_parser parser = {.command = see, .arg = &seen};
    struct fixture *fixture = *state;
    uint8_t *octets = malloc(MB);

    for (size_t most = 100; most < MB; most *= 3) {
        size_t size = 0;

        memcpy(octets, "\0\1a", 3);
        size = 3 + command(octets + 3, 200000);
        memcpy(octets + size, "\1\1b", 3);
        size += 3 + command(octets + size + 3, 100000);
        memcpy(octets + size, "\0\1c\0\1d", 6);
        size += 6;
        for (seen.result = 0; seen.result < 2; seen.result++) {
            seen.commands = 0;
            open_queue(fixture);
            if (seen.result) {
                assert_int_equal(feed(fixture->queue, &parser, octets, size,
                                      most, false),
                                 -EPROTO);
                assert_int_equal(weir_queue_rollback(fixture->queue), 1);
            } else {
                assert_int_equal(feed(fixture->queue, &parser, octets, size,
                                      most, false),
                                 3);
            }
            assert_int_equal(seen.commands, 2);
            assert_int_equal(seen.first, 'L');
            take_text(fixture->queue, "a", 0);
            if (seen.result) {
                assert_int_equal(weir_queue_skip(fixture->queue), 1);
            } else {
                take_text(fixture->queue, "b", WEIR_FRAME_MORE);
                take_text(fixture->queue, "c", 0);
                take_text(fixture->queue, "d", 0);
            }
            assert_false(weir_queue_ready(fixture->queue));
            close_queue(fixture);
        }
    }
    free(octets);
}

/* A peer that sends nothing but commands, some of them large, while nobody
 * reads what it sent before. */
static void test_commands_take_no_memory(void **state)
{
    struct seen seen = {0};
    struct weir_queue_parser parser = {.command = see, .arg = &seen};
    struct fixture *fixture = *state;
    uint8_t *octets = malloc(MB);
    size_t size = 0, after;

    for (size_t i = 0; i < 1000; i++)
        size += command(octets + size, i % 300 + 1);
    size += command(octets + size, 30000);
    size += command(octets + size, 100000);
    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &parser, "\0\1a\1\1b"), 1);
    assert_int_equal(feed(fixture->queue, &parser, octets, size, 7777, false),
                     0);
    after = (size_t)weir_queue_position(fixture->queue);
    scarce_count_anew();
    for (int i = 0; i < 200; i++)
        assert_int_equal(feed(fixture->queue, &parser, octets, size,
                              (size_t)(1000 + 997 * i), false),
                         0);
    assert_int_equal(weir_queue_position(fixture->queue), after);
    assert_true(scarce_octets < MB);
    assert_int_equal(seen.commands, 201 * 1002);
    assert_int_equal(FEED(fixture->queue, &parser, "\0\1c"), 1);
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "b", WEIR_FRAME_MORE);
    take_text(fixture->queue, "c", 0);
    close_queue(fixture);
    free(octets);
}

/* ------------------------------------------------------------- the mark -- */

static void count(void *counter)
{
    ++*(int *)counter;
}

/* What was written up to the middle of a message made room, too: nothing more
 * may be written for long. */
static void test_writer_is_told_in_a_message(void **state)
{
    struct weir_queue_limits limits = {8, 0};
    struct fixture *fixture = *state;
    const uint8_t octets[] = "\0\1a\0\1a\0\1a\0\1a\0\1a\0\1a\0\1a\0\1a";
    int told = 0;

    open_queue(fixture);
    weir_queue_set_writer(fixture->queue,
                          (struct weir_queue_end){count, &told});
    weir_queue_set_mark(fixture->queue, limits);
    for (int i = 0; i < 8; i++)
        assert_int_equal(weir_queue_put(fixture->queue, "a", 1), 0);
    assert_true(weir_queue_arm_writer(fixture->queue));
    assert_int_equal(write_out(fixture->queue, octets, 10, 1), 10);
    assert_true(weir_queue_midway(fixture->queue));
    assert_int_equal(told, 0); /* three of them are gone */
    assert_int_equal(write_out(fixture->queue, octets + 10, 4, 1), 4);
    assert_true(weir_queue_midway(fixture->queue));
    assert_int_equal(told, 1);
    assert_int_equal(write_out(fixture->queue, octets + 14, 10, 1), 10);
    assert_int_equal(told, 1);
    close_queue(fixture);
}

/* Promise 9: at most the mark and one receive buffer. */
static void test_reading_stops_at_the_mark(void **state)
{
    struct weir_queue_limits limits = {10, 0};
    struct fixture *fixture = *state;
    int told = 0;

    open_queue(fixture);
    weir_queue_set_writer(fixture->queue,
                          (struct weir_queue_end){count, &told});
    weir_queue_set_mark(fixture->queue, limits);
    for (int i = 0; i < 10; i++) {
        assert_false(weir_queue_full(fixture->queue));
        assert_int_equal(FEED(fixture->queue, &no_limits, "\0\1a"), 1);
    }
    assert_true(weir_queue_full(fixture->queue));
    assert_true(weir_queue_arm_writer(fixture->queue));
    for (int i = 0; i < 10; i++)
        take_text(fixture->queue, "a", 0);
    assert_int_equal(told, 1);
    assert_false(weir_queue_full(fixture->queue));
    close_queue(fixture);
}

/* A message larger than the mark is received whole. */
static void test_message_beyond_the_mark(void **state)
{
    struct weir_queue_limits limits = {0, 50000};
    struct fixture *fixture = *state;
    const struct stream *stream = &fixture->stream;
    size_t message = 11, from = stream->begin[message];
    size_t size = stream->begin[message + 1] - from;

    open_queue(fixture);
    weir_queue_set_mark(fixture->queue, limits);
    for (size_t done = 0; done < size; done += 1000) {
        size_t some = size - done < 1000 ? size - done : 1000;

        assert_false(weir_queue_full(fixture->queue));
        assert_in_range(feed(fixture->queue, &no_limits,
                             stream->octets + from + done, some, some, false),
                        0, 1);
    }
    assert_true(weir_queue_full(fixture->queue));
    take_shape(fixture->queue, message);
    assert_false(weir_queue_full(fixture->queue));
    close_queue(fixture);
}

/* ------------------------------------------------------------ refusing -- */

/* A conversation in which a receiver refuses what is beyond its mark, and what
 * should come of it. */
struct refusal {
    struct weir_queue *queue;
    struct weir_queue_limits mark;
    uint32_t random;
    uint8_t *octets; /* the stream, of messages with commands in between */
    size_t size, ends[REFUSALS], shape[REFUSALS];
    size_t waiting[REFUSALS], from, to; /* shapes that wait in the queue */
    uint64_t bytes;                     /* of them */
    uint64_t refused;
};

static uint32_t draw(struct refusal *refusal, uint32_t below)
{
    refusal->random = refusal->random * 1664525U + 1013904223U;
    return (refusal->random >> 8) % below;
}

static size_t octets_of_shape(size_t index)
{
    size_t octets = 0;

    for (uint32_t n = 0; n < shapes[index].frames; n++)
        octets += weir_queue_octets(shapes[index].size[n]);
    return octets;
}

/* A command that lies before a message takes room with it, or not; so there is
 * none where octets are counted. */
static void compose(struct refusal *refusal)
{
    static const uint8_t ping[] = {4, 7, 4, 'P', 'I', 'N', 'G', 0, 0};

    refusal->size = 0;
    for (size_t i = 0; i < REFUSALS; i++) {
        size_t index = draw(refusal, draw(refusal, 3) ? 5 : SHAPES);

        for (uint32_t n = 0; n < shapes[index].frames; n++) {
            if (!refusal->mark.bytes && draw(refusal, 8) == 0) {
                memcpy(refusal->octets + refusal->size, ping, sizeof ping);
                refusal->size += sizeof ping;
            }
            refusal->size +=
                encode(refusal->octets + refusal->size, index, n,
                       shapes[index].size[n], n + 1 < shapes[index].frames);
        }
        refusal->shape[i] = index;
        refusal->ends[i] = refusal->size;
    }
}

static bool is_welcome(const struct refusal *refusal, size_t octets)
{
    size_t waiting = refusal->to - refusal->from;

    if (refusal->mark.messages && waiting >= refusal->mark.messages)
        return false;
    return !refusal->mark.bytes || waiting == 0 ||
           refusal->bytes + octets <= refusal->mark.bytes;
}

/* Messages that end in what has come are kept, or not. */
static void expect_until(struct refusal *refusal, size_t *next, size_t at)
{
    for (; *next < REFUSALS && refusal->ends[*next] <= at; ++*next) {
        size_t index = refusal->shape[*next];
        size_t octets = octets_of_shape(index);

        if (!is_welcome(refusal, octets)) {
            refusal->refused++;
            continue;
        }
        refusal->waiting[refusal->to++] = index;
        refusal->bytes += octets;
    }
}

static void take_some(struct refusal *refusal, size_t most)
{
    for (; most > 0 && refusal->from < refusal->to; most--) {
        size_t index = refusal->waiting[refusal->from++];

        take_shape(refusal->queue, index);
        refusal->bytes -= octets_of_shape(index);
    }
}

static int ignore_command(void *arg, const uint8_t *body, size_t size)
{
    (void)arg;
    (void)body;
    (void)size;
    return 0;
}

static void converse(struct refusal *refusal)
{
    static const struct weir_queue_parser parser = {.refuses = true,
                                                    .command = ignore_command};
    uint32_t longest = 1u << draw(refusal, 17);
    size_t at = 0, next = 0;

    refusal->from = refusal->to = 0;
    while (at < refusal->size) {
        size_t some = 1 + draw(refusal, longest);
        uint64_t before = refusal->to;

        if (some > refusal->size - at)
            some = refusal->size - at;
        at += some;
        expect_until(refusal, &next, at);
        assert_int_equal(feed(refusal->queue, &parser,
                              refusal->octets + at - some, some,
                              1 + draw(refusal, 100000), draw(refusal, 2)),
                         refusal->to - before);
        assert_int_equal(weir_queue_refused(refusal->queue), refusal->refused);
        if (draw(refusal, 3) == 0)
            take_some(refusal, draw(refusal, 6));
    }
    take_some(refusal, REFUSALS);
    assert_false(weir_queue_ready(refusal->queue));
}

/* What is beyond the mark is forgotten, wherever it was cut into portions, and
 * all else comes whole and in order. */
static void test_refusing(void **state)
{
    static const struct weir_queue_limits marks[] = {
        {1, 0}, {4, 0}, {0, 300}, {0, 40000}, {20, 100000}};
    static struct refusal refusal;
    struct fixture *fixture = *state;
    uint64_t refused = 0;

    refusal.octets = malloc(32 * MB);
    assert_non_null(refusal.octets);
    for (uint32_t i = 0; i < 60; i++) {
        open_queue(fixture);
        refusal.queue = fixture->queue;
        refusal.mark = marks[i % 5];
        refusal.random = i;
        refusal.refused = 0;
        weir_queue_set_mark(fixture->queue, refusal.mark);
        compose(&refusal);
        converse(&refusal);
        converse(&refusal);
        refused += refusal.refused;
        assert_int_equal(weir_queue_rollback(fixture->queue), 0);
        assert_true(weir_queue_idle(fixture->queue));
        close_queue(fixture);
    }
    free(refusal.octets);
    assert_true(refused > 1000);
}

/* Who refuses takes no memory, however much comes. */
static void test_refusing_takes_no_memory(void **state)
{
    static const struct weir_queue_parser parser = {.refuses = true};
    struct weir_queue_limits limits = {2, 0};
    struct fixture *fixture = *state;
    uint64_t put, taken, octets;

    open_queue(fixture);
    weir_queue_set_mark(fixture->queue, limits);
    assert_int_equal(FEED(fixture->queue, &parser, "\0\1a\0\1b"), 2);
    for (size_t most = 100; most < MB; most *= 3) {
        const struct weir_chunk *tail;
        unsigned chunks = 1;

        assert_int_equal(feed(fixture->queue, &parser, fixture->stream.octets,
                              fixture->stream.size, most, false),
                         0);
        for (tail = fixture->queue->in.first; tail != fixture->queue->in.tail;
             tail = tail->next)
            chunks++;
        assert_in_range(chunks, 1, 2);
    }
    weir_queue_counts(fixture->queue, &put, &taken, &octets);
    assert_int_equal(put, 2);
    assert_int_equal(octets, 6);
    take_text(fixture->queue, "a", 0);
    take_text(fixture->queue, "b", 0);
    assert_int_equal(FEED(fixture->queue, &parser, "\0\1c"), 1);
    take_text(fixture->queue, "c", 0);
    close_queue(fixture);
}

/* Who holds both ends reads into the same octets again and again. */
static void test_rewinding_while_receiving(void **state)
{
    struct fixture *fixture = *state;

    open_queue(fixture);
    assert_int_equal(FEED(fixture->queue, &no_limits, "\0\1a"), 1);
    take_text(fixture->queue, "a", 0);
    scarce_count_anew();
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(feed(fixture->queue, &no_limits,
                              (const uint8_t *)"\0\1a", 3, 3, true),
                         1);
        take_text(fixture->queue, "a", 0);
    }
    assert_int_equal(scarce_count, 0);
    assert_int_equal(fixture->queue->in.write - fixture->queue->in.data, 3);
    close_queue(fixture);
}

/* A message that was half written is set aside, and of the one behind it there
 * is nothing left. */
static void test_no_rewind_with_rest_aside(void **state)
{
    struct fixture *fixture = *state;
    uint8_t octets[302];
    const uint8_t *before;

    open_queue(fixture);
    put_shape(fixture->queue, 3);
    put_shape(fixture->queue, 3);
    (void)encode(octets, 3, 0, shapes[3].size[0], 0);
    assert_int_equal(write_out(fixture->queue, octets, 100, 16), 100);
    assert_int_equal(weir_queue_skip(fixture->queue), 1);
    before = fixture->queue->in.write;
    weir_queue_rewind(fixture->queue);
    assert_ptr_equal(fixture->queue->in.write, before);
    (void)write_out(fixture->queue, octets + 100, MB, 16);
    weir_queue_rewind(fixture->queue);
    assert_ptr_equal(fixture->queue->in.write, fixture->queue->in.data);
    close_queue(fixture);
}

/* One full read, and the next may be as large as a read is worth. */
static void test_reads_get_larger(void **state)
{
    struct fixture *fixture = *state;
    struct iovec parts[2];
    size_t room;

    open_queue(fixture);
    assert_int_equal(weir_queue_space(fixture->queue, parts, true), 1);
    room = parts[0].iov_len;
    assert_true(room < 20000);
    memset(parts[0].iov_base, 0, room); /* empty messages */
    assert_int_equal(weir_queue_filled(fixture->queue, room, &no_limits),
                     room / 2);
    while (weir_queue_skip(fixture->queue))
        ;
    assert_int_equal(weir_queue_space(fixture->queue, parts, true), 1);
    assert_true(parts[0].iov_len >= 65536);
    close_queue(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_octets_as_the_rfc_says),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_skip_while_writing),
        cmocka_unit_test(test_cut_aside),
        cmocka_unit_test(test_marks_of_a_writer),
        cmocka_unit_test(test_a_writer_counts_by_chunks),
        cmocka_unit_test(test_more_came_meanwhile),
        cmocka_unit_test(test_a_number_that_comes_late),
        cmocka_unit_test(test_latest_is_written),
        cmocka_unit_test(test_any_portions),
        cmocka_unit_test(test_rollback_everywhere),
        cmocka_unit_test(test_odd_heads),
        cmocka_unit_test(test_rows_of_one_size),
        cmocka_unit_test(test_limit_of_a_frame),
        cmocka_unit_test(test_limit_of_frames),
        cmocka_unit_test(test_messages_before_the_fault_are_there),
        cmocka_unit_test(test_claims_cost_nothing),
        cmocka_unit_test(test_large_frames_in_a_row),
        cmocka_unit_test(test_hidden_commands),
        cmocka_unit_test(test_published_commands),
        cmocka_unit_test(test_large_commands),
        cmocka_unit_test(test_commands_take_no_memory),
        cmocka_unit_test(test_writer_is_told_in_a_message),
        cmocka_unit_test(test_reading_stops_at_the_mark),
        cmocka_unit_test(test_message_beyond_the_mark),
        cmocka_unit_test(test_refusing),
        cmocka_unit_test(test_refusing_takes_no_memory),
        cmocka_unit_test(test_rewinding_while_receiving),
        cmocka_unit_test(test_no_rewind_with_rest_aside),
        cmocka_unit_test(test_reads_get_larger),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
