/*
 * thread.h - starting the library's own threads, and telling threads apart.
 * Above: context.h, biased.h and helpers that may block.  Below: pthreads.
 */
#ifndef WEIR_BASE_THREAD_H
#define WEIR_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* The thread that calls, as long as it runs; its successor may have the same.
 * Where the compiler can say it, that costs an instruction, and not a call.
 * Thread: any. */
#ifdef HAVE_THREAD_POINTER
typedef void *weir_thread_id;

static inline weir_thread_id weir_thread_self(void)
{
    return __builtin_thread_pointer();
}

static inline bool weir_thread_same(weir_thread_id a, weir_thread_id b)
{
    return a == b;
}
#else
typedef pthread_t weir_thread_id;

static inline weir_thread_id weir_thread_self(void)
{
    return pthread_self();
}

static inline bool weir_thread_same(weir_thread_id a, weir_thread_id b)
{
    return pthread_equal(a, b) != 0;
}
#endif

/* Start `run(argument)` in a joinable thread in which all signals are blocked,
 * so that the application's handlers never run there.
 * `name` (15 octets count, may be NULL) shows in tools; `cpus` is a list as
 * weir_thread_check_cpus() takes it, or NULL or "" for no binding.
 * Thread: any.
 * Errors: -ENOMEM (or too many threads; -EAGAIN is kept for deadlines),
 *         -EINVAL (`cpus`, or none of them can be used), -ENOTSUP (no binding
 *         on this system). */
int weir_thread_start(pthread_t *thread, void *(*run)(void *), void *argument,
                      const char *name, const char *cpus);

/* See whether `cpus` is a list of processors such as "0-3,6", and whether this
 * system can bind threads to processors at all.
 * Thread: any.
 * Errors: -EINVAL, -ENOTSUP. */
int weir_thread_check_cpus(const char *cpus);

#endif
