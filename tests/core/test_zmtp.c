/*
 * test_zmtp.c - the ZMTP codec: greeting, handshake, metadata, socket types.
 * test_line_NN_... is line NN of the wire conformance checklist; the others
 * are rules of ours.
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

#include <weir/weir.h>

#include "base/error.h"
#include "core/mechanism.h"
#include "core/zmtp.h"
#include "memory.h"
#include "tests/core/vector.h"

#define SIGNATURE "ff00000000000000017f"
#define GREETING  SIGNATURE "03014e554c4c 00*48 "
#define GREETING0 SIGNATURE "03004e554c4c 00*48 "

/* READY of a DEALER and of a ROUTER without an id, of a SUB. */
#define READY_DEALER                                                    \
    "0429 055245414459 0b536f636b65742d54797065 00000006 4445414c4552 " \
    "084964656e74697479 00000000 "
#define READY_ROUTER                                                    \
    "0429 055245414459 0b536f636b65742d54797065 00000006 524f55544552 " \
    "084964656e74697479 00000000 "
#define READY_SUB "0419 055245414459 0b536f636b65742d54797065 00000003 535542 "

/* ---- a connection under test */

struct octets {
    uint8_t data[70000];
    size_t len;
};

struct side {
    struct weir_zmtp z;
    struct octets said; /* what it has written so far */
};

static struct side here, there;
static struct octets work;

static const struct weir_zmtp_config dealer = {.socket_type = "DEALER"};

static struct octets *hex(const char *text)
{
    long len = vector_hex(text, work.data, sizeof work.data);

    assert_true(len >= 0);
    work.len = (size_t)len;
    return &work;
}

static void begin(struct side *side, const struct weir_zmtp_config *config)
{
    memset(side, 0, sizeof *side);
    assert_int_equal(weir_zmtp_init(&side->z, config), 0);
}

static void end(struct side *side)
{
    weir_zmtp_fini(&side->z);
}

static void drain(struct side *side)
{
    const void *data;
    size_t len;

    while (weir_zmtp_output(&side->z, &data, &len)) {
        assert_true(len > 0);
        assert_true(side->said.len + len <= sizeof side->said.data);
        memcpy(side->said.data + side->said.len, data, len);
        side->said.len += len;
        weir_zmtp_output_done(&side->z, len);
    }
}

/* Feed without looking for output. */
static ssize_t push(struct side *side, const char *text)
{
    const struct octets *octets = hex(text);

    return weir_zmtp_input(&side->z, octets->data, octets->len);
}

/* Feed as a link does: write what is there, read, write again. */
static ssize_t feed(struct side *side, const char *text)
{
    ssize_t rc;

    drain(side);
    rc = push(side, text);
    drain(side);
    return rc;
}

/* All must be taken. */
static void take(struct side *side, const char *text)
{
    ssize_t rc = feed(side, text);

    assert_int_equal(rc, work.len);
}

static void assert_said(const struct side *side, const char *text)
{
    const struct octets *octets = hex(text);

    assert_int_equal(side->said.len, octets->len);
    assert_memory_equal(side->said.data, octets->data, octets->len);
}

/* Octets since the n-th. */
static void assert_said_from(const struct side *side, size_t n,
                             const char *text)
{
    const struct octets *octets = hex(text);

    assert_int_equal(side->said.len, n + octets->len);
    assert_memory_equal(side->said.data + n, octets->data, octets->len);
}

static enum weir_zmtp_phase phase(const struct side *side)
{
    return weir_zmtp_phase(&side->z);
}

static void assert_ready(const struct side *side)
{
    if (phase(side) == WEIR_ZMTP_FAILED)
        print_error("failed: %s\n", weir_zmtp_reason(&side->z));
    assert_int_equal(phase(side), WEIR_ZMTP_READY);
}

/* The connection has failed for this reason; so will every input. */
static void assert_failed(struct side *side, int code, const char *words)
{
    assert_int_equal(phase(side), WEIR_ZMTP_FAILED);
    assert_int_equal(weir_zmtp_input(&side->z, "x", 1), -code);
    assert_string_equal(weir_error_text(), weir_zmtp_reason(&side->z));
    if (strstr(weir_zmtp_reason(&side->z), words) == NULL)
        print_error("reason: %s\n", weir_zmtp_reason(&side->z));
    assert_non_null(strstr(weir_zmtp_reason(&side->z), words));
    assert_int_equal(weir_zmtp_permanent(&side->z), code != ENOMEM);
}

/* A DEALER gets a greeting and then this: it must fail so. */
static void assert_refuses(const char *text, int code, const char *words)
{
    begin(&here, &dealer);
    take(&here, GREETING);
    assert_int_equal(feed(&here, text), -code);
    assert_failed(&here, code, words);
    assert_int_equal(weir_zmtp_status(&here.z), 0);
    end(&here);
}

/* A READY of `len` octets of metadata, in long form. */
static struct octets *ready_with(const void *metadata, size_t len)
{
    static struct octets ready;
    size_t n = weir_zmtp_put_header(ready.data, 6 + len, WEIR_ZMTP_COMMAND);

    memcpy(ready.data + n, "\5READY", 6);
    memcpy(ready.data + n + 6, metadata, len);
    ready.len = n + 6 + len;
    return &ready;
}

static ssize_t feed_octets(struct side *side, const struct octets *octets)
{
    ssize_t rc;

    drain(side);
    rc = weir_zmtp_input(&side->z, octets->data, octets->len);
    drain(side);
    return rc;
}

