/*
 * traffic.h - numbered messages: how many frames, how long, and what is in
 * them follows from the number, so that any receiver can check what it gets.
 */
#ifndef WEIR_TESTS_TRAFFIC_H
#define WEIR_TESTS_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_FRAMES  5
#define TRAFFIC_LONGEST (1u << 20)

struct traffic {
    uint64_t seed;
    bool commands; /* some are commands, of one frame */
    bool large;    /* some frames are up to TRAFFIC_LONGEST */
};

/* What message `number` looks like. */
struct traffic_shape {
    int frames;
    bool command; /* a frame with WEIR_FRAME_COMMAND ... */
    bool hidden;  /* ... that no consumer shall see */
    size_t size[TRAFFIC_FRAMES];
};

/* A pseudo-random number. */
uint64_t traffic_random(uint64_t *state);

/* The shape of a message.  Its first frame has 9 octets at least: the number,
 * and 'h' for hidden or 'v' for visible. */
struct traffic_shape traffic_shape(const struct traffic *traffic,
                                   uint64_t number);

/* Write the payload of frame `index`, of `size` octets. */
void traffic_fill(const struct traffic *traffic, uint64_t number, int index,
                  uint8_t *data, size_t size);

/* Is that what is there? */
bool traffic_check(const struct traffic *traffic, uint64_t number, int index,
                   const uint8_t *data, size_t size);

/* The number in a first frame; UINT64_MAX if it is too short for one. */
uint64_t traffic_number(const uint8_t *data, size_t size);

#endif
