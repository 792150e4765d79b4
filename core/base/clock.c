#include "config.h"

#include "base/clock.h"

#include <limits.h>
#include <time.h>

int64_t weir_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t weir_deadline_in(int ms)
{
    if (ms < 0)
        return WEIR_NEVER;
    if (ms == 0)
        return 0;
    return weir_now() + (int64_t)ms * 1000000;
}

int weir_deadline_left(int64_t deadline)
{
    int64_t left;

    if (deadline == WEIR_NEVER)
        return -1;
    if (deadline <= 0)
        return 0;
    left = deadline - weir_now();
    if (left <= 0)
        return 0;
    left = (left - 1) / 1000000 + 1;
    return left < INT_MAX ? (int)left : INT_MAX;
}