/* ---- greeting */

static void test_line_01_connecting_sends_signature(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.initiator = true;
    begin(&here, &config);
    drain(&here);
    assert_said(&here, SIGNATURE);
    end(&here);

    config.identity = "id-1";
    config.identity_len = 4;
    begin(&here, &config);
    drain(&here);
    assert_said(&here, "ff00000000000000057f");
    end(&here);
}

static void test_line_02_accepting_sends_signature(void **state)
{
    (void)state;
    begin(&here, &dealer);
    drain(&here);
    assert_said(&here, SIGNATURE);
    assert_int_equal(phase(&here), WEIR_ZMTP_GREET);
    end(&here);
}

static void test_line_03_major_waits_for_signature(void **state)
{
    (void)state;
    begin(&here, &dealer);
    take(&here, "ff0000000000000001");
    assert_said(&here, SIGNATURE);
    take(&here, "7f");
    assert_said(&here, SIGNATURE "03");
    end(&here);
}

static void test_line_04_rest_waits_for_major(void **state)
{
    (void)state;
    begin(&here, &dealer);
    take(&here, SIGNATURE);
    assert_said(&here, SIGNATURE "03");
    take(&here, "03");
    assert_said(&here, GREETING);
    assert_int_equal(weir_zmtp_generation(&here.z), WEIR_ZMTP_UNKNOWN);
    end(&here);
}

static void test_line_05_octet_by_octet(void **state)
{
    static const char *const all = GREETING READY_ROUTER;
    struct octets whole;

    (void)state;
    begin(&there, &dealer);
    take(&there, all);
    assert_ready(&there);
    whole = *hex(all);
    begin(&here, &dealer);
    for (size_t i = 0; i < whole.len; i++) {
        assert_int_not_equal(phase(&here), WEIR_ZMTP_READY);
        assert_int_equal(weir_zmtp_input(&here.z, whole.data + i, 1), 1);
        drain(&here);
    }
    assert_ready(&here);
    assert_int_equal(here.said.len, there.said.len);
    assert_memory_equal(here.said.data, there.said.data, here.said.len);
    assert_string_equal(weir_zmtp_peer_type(&here.z), "ROUTER");
    end(&here);
    end(&there);
}

static void test_line_05_every_cut(void **state)
{
    struct octets whole = *hex(GREETING READY_ROUTER);
    ssize_t rest;

    (void)state;
    for (size_t cut = 1; cut < whole.len; cut++) {
        begin(&here, &dealer);
        assert_int_equal(weir_zmtp_input(&here.z, whole.data, cut), cut);
        rest = (ssize_t)(whole.len - cut);
        assert_int_equal(
            weir_zmtp_input(&here.z, whole.data + cut, whole.len - cut), rest);
        assert_ready(&here);
        drain(&here);
        assert_said(&here, GREETING READY_DEALER);
        end(&here);
    }
}

static void test_line_06_glued_traffic_is_left(void **state)
{
    ssize_t taken;

    (void)state;
    begin(&here, &dealer);
    taken = feed(&here, GREETING READY_ROUTER "000178 000179");
    assert_int_equal(taken, work.len - 6);
    assert_ready(&here);
    assert_int_equal(push(&here, "000178"), 0);
    end(&here);
}

static void test_line_07_padding_is_free(void **state)
{
    static const char *const signatures[] = {
        "ffabababababababab01",
        "ffffffffffffffffffff",
        "ff000000000000000001",
        "ff8000000000000000fb",
    };

    (void)state;
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        begin(&here, &dealer);
        take(&here, signatures[i]);
        take(&here, "03014e554c4c 00*48 " READY_ROUTER);
        assert_ready(&here);
        end(&here);
    }
}

static void assert_old(const char *text, const char *said,
                       enum weir_zmtp_generation generation)
{
    begin(&here, &dealer);
    assert_int_equal(feed(&here, text), -EPROTONOSUPPORT);
    assert_int_equal(weir_zmtp_generation(&here.z), generation);
    assert_said(&here, said);
    assert_failed(&here, EPROTONOSUPPORT, "ZMTP 3.0 or 3.1 is needed");
    end(&here);
}

static void test_line_08_long_1_0_identity(void **state)
{
    (void)state;
    assert_old("ff000000000000000400", SIGNATURE, WEIR_ZMTP_1_0);
    assert_old("ffabababababababab7e", SIGNATURE, WEIR_ZMTP_1_0);
    begin(&here, &dealer);
    take(&here, "ff0000000000000004");
    assert_int_equal(phase(&here), WEIR_ZMTP_GREET);
    end(&here);
}

static void test_line_09_first_octet_tells_1_0(void **state)
{
    (void)state;
    assert_old("01", SIGNATURE, WEIR_ZMTP_1_0);
    assert_old("00", SIGNATURE, WEIR_ZMTP_1_0);
    assert_old("fe", SIGNATURE, WEIR_ZMTP_1_0);
    begin(&here, &dealer);
    assert_int_equal(feed(&here, "47455420"), -EPROTONOSUPPORT);
    assert_failed(&here, EPROTONOSUPPORT, "it began with 47");
    end(&here);
}

