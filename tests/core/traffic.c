#include "config.h"

#include "traffic.h"

#include <pthread.h>
#include <string.h>

#define PERIOD 65536
#define FIRST  9 /* octets that a first frame has in front */

static uint8_t noise[PERIOD + TRAFFIC_LONGEST];

uint64_t traffic_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static void make_noise(void)
{
    uint64_t state = 88172645463325252u;

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)(traffic_random(&state) >> 32);
}

static const uint8_t *noise_of(uint64_t number, int index)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_noise);
    return noise + (number * 7 + (uint64_t)index * 31) % PERIOD;
}

static uint64_t state_of(const struct traffic *traffic, uint64_t number)
{
    uint64_t state =
        ((number + 1) * UINT64_C(0x9E3779B97F4A7C15)) ^ traffic->seed;

    if (state == 0)
        state = 1;
    (void)traffic_random(&state);
    (void)traffic_random(&state);
    return state;
}

/* Mostly small, now and then of every kind that a queue treats differently. */
static size_t some_size(const struct traffic *traffic, uint64_t *state)
{
    uint64_t kind = traffic_random(state) % 1000;
    size_t size = (size_t)traffic_random(state);

    if (kind < 780)
        return size % 120;
    if (kind < 800)
        return 250 + size % 10;
    if (kind < 970)
        return size % 3000;
    if (kind < 994)
        return size % 20000;
    if (!traffic->large || kind < 998)
        return 16384 + size % 120000;
    return size % TRAFFIC_LONGEST;
}

struct traffic_shape traffic_shape(const struct traffic *traffic,
                                   uint64_t number)
{
    uint64_t state = state_of(traffic, number);
    struct traffic_shape shape = {.frames = 1};

    shape.command = traffic->commands && traffic_random(&state) % 11 == 0;
    shape.hidden = shape.command && traffic_random(&state) % 2;
    if (!shape.command && traffic_random(&state) % 4 == 0)
        shape.frames += (int)(traffic_random(&state) % TRAFFIC_FRAMES);
    for (int i = 0; i < shape.frames; i++)
        shape.size[i] = some_size(traffic, &state);
    if (shape.size[0] < FIRST)
        shape.size[0] += FIRST;
    return shape;
}

static void first_octets(const struct traffic *traffic, uint64_t number,
                         uint8_t octets[FIRST])
{
    memcpy(octets, &number, sizeof(number));
    octets[8] = traffic_shape(traffic, number).hidden ? 'h' : 'v';
}

void traffic_fill(const struct traffic *traffic, uint64_t number, int index,
                  uint8_t *data, size_t size)
{
    if (size)
        memcpy(data, noise_of(number, index), size);
    if (index == 0)
        first_octets(traffic, number, data);
}

bool traffic_check(const struct traffic *traffic, uint64_t number, int index,
                   const uint8_t *data, size_t size)
{
    uint8_t first[FIRST];
    size_t done = 0;

    if (index == 0) {
        first_octets(traffic, number, first);
        if (size < FIRST || memcmp(data, first, FIRST))
            return false;
        done = FIRST;
    }
    return size == done ||
           !memcmp(data + done, noise_of(number, index) + done, size - done);
}

uint64_t traffic_number(const uint8_t *data, size_t size)
{
    uint64_t number = UINT64_MAX;

    if (size >= FIRST)
        memcpy(&number, data, sizeof(number));
    return number;
}
