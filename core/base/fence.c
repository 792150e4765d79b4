#include "config.h"

#include "base/fence.h"

_Atomic bool weir_fence_asymmetric;

#if defined(HAVE_MEMBARRIER) && !defined(WEIR_FENCE_REAL)

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

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
 * fence a real one from here on. */
void weir_fence_heavy(void)
{
    if (atomic_load_explicit(&weir_fence_asymmetric, memory_order_relaxed)) {
        if (WEIR_LIKELY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0))
            return;
        atomic_store(&weir_fence_asymmetric, false);
    }
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