static void test_revisions_before_3(void **state)
{
    (void)state;
    assert_old(SIGNATURE "00", SIGNATURE "03", WEIR_ZMTP_REV0);
    assert_old(SIGNATURE "01", SIGNATURE "03", WEIR_ZMTP_2_0);
    assert_old(SIGNATURE "0105", SIGNATURE "03", WEIR_ZMTP_2_0);
    assert_old(SIGNATURE "02", SIGNATURE "03", WEIR_ZMTP_2_0);
}

static void assert_version(const char *version,
                           enum weir_zmtp_generation generation)
{
    begin(&here, &dealer);
    take(&here, SIGNATURE);
    take(&here, version);
    take(&here, "4e554c4c 00*48");
    assert_int_equal(weir_zmtp_generation(&here.z), generation);
    take(&here, READY_ROUTER);
    assert_ready(&here);
    assert_said(&here, GREETING READY_DEALER);
    end(&here);
}

static void test_line_10_higher_major(void **state)
{
    (void)state;
    assert_version("0400", WEIR_ZMTP_3_1);
    assert_version("0401", WEIR_ZMTP_3_1);
    assert_version("ff00", WEIR_ZMTP_3_1);
    assert_version("ffff", WEIR_ZMTP_3_1);
}

static void test_line_11_minor(void **state)
{
    (void)state;
    assert_version("0307", WEIR_ZMTP_3_1);
    assert_version("0301", WEIR_ZMTP_3_1);
    assert_version("0300", WEIR_ZMTP_3_0);
}

/* The peer gets our whole greeting before we close. */
static void test_line_12_mechanism_mismatch(void **state)
{
    static const char *const others[] = {
        "0301504c41494e 00*47",       /* PLAIN */
        "03014e554c4c0078 00*46",     /* NULL, 00, x */
        "03014e554c4c5f 00*47",       /* NULL_ */
        "03014e554c 00*49",           /* NUL */
        "03014e554c4c 00*15 01 00*32" /* the last of the 20 octets */
    };

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        begin(&here, &dealer);
        take(&here, SIGNATURE);
        assert_int_equal(feed(&here, others[i]), -EPROTONOSUPPORT);
        assert_said(&here, GREETING);
        assert_failed(&here, EPROTONOSUPPORT, "is not our \"NULL\"");
        end(&here);
    }
}

static void test_line_13_filler_and_as_server(void **state)
{
    (void)state;
    begin(&here, &dealer);
    take(&here, SIGNATURE "03014e554c4c 00*16 01 ff*31 " READY_ROUTER);
    assert_ready(&here);
    end(&here);
}

/* ---- a mechanism with roles and turns, for tests */

struct turns {
    int said, heard;
    size_t metadata_len;
    const void *metadata;
};

static int turns_open(const struct weir_mechanism_args *args, void **self)
{
    assert_true(args->metadata_len > 0);
    *self = calloc(1, sizeof(struct turns));
    return *self == NULL ? -ENOMEM : 0;
}

/* Client: HELLO, and INITIATE after WELCOME. */
static int turns_next(void *self, const void **body, size_t *len)
{
    static const char *const ours[] = {"\5HELLO", "\10INITIATE"};
    struct turns *turns = self;

    if (turns->said > turns->heard || turns->said == 2)
        return 0;
    *body = ours[turns->said];
    *len = strlen(ours[turns->said++]);
    return 1;
}

static int turns_process(void *self, const void *body, size_t len, int *status)
{
    struct turns *turns = self;

    *status = 0;
    if (turns->heard == 0 && len == 8 && memcmp(body, "\7WELCOME", 8) == 0)
        return turns->heard++;
    if (turns->heard != 1 || len < 6 || memcmp(body, "\5READY", 6) != 0)
        return weir_fail(EPROTO, "out of turn");
    turns->heard++;
    turns->metadata = (const char *)body + 6;
    turns->metadata_len = len - 6;
    return 0;
}

static enum weir_mechanism_state turns_state(void *self)
{
    const struct turns *turns = self;

    return turns->heard == 2 ? WEIR_MECHANISM_READY : WEIR_MECHANISM_BUSY;
}

static void turns_peer_metadata(void *self, const void **data, size_t *len)
{
    const struct turns *turns = self;

    *data = turns->metadata;
    *len = turns->metadata_len;
}

static void turns_close(void *self)
{
    free(self);
}

static const struct weir_mechanism_ops turns_ops = {
    .name = "PLAIN",
    .open = turns_open,
    .next = turns_next,
    .process = turns_process,
    .state = turns_state,
    .peer_metadata = turns_peer_metadata,
    .close = turns_close,
};

static void test_line_14_as_server(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.as_server = true;
    config.mechanism = &turns_ops;
    begin(&here, &config);
    take(&here, SIGNATURE "03");
    assert_said(&here, SIGNATURE "0301504c41494e 00*15 01 00*31");
    end(&here);
    config.as_server = false;
    begin(&here, &config);
    take(&here, SIGNATURE "03");
    assert_said(&here, SIGNATURE "0301504c41494e 00*47");
    end(&here);
    config.as_server = true;
    config.mechanism = NULL;
    begin(&here, &config);
    take(&here, SIGNATURE "03");
    assert_said(&here, GREETING);
    end(&here);
}

