/* rate.c - see rate.h. */
#include "config.h"

#include "rate.h"

enum {
    MS = 1000000, /* in ns */
    SLACK_MIN = 1 * MS,
    SLACK_MAX = 5 * MS,
    BURST = 256 * 1024 /* octets that receivers are likely to have room for */
};

static uint64_t time_of(const struct weir_pgm_rate *rate, uint64_t octets)
{
    return octets * 8 * MS / rate->kbit;
}

void weir_pgm_rate_init(struct weir_pgm_rate *rate, unsigned kbit)
{
    uint64_t slack;

    rate->kbit = kbit;
    rate->now = rate->next = 0;
    slack = time_of(rate, BURST);
    if (slack > SLACK_MAX)
        slack = SLACK_MAX;
    rate->slack = slack < SLACK_MIN ? SLACK_MIN : slack;
}

void weir_pgm_rate_look(struct weir_pgm_rate *rate, uint64_t now)
{
    rate->now = now;
    if (now > rate->slack && rate->next < now - rate->slack)
        rate->next = now - rate->slack;
}

void weir_pgm_rate_spend(struct weir_pgm_rate *rate, size_t octets)
{
    rate->next += time_of(rate, octets);
}
