#include "config.h"

#include "base/lock.h"

#include "base/clock.h"

/* About a microsecond: critical sections are shorter than going to sleep. */
#define SPINS 40

static bool spin(struct weir_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t state =
            atomic_load_explicit(&lock->word, memory_order_relaxed);

        if (state == WEIR_LOCK_CONTENDED)
            return false;
        if (state == WEIR_LOCK_FREE && weir_lock_try(lock))
            return true;
        weir_cpu_relax();
    }
    return false;
}

/* Whoever has slept takes the lock as contended, since others may be asleep
 * still; the price is one needless wake-up by the last of them. */
void weir_lock_wait(struct weir_lock *lock)
{
    if (spin(lock))
        return;
    while (atomic_exchange_explicit(&lock->word, WEIR_LOCK_CONTENDED,
                                    memory_order_acquire) != WEIR_LOCK_FREE)
        (void)weir_park(&lock->word, WEIR_LOCK_CONTENDED, WEIR_NEVER);
}

void weir_lock_wake(struct weir_lock *lock)
{
    weir_unpark(&lock->word, 1);
}