static void test_mechanism_with_turns(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.mechanism = &turns_ops;
    begin(&here, &config);
    take(&here, SIGNATURE "0301504c41494e 00*47");
    assert_said_from(&here, 64, "04060548454c4c4f");
    take(&here, "04080757454c434f4d45");
    assert_said_from(&here, 72, "040908494e495449415445");
    assert_int_equal(phase(&here), WEIR_ZMTP_HANDSHAKE);
    take(&here, READY_ROUTER);
    assert_ready(&here);
    assert_string_equal(weir_zmtp_peer_type(&here.z), "ROUTER");
    end(&here);

    begin(&here, &config);
    take(&here, SIGNATURE "0301504c41494e 00*47");
    assert_int_equal(feed(&here, READY_ROUTER), -EPROTO);
    assert_failed(&here, EPROTO, "out of turn");
    end(&here);
}

/* Its INITIATE has left when the type is known: too late for an ERROR. */
static void test_mechanism_with_turns_sends_no_error(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.mechanism = &turns_ops;
    begin(&here, &config);
    take(&here, SIGNATURE "0301504c41494e 00*47 04080757454c434f4d45");
    assert_int_equal(push(&here, READY_SUB), -WEIR_EINCOMPATIBLE);
    drain(&here);
    assert_said_from(&here, 72, "040908494e495449415445");
    end(&here);
}

/* ---- limits */

/* Handshake commands have the same limit, known from their header. */
static void test_line_21_limit_of_handshake(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.max_frame = 41;
    begin(&here, &config);
    take(&here, GREETING READY_ROUTER);
    assert_ready(&here);
    end(&here);
    config.max_frame = 40;
    begin(&here, &config);
    take(&here, GREETING "04");
    assert_int_equal(feed(&here, "29"), -EMSGSIZE);
    assert_failed(&here, EMSGSIZE, "a frame of 41 octets is over 40");
    end(&here);
    config.max_frame = 0;
    config.handshake_limit = 40;
    begin(&here, &config);
    assert_int_equal(feed(&here, GREETING "0429"), -EMSGSIZE);
    end(&here);
    assert_refuses("060000000000010001", EMSGSIZE, "65537 octets is over");
}

/* What a header claims costs nothing before it comes. */
static void test_line_22_no_allocation_by_claim(void **state)
{
    size_t before;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING);
    before = memory_used;
    take(&here, "06000000000000ffff 055245414459");
    assert_int_equal(phase(&here), WEIR_ZMTP_HANDSHAKE);
    assert_int_equal(memory_used, before);
    for (size_t came = 100; came < 20000; came += 100) {
        take(&here, "78*100");
        assert_true(memory_used - before <= 2 * came + 512);
    }
    end(&here);
}

static void test_line_22_command_with_top_bit(void **state)
{
    (void)state;
    assert_refuses("068000000000000000", EPROTO, "claims");
}

/* ---- metadata and types in the handshake */

static void test_line_38_identity_is_announced(void **state)
{
    struct weir_zmtp_config config = dealer;

    (void)state;
    config.identity = "id";
    config.identity_len = 2;
    begin(&here, &config);
    take(&here, GREETING);
    assert_said_from(&here, 64,
                     "042b 055245414459 0b536f636b65742d54797065 00000006"
                     "4445414c4552 084964656e74697479 00000002 6964");
    end(&here);
    config.socket_type = "PULL";
    begin(&here, &config);
    take(&here, GREETING);
    assert_said_from(&here, 64,
                     "0429 055245414459 0b536f636b65742d54797065 00000004"
                     "50554c4c 084964656e74697479 00000002 6964");
    end(&here);
    config.socket_type = "SUB";
    config.identity_len = 0;
    begin(&here, &config);
    take(&here, GREETING);
    assert_said_from(&here, 64, READY_SUB);
    end(&here);
}

static void assert_large_property(const struct side *side, const void *value,
                                  size_t value_len)
{
    struct weir_zmtp_property property;
    size_t len;
    const void *metadata = weir_zmtp_peer_metadata(&side->z, &len);

    assert_ready(side);
    assert_int_equal(weir_zmtp_find(metadata, len, "x-KEY", &property), 1);
    assert_int_equal(property.value_len, value_len);
    assert_memory_equal(property.value, value, value_len);
    assert_int_equal(weir_zmtp_find(metadata, len, "X-none", &property), 1);
    assert_int_equal(property.value_len, 0);
    assert_int_equal(weir_zmtp_find(metadata, len, "X-other", &property), 0);
}

/* More than fits the small buffers, both in one piece and octet by octet. */
static void test_line_39_own_properties(void **state)
{
    static uint8_t block[600];
    static char value[500];
    struct weir_zmtp_config config = dealer;
    size_t len, before = memory_used;

    (void)state;
    memset(value, 'v', sizeof value);
    len = weir_zmtp_put_property(block, "X-key", 5, value, sizeof value);
    len += weir_zmtp_put_property(block + len, "X-none", 6, NULL, 0);
    assert_int_equal(len, weir_zmtp_property_size(5, sizeof value) +
                              weir_zmtp_property_size(6, 0));
    config.properties = block;
    config.properties_len = len;
    begin(&here, &config);
    take(&here, GREETING);
    assert_memory_equal(here.said.data, hex(GREETING)->data, 64);
    begin(&there, &dealer);
    assert_int_equal(weir_zmtp_input(&there.z, here.said.data, here.said.len),
                     here.said.len);
    assert_large_property(&there, value, sizeof value);
    end(&there);
    begin(&there, &dealer);
    for (size_t i = 0; i < here.said.len; i++)
        assert_int_equal(weir_zmtp_input(&there.z, here.said.data + i, 1), 1);
    assert_large_property(&there, value, sizeof value);
    end(&there);
    end(&here);
    assert_int_equal(memory_used, before);
}

