/*
 * rate.h - how fast a publisher may send.
 *
 * Each packet takes up the time that it would take on a wire of that rate,
 * and packets may go as long as the time that is taken up does not reach into
 * the future.  Time that was not used is kept for a few milliseconds, since a
 * thread is not woken to the microsecond: openpgm's own limit, which keeps
 * one, is not reached on a machine with other things to do.
 *
 * Pure: the caller has the clock.
 * Above: send.c.  Below: nothing.
 */
#ifndef WEIR_PGM_RATE_H
#define WEIR_PGM_RATE_H

#include <stddef.h>
#include <stdint.h>

struct weir_pgm_rate {
    uint64_t kbit;  /* per second */
    uint64_t slack; /* ns of unused time that are kept */
    uint64_t now;   /* ns, as seen last */
    uint64_t next;  /* ns, when the next packet may go */
};

/* `kbit` per second, more than 0; nothing is taken up yet. */
void weir_pgm_rate_init(struct weir_pgm_rate *rate, unsigned kbit);

/* See what time it is. */
void weir_pgm_rate_look(struct weir_pgm_rate *rate, uint64_t now);

/* ns until a packet may go, as of the last look; 0 = now. */
static inline uint64_t weir_pgm_rate_wait(const struct weir_pgm_rate *rate)
{
    return rate->next <= rate->now ? 0 : rate->next - rate->now;
}

/* A packet of so many octets, with all its headers, was sent. */
void weir_pgm_rate_spend(struct weir_pgm_rate *rate, size_t octets);

#endif
