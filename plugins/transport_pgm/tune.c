/* tune.c - a table of options, and what follows from their values. */
#include "config.h"

#include "tune.h"

#include "../common/option.h"

#include <errno.h>
#include <limits.h>

#define ROW WEIR_COMMON_ROW

#define WINDOW_MAX (1 << 24) /* packets */

/* A receiver's window has to hold what comes behind a packet until that is
 * given up, or openpgm throws away what it has: twice what the sender keeps,
 * and what comes in this time (ms). */
#define PATIENCE 1000

const weir_option weir_pgm_options[WEIR_PGM_OPTIONS] = {
    [WEIR_PGM_RATE] =
        ROW(INT, "rate", .unit = "kbit/s", .min = 1, .max = 10000000,
            .fallback = 100000,
            .doc = "The most that is sent, headers included, repairs apart; "
                   "who sends more waits. Receivers make room for as much, "
                   "so it should be the same on both sides."),
    [WEIR_PGM_RECOVERY] =
        ROW(INT, "recovery", .unit = "ms", .min = 100, .max = 3600000,
            .fallback = 2000,
            .doc = "How long what was sent at the full rate is kept for "
                   "repairs. Should be the same on both sides."),
    [WEIR_PGM_TPDU] =
        ROW(INT, "tpdu", .unit = "bytes", .min = 256, .max = 65000,
            .fallback = 1500,
            .doc = "The largest packet, with all headers. Receivers drop "
                   "larger ones, so it should be the same on both sides, and "
                   "not more than the network carries in one piece."),
    [WEIR_PGM_HOPS] =
        ROW(INT, "hops", .min = 1, .max = 255, .fallback = 1,
            .doc = "The time to live of packets: 1 stays in the local "
                   "network, each more passes one router."),
    [WEIR_PGM_LOOP] =
        ROW(BOOL, "loop", .max = 1, .fallback = 1,
            .doc = "Receivers on the sender's own machine hear it too."),
    [WEIR_PGM_TOS] =
        ROW(INT, "tos", .max = 255, .fallback = 184,
            .doc = "Type of service (IPv4) or traffic class (IPv6) of "
                   "packets."),
    [WEIR_PGM_SEND_BUFFER] =
        ROW(INT, "send-buffer", .unit = "bytes", .max = INT_MAX,
            .doc = "Size of the system's send buffer. 0: the system's "
                   "value."),
    [WEIR_PGM_RECV_BUFFER] =
        ROW(INT, "recv-buffer", .unit = "bytes", .max = INT_MAX,
            .fallback = 1 << 20,
            .doc = "Size of the system's receive buffer, as far as the "
                   "system allows. 0: the system's value."),
};

/* Packets of the full size that the full rate has in a time, as libzmq counts
 * them. */
static int64_t packets_in(const struct weir_pgm_tuning *tuning, int64_t ms)
{
    int64_t octets = ms * tuning->number[WEIR_PGM_RATE] / 8;
    int64_t packets = octets / tuning->number[WEIR_PGM_TPDU];

    return packets < 1 ? 1 : packets;
}

static int check(const weir_host *host, const char *scheme,
                 struct weir_pgm_tuning *tuning, weir_error *error)
{
    int rate = tuning->number[WEIR_PGM_RATE];
    int tpdu = tuning->number[WEIR_PGM_TPDU];
    int64_t window = packets_in(tuning, tuning->number[WEIR_PGM_RECOVERY]);

    if ((int64_t)rate * 125 < tpdu)
        return host->fail(error, EINVAL,
                          "%s: option rate: at %d kbit/s not one packet of "
                          "%d octets (option tpdu) goes in a second",
                          scheme, rate, tpdu);
    if (window > WINDOW_MAX)
        return host->fail(error, EINVAL,
                          "%s: option recovery: %d ms at %d kbit/s are %lld "
                          "packets; at most %d can be kept",
                          scheme, tuning->number[WEIR_PGM_RECOVERY], rate,
                          (long long)window, WINDOW_MAX);
    tuning->window = (int)window;
    tuning->recv_window = (int)(2 * window + packets_in(tuning, PATIENCE));
    return 0;
}

int weir_pgm_tune_read(const weir_host *host, const weir_ep *ep,
                       const char *scheme, struct weir_pgm_tuning *out,
                       weir_error *error)
{
    int64_t most = 0;
    int rc = 0;

    for (int row = 0; row < WEIR_PGM_OPTIONS && rc == 0; row++)
        rc = weir_common_option(host, ep, scheme, &weir_pgm_options[row],
                                &out->number[row], error);
    if (rc < 0)
        return rc;
    out->max_message =
        host->option_int(ep, "max-message", &most) < 0 || most < 0
            ? 0
            : (uint64_t)most;
    return check(host, scheme, out, error);
}