static void test_line_40_property_names_in_any_case(void **state)
{
    const void *id;
    size_t len;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING
         "042b 055245414459 0b736f636b65742d74797065 00000006 524f55544552 "
         "086964454e74697479 00000002 7273");
    assert_ready(&here);
    assert_string_equal(weir_zmtp_peer_type(&here.z), "ROUTER");
    id = weir_zmtp_peer_identity(&here.z, &len);
    assert_int_equal(len, 2);
    assert_memory_equal(id, "rs", 2);
    end(&here);
}

/* A READY whose metadata is cut anywhere but between properties. */
static void test_line_41_truncated_metadata(void **state)
{
    struct octets whole = *hex("0b536f636b65742d54797065 00000006 4445414c4552"
                               "084964656e74697479 00000002 6964");
    static const size_t ends[] = {0, 22, 37};

    (void)state;
    for (size_t len = 0; len <= whole.len; len++) {
        bool right = len == ends[0] || len == ends[1] || len == ends[2];

        begin(&here, &dealer);
        take(&here, GREETING);
        if (right) {
            assert_true(feed_octets(&here, ready_with(whole.data, len)) > 0);
            assert_ready(&here);
        } else {
            assert_int_equal(feed_octets(&here, ready_with(whole.data, len)),
                             -EPROTO);
            assert_failed(&here, EPROTO, "metadata");
        }
        end(&here);
    }
}

static void test_line_41_trailing_octet_and_names(void **state)
{
    (void)state;
    assert_refuses("041d 055245414459 0b536f636b65742d54797065 00000006"
                   "4445414c4552 01",
                   EPROTO, "inside a name");
    assert_refuses("040b 055245414459 00 00000000", EPROTO,
                   "a property called \"\"");
    assert_refuses("040c 055245414459 0120 00000000", EPROTO,
                   "a property called \" \"");
    assert_refuses("040c 055245414459 01ff 00000000", EPROTO,
                   "a property called \"?\"");
}

static void test_line_42_value_of_4_gigabytes(void **state)
{
    (void)state;
    assert_refuses("040c 055245414459 0161 ffffffff", EPROTO,
                   "claims a value of 4294967295 octets, has 0");
    assert_refuses("040c 055245414459 0161 80000000", EPROTO, "claims");
}

static void test_line_43_no_socket_type(void **state)
{
    size_t len = 77;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING "0406 055245414459");
    assert_ready(&here);
    assert_null(weir_zmtp_peer_type(&here.z));
    (void)weir_zmtp_peer_identity(&here.z, &len);
    assert_int_equal(len, 0);
    (void)weir_zmtp_peer_metadata(&here.z, &len);
    assert_int_equal(len, 0);
    end(&here);
}

/* All types, and who accepts whom: column i of a row is type i. */
static const struct {
    const char *name;
    const char accepts[20];
} matrix[] = {
    {"REQ", ".x.x..............."},     {"REP", "x.x................"},
    {"DEALER", ".xxx..............."},  {"ROUTER", "x.xx..............."},
    {"PUB", "......xx..........."},     {"XPUB", "......xx..........."},
    {"SUB", "....xx............."},     {"XSUB", "....xx............."},
    {"PUSH", ".........x........."},    {"PULL", "........x.........."},
    {"PAIR", "..........x........"},    {"CHANNEL", "...........x......."},
    {"CLIENT", ".............x....."},  {"SERVER", "............x......"},
    {"RADIO", "...............x..."},   {"DISH", "..............x...."},
    {"SCATTER", ".................x."}, {"GATHER", "................x.."},
    {"PEER", "..................x"},
};

#define TYPES (sizeof matrix / sizeof matrix[0])

/* What one has said goes to the other. */
static void carry(struct side *from, struct side *to)
{
    size_t before = from->said.len;

    drain(from);
    (void)weir_zmtp_input(&to->z, from->said.data + before,
                          from->said.len - before);
}

/* Connect two of these types with each other. */
static void meet(size_t own, size_t peer)
{
    struct weir_zmtp_config config = {.socket_type = matrix[own].name};

    begin(&here, &config);
    config.socket_type = matrix[peer].name;
    config.initiator = true;
    begin(&there, &config);
    for (int i = 0; i < 5; i++) {
        carry(&here, &there);
        carry(&there, &here);
    }
}

static void test_line_44_compatible_types(void **state)
{
    size_t met = 0;

    (void)state;
    assert_int_equal(TYPES, 19);
    for (size_t i = 0; i < TYPES * TYPES; i++) {
        size_t own = i / TYPES, peer = i % TYPES;

        if (matrix[own].accepts[peer] != 'x')
            continue;
        meet(own, peer);
        assert_ready(&here);
        assert_ready(&there);
        assert_string_equal(weir_zmtp_peer_type(&here.z), matrix[peer].name);
        assert_string_equal(weir_zmtp_peer_type(&there.z), matrix[own].name);
        end(&here);
        end(&there);
        met++;
    }
    assert_int_equal(met, 29);
}

/* Why one side refuses: for the types, or because the other sent ERROR,
 * which one of them at most can do. */
static int refusal(const struct side *other)
{
    static const char error[] = "\5ERROR";
    const struct octets *said = &other->said;

    if (said->len > 73 && memcmp(said->data + 66, error, 6) == 0)
        return ECONNREFUSED;
    return WEIR_EINCOMPATIBLE;
}

