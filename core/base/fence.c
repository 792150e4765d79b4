#include "config.h"

#include "base/fence.h"

_Atomic bool weir_fence_asymmetric;

#if defined(HAVE_MEMBARRIER) && !defined(WEIR_FENCE_REAL)

#include "base/clock.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEEN_NS 1000000

static _Atomic int64_t seen_by;

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

static void register_process(void)
{
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
        atomic_store(&weir_fence_asymmetric, true);
}

void weir_fence_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_process);
}

/* A filter of system calls that came after the registration makes every light
 * fence a real one from here on.  Those that were passed before are over once
 * their stores are seen, which takes less than a microsecond by itself; until
 * `seen_by` nobody's heavy fence ends. */
static void go_without(void)
{
    atomic_store(&seen_by, weir_now() + SEEN_NS);
    atomic_store(&weir_fence_asymmetric, false);
}

void weir_fence_heavy(void)
{
    if (weir_fence_is_asymmetric()) {
        if (WEIR_LIKELY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0))
            return;
        go_without();
    }
    while (weir_now() < atomic_load(&seen_by))
        weir_cpu_relax();
    weir_fence_full();
}

#else

void weir_fence_init(void)
{
}

void weir_fence_heavy(void)
{
    weir_fence_full();
}

#endif