static void test_line_45_incompatible_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES * TYPES; i++) {
        size_t own = i / TYPES, peer = i % TYPES;

        if (matrix[own].accepts[peer] == 'x')
            continue;
        meet(own, peer);
        assert_failed(&here, refusal(&there), matrix[peer].name);
        assert_failed(&there, refusal(&here), matrix[own].name);
        end(&here);
        end(&there);
    }
}

static void test_line_45_unknown_types(void **state)
{
    (void)state;
    assert_refuses("0419 055245414459 0b536f636b65742d54797065 00000003"
                   "464f4f",
                   WEIR_EINCOMPATIBLE, "FOO");
    assert_refuses("0416 055245414459 0b536f636b65742d54797065 00000000",
                   WEIR_EINCOMPATIBLE, "socket type");
    assert_refuses("041c 055245414459 0b536f636b65742d54797065 00000006"
                   "53545245414d",
                   WEIR_EINCOMPATIBLE, "STREAM");
    assert_false(weir_zmtp_compatible("FOO", "FOO"));
    assert_null(weir_zmtp_type("REQQ", 4));
    assert_string_equal(weir_zmtp_type("REQQ", 3), "REQ");
}

/* Our READY has not left: ERROR takes its place. */
static void test_error_instead_of_ready(void **state)
{
    (void)state;
    begin(&here, &dealer);
    assert_int_equal(push(&here, GREETING READY_SUB), -WEIR_EINCOMPATIBLE);
    drain(&here);
    assert_int_equal(here.said.len, 64 + 2 + 7 + 27);
    assert_memory_equal(here.said.data + 64, "\4\42\5ERROR\33", 9);
    assert_memory_equal(here.said.data + 73, "DEALER does not talk to SUB", 27);
    begin(&there, &dealer);
    assert_int_equal(weir_zmtp_input(&there.z, here.said.data, here.said.len),
                     -ECONNREFUSED);
    assert_failed(&there, ECONNREFUSED, "does not talk to SUB");
    end(&here);
    end(&there);
}

/* Our greeting has left, our READY not: the same. */
static void test_error_after_greeting(void **state)
{
    const void *data;
    size_t len;

    (void)state;
    begin(&here, &dealer);
    assert_int_equal(push(&here, GREETING), 64);
    weir_zmtp_output_done(&here.z, 64);
    assert_int_equal(push(&here, READY_SUB), -WEIR_EINCOMPATIBLE);
    assert_true(weir_zmtp_output(&here.z, &data, &len));
    assert_int_equal(len, 2 + 7 + 27);
    assert_memory_equal(data, "\4\42\5ERROR\33", 9);
    end(&here);
}

/* One octet of it has left: the rest must follow, and nothing else. */
static void test_no_error_after_ready(void **state)
{
    const void *data;
    size_t len;

    (void)state;
    begin(&here, &dealer);
    take(&here, SIGNATURE "03");
    assert_int_equal(push(&here, "014e554c4c 00*48"), 53);
    assert_true(weir_zmtp_output(&here.z, &data, &len));
    weir_zmtp_output_done(&here.z, 1);
    assert_int_equal(push(&here, READY_SUB), -WEIR_EINCOMPATIBLE);
    assert_true(weir_zmtp_output(&here.z, &data, &len));
    assert_int_equal(len, 42);
    assert_memory_equal(data, "\51\5READY", 7);
    end(&here);
}

static void test_line_46_case_of_type(void **state)
{
    (void)state;
    assert_refuses("041c 055245414459 0b536f636b65742d54797065 00000006"
                   "726f75746572",
                   WEIR_EINCOMPATIBLE, "router");
}

static void test_line_47_unknown_properties(void **state)
{
    struct weir_zmtp_property property;
    const void *metadata;
    size_t len;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING "041d 055245414459 085265736f75726365 00000003 612f62"
                         "025a7a 00000000");
    assert_ready(&here);
    metadata = weir_zmtp_peer_metadata(&here.z, &len);
    assert_int_equal(weir_zmtp_find(metadata, len, "Resource", &property), 1);
    assert_int_equal(property.value_len, 3);
    assert_memory_equal(property.value, "a/b", 3);
    end(&here);
}

/* Every Socket-Type is checked, the last Identity counts, the first value is
 * what a reader finds. */
static void test_repeated_properties(void **state)
{
    struct weir_zmtp_property property;
    const void *data;
    size_t len;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING "0424 055245414459 084964656e74697479 00000001 61"
                         "084964656e74697479 00000003 626364");
    assert_ready(&here);
    data = weir_zmtp_peer_identity(&here.z, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(data, "bcd", 3);
    data = weir_zmtp_peer_metadata(&here.z, &len);
    assert_int_equal(weir_zmtp_find(data, len, "Identity", &property), 1);
    assert_memory_equal(property.value, "a", 1);
    end(&here);
    begin(&here, &dealer);
    take(&here, GREETING "042f 055245414459"
                         "0b536f636b65742d54797065 00000003 524550"
                         "0b536f636b65742d54797065 00000006 524f55544552");
    assert_ready(&here);
    assert_string_equal(weir_zmtp_peer_type(&here.z), "REP");
    end(&here);
    assert_refuses("042c 055245414459"
                   "0b536f636b65742d54797065 00000003 524550"
                   "0b536f636b65742d54797065 00000003 535542",
                   WEIR_EINCOMPATIBLE, "SUB");
}

/* ---- NULL */

static void test_line_48_ready_does_not_wait(void **state)
{
    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING);
    assert_said(&here, GREETING READY_DEALER);
    assert_int_equal(phase(&here), WEIR_ZMTP_HANDSHAKE);
    end(&here);
}

static void test_line_49_messages_behind_ready(void **state)
{
    const struct octets *octets;
    ssize_t taken;

    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING0);
    octets = hex(READY_ROUTER "0001 78");
    taken = weir_zmtp_input(&here.z, octets->data, octets->len);
    assert_int_equal(taken, octets->len - 3);
    assert_ready(&here);
    assert_memory_equal(octets->data + taken, "\0\1x", 3);
    end(&here);
}

static void test_line_36_case_of_ready(void **state)
{
    (void)state;
    assert_refuses("0406 057265616479", EPROTO, "\"ready\"");
}

static void test_handshake_needs_ready(void **state)
{
    (void)state;
    assert_refuses("0406 0548454c4c4f", EPROTO, "\"HELLO\"");
    assert_refuses("0001 78", EPROTO, "a frame of 1 octets");
    assert_refuses("0000", EPROTO, "a frame of 0 octets");
    assert_refuses("0400", EPROTO, "READY was expected");
    assert_refuses("0407 0450494e470000", EPROTO, "\"PING\"");
    assert_refuses("0405 0450494e47", EPROTO, "PING");
    assert_refuses("0405 0552454144", EPROTO, "READY was expected");
}

/* The COMMAND bit is not looked at; MORE and reserved bits neither. */
static void test_handshake_flags_are_free(void **state)
{
    (void)state;
    begin(&here, &dealer);
    take(&here, GREETING "0006 055245414459");
    assert_ready(&here);
    end(&here);
    begin(&here, &dealer);
    take(&here, GREETING "f506 055245414459");
    assert_ready(&here);
    end(&here);
    begin(&here, &dealer);
    take(&here, GREETING "060000000000000006 055245414459");
    assert_ready(&here);
    end(&here);
}

static void assert_error(const char *text, int status, const char *words)
{
    begin(&here, &dealer);
    take(&here, GREETING);
    assert_int_equal(feed(&here, text), -ECONNREFUSED);
    assert_failed(&here, ECONNREFUSED, words);
    assert_int_equal(weir_zmtp_status(&here.z), status);
    end(&here);
}

static void test_error_from_peer(void **state)
{
    (void)state;
    assert_error("040a 054552524f52 03343030", 400, "ERROR \"400\"");
    assert_error("040a 054552524f52 03333030", 300, "ERROR \"300\"");
    assert_error("0407 054552524f52 00", 0, "ERROR \"\"");
    assert_error("0409 054552524f52 020a25", 0, "ERROR \"?%\"");
    assert_refuses("040a 054552524f52 04343030", EPROTO, "\"ERROR\"");
    assert_refuses("0406 054552524f52", EPROTO, "\"ERROR\"");
}

/* ---- routing ids */

static void assert_identity(size_t len, uint8_t first, bool right)
{
    uint8_t id[300], metadata[400];
    size_t n;

    memset(id, 'i', sizeof id);
    id[0] = first;
    n = weir_zmtp_put_property(metadata, "Identity", 8, id, len);
    begin(&here, &dealer);
    take(&here, GREETING);
    if (right) {
        assert_true(feed_octets(&here, ready_with(metadata, n)) > 0);
        assert_ready(&here);
        assert_memory_equal(weir_zmtp_peer_identity(&here.z, &n), id, len);
        assert_int_equal(n, len);
    } else {
        assert_int_equal(feed_octets(&here, ready_with(metadata, n)), -EPROTO);
        assert_failed(&here, EPROTO, "Identity");
    }
    end(&here);
}

static void test_line_107_peer_identity(void **state)
{
    (void)state;
    assert_identity(0, 0, true);
    assert_identity(1, 1, true);
    assert_identity(255, 0xFF, true);
    assert_identity(256, 1, false);
    assert_identity(1, 0, false);
    assert_identity(5, 0, false);
}

static void test_line_107_own_identity(void **state)
{
    struct weir_zmtp_config config = dealer;
    uint8_t id[256] = {0};

    (void)state;
    config.identity = id;
    config.identity_len = 1;
    assert_int_equal(weir_zmtp_init(&here.z, &config), -EINVAL);
    assert_non_null(strstr(weir_error_text(), "00"));
    id[0] = 1;
    assert_int_equal(weir_zmtp_init(&here.z, &config), 0);
    end(&here);
    config.identity_len = 256;
    assert_int_equal(weir_zmtp_init(&here.z, &config), -EINVAL);
    assert_non_null(strstr(weir_error_text(), "256"));
}

static void test_bad_config(void **state)
{
    static uint8_t block[WEIR_ZMTP_HANDSHAKE_LIMIT + 1];
    struct weir_zmtp_config config = {.socket_type = "STREAM"};

    (void)state;
    assert_int_equal(weir_zmtp_init(&here.z, &config), -EINVAL);
    assert_non_null(strstr(weir_error_text(), "STREAM"));
    config.socket_type = "PAIR";
    config.properties = "\1";
    config.properties_len = 1;
    assert_int_equal(weir_zmtp_init(&here.z, &config), -EINVAL);
    config.properties = block;
    config.properties_len = sizeof block;
    assert_int_equal(weir_zmtp_init(&here.z, &config), -EMSGSIZE);
}

/* ---- peers that stall, and garbage */

/* The link's timer ends it; the codec just waits, and holds little. */
static void test_line_136_half_peers_wait(void **state)
{
    struct octets whole = *hex(GREETING READY_ROUTER);

    (void)state;
    for (size_t len = 0; len < whole.len; len++) {
        begin(&here, &dealer);
        assert_int_equal(weir_zmtp_input(&here.z, whole.data, len), len);
        assert_true(phase(&here) < WEIR_ZMTP_READY);
        assert_string_equal(weir_zmtp_reason(&here.z), "");
        end(&here);
    }
}

/* Garbage from octet `keep` of a good conversation on. */
static void assert_garbage(const struct octets *good, size_t keep)
{
    uint8_t noise[300];
    struct side *side = &here;

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] =
            i < keep && i < good->len ? good->data[i] : (uint8_t)draw(256);
    begin(side, &dealer);
    for (size_t i = 0; i < sizeof noise; i++) {
        if (weir_zmtp_input(&side->z, noise + i, 1) != 1)
            break;
        drain(side);
    }
    assert_true(side->z.in.room <= 1024);
    if (phase(side) == WEIR_ZMTP_FAILED)
        assert_string_not_equal(weir_zmtp_reason(&side->z), "");
    end(side);
}

static void test_line_140_garbage(void **state)
{
    struct octets good = *hex(GREETING READY_ROUTER);

    (void)state;
    for (int i = 0; i < 20000; i++)
        assert_garbage(&good, draw((uint32_t)good.len + 1));
}

/* ---- memory that is not there */

/* A conversation that needs memory for both READYs; false when it failed. */
static bool large_conversation(int allocations)
{
    static uint8_t value[2000], block[2100];
    struct weir_zmtp_config config = dealer;
    bool right;

    config.properties = block;
    config.properties_len =
        weir_zmtp_put_property(block, "X-large", 7, value, sizeof value);
    begin(&here, &config);
    (void)hex(GREETING);
    memory_fail_at = allocations;
    (void)feed_octets(&here, &work);
    (void)feed_octets(&here, ready_with(block, config.properties_len));
    memory_fail_at = -1;
    right = phase(&here) == WEIR_ZMTP_READY;
    if (!right)
        assert_failed(&here, ENOMEM, "no memory");
    end(&here);
    return right;
}

static void test_no_memory(void **state)
{
    int allocations = 0;

    (void)state;
    while (!large_conversation(allocations))
        allocations++;
    assert_in_range(allocations, 3, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_01_connecting_sends_signature),
        cmocka_unit_test(test_line_02_accepting_sends_signature),
        cmocka_unit_test(test_line_03_major_waits_for_signature),
        cmocka_unit_test(test_line_04_rest_waits_for_major),
        cmocka_unit_test(test_line_05_octet_by_octet),
        cmocka_unit_test(test_line_05_every_cut),
        cmocka_unit_test(test_line_06_glued_traffic_is_left),
        cmocka_unit_test(test_line_07_padding_is_free),
        cmocka_unit_test(test_line_08_long_1_0_identity),
        cmocka_unit_test(test_line_09_first_octet_tells_1_0),
        cmocka_unit_test(test_revisions_before_3),
        cmocka_unit_test(test_line_10_higher_major),
        cmocka_unit_test(test_line_11_minor),
        cmocka_unit_test(test_line_12_mechanism_mismatch),
        cmocka_unit_test(test_line_13_filler_and_as_server),
        cmocka_unit_test(test_line_14_as_server),
        cmocka_unit_test(test_mechanism_with_turns),
        cmocka_unit_test(test_mechanism_with_turns_sends_no_error),
        cmocka_unit_test(test_line_21_limit_of_handshake),
        cmocka_unit_test(test_line_22_no_allocation_by_claim),
        cmocka_unit_test(test_line_22_command_with_top_bit),
        cmocka_unit_test(test_line_38_identity_is_announced),
        cmocka_unit_test(test_line_39_own_properties),
        cmocka_unit_test(test_line_40_property_names_in_any_case),
        cmocka_unit_test(test_line_41_truncated_metadata),
        cmocka_unit_test(test_line_41_trailing_octet_and_names),
        cmocka_unit_test(test_line_42_value_of_4_gigabytes),
        cmocka_unit_test(test_line_43_no_socket_type),
        cmocka_unit_test(test_line_44_compatible_types),
        cmocka_unit_test(test_line_45_incompatible_types),
        cmocka_unit_test(test_line_45_unknown_types),
        cmocka_unit_test(test_error_instead_of_ready),
        cmocka_unit_test(test_error_after_greeting),
        cmocka_unit_test(test_no_error_after_ready),
        cmocka_unit_test(test_line_46_case_of_type),
        cmocka_unit_test(test_line_47_unknown_properties),
        cmocka_unit_test(test_repeated_properties),
        cmocka_unit_test(test_line_48_ready_does_not_wait),
        cmocka_unit_test(test_line_49_messages_behind_ready),
        cmocka_unit_test(test_line_36_case_of_ready),
        cmocka_unit_test(test_handshake_needs_ready),
        cmocka_unit_test(test_handshake_flags_are_free),
        cmocka_unit_test(test_error_from_peer),
        cmocka_unit_test(test_line_107_peer_identity),
        cmocka_unit_test(test_line_107_own_identity),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_line_136_half_peers_wait),
        cmocka_unit_test(test_line_140_garbage),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
