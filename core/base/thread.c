#include "config.h"

#include "base/thread.h"

#include "base/error.h"
#include "weir/weir.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_ROOM 16 /* what Linux keeps of a thread's name, with its NUL */

struct start {
    void *(*run)(void *);
    void *argument;
    char name[NAME_ROOM];
};

static void *begin(void *opaque)
{
    struct start start = *(struct start *)opaque;

    free(opaque);
#ifdef HAVE_PTHREAD_SETNAME_NP
    if (start.name[0] != '\0')
        pthread_setname_np(pthread_self(), start.name);
#endif
    return start.run(start.argument);
}

#ifdef HAVE_PTHREAD_ATTR_SETAFFINITY_NP

/* A number at *at, which moves behind it; -1 if there is none in range. */
static int parse_cpu(const char **at)
{
    int cpu = 0;

    if (**at < '0' || **at > '9')
        return -1;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        cpu = cpu * 10 + (**at - '0');
        if (cpu >= CPU_SETSIZE)
            return -1;
    }
    return cpu;
}

/* "4" or "0-3" at *at, which moves behind it. */
static int parse_range(const char **at, cpu_set_t *set)
{
    int first = parse_cpu(at);
    int last = first;

    if (first >= 0 && **at == '-') {
        (*at)++;
        last = parse_cpu(at);
    }
    if (first < 0 || last < first)
        return -EINVAL;
    for (int cpu = first; cpu <= last; cpu++)
        CPU_SET((size_t)cpu, set);
    return 0;
}

static int parse_cpus(const char *cpus, cpu_set_t *set)
{
    const char *at = cpus;

    CPU_ZERO(set);
    for (;;) {
        if (parse_range(&at, set) < 0 || (*at != '\0' && *at != ','))
            return weir_fail(EINVAL,
                             "\"%s\" is no list of processors like \"0-3,6\" "
                             "(numbers up to %d)",
                             cpus, CPU_SETSIZE - 1);
        if (*at++ == '\0')
            return 0;
    }
}

int weir_thread_check_cpus(const char *cpus)
{
    cpu_set_t set;

    return parse_cpus(cpus, &set);
}

static int bind_to(pthread_attr_t *attributes, const char *cpus)
{
    cpu_set_t set;
    int result = parse_cpus(cpus, &set);

    if (result == 0)
        result = -pthread_attr_setaffinity_np(attributes, sizeof set, &set);
    if (result == -ENOMEM)
        return weir_fail(ENOMEM, "processors \"%s\": out of memory", cpus);
    return result;
}

#else

int weir_thread_check_cpus(const char *cpus)
{
    return weir_fail(ENOTSUP,
                     "threads cannot be bound to processors (\"%s\") on this "
                     "system",
                     cpus);
}

static int bind_to(pthread_attr_t *attributes, const char *cpus)
{
    (void)attributes;
    return weir_thread_check_cpus(cpus);
}

#endif

/* A new thread inherits the mask of the one that makes it. */
static int create_quiet(pthread_t *thread, const pthread_attr_t *attributes,
                        struct start *start)
{
    sigset_t all, kept;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    result = pthread_create(thread, attributes, begin, start);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    return -result;
}

static int create(pthread_t *thread, const pthread_attr_t *attributes,
                  const struct start *wanted)
{
    struct start *start = malloc(sizeof *start);
    pthread_t made;
    int result = -ENOMEM;

    if (start != NULL) {
        *start = *wanted;
        result = create_quiet(&made, attributes, start);
    }
    if (result < 0) {
        free(start);
        return weir_fail(result == -EAGAIN ? ENOMEM : -result,
                         "thread \"%s\" cannot be started: %s", wanted->name,
                         weir_strerror(-result));
    }
    *thread = made;
    return 0;
}

int weir_thread_start(pthread_t *thread, void *(*run)(void *), void *argument,
                      const char *name, const char *cpus)
{
    struct start start = {.run = run, .argument = argument};
    pthread_attr_t attributes;
    int result = 0;

    snprintf(start.name, sizeof start.name, "%s", name != NULL ? name : "");
    if (pthread_attr_init(&attributes) != 0)
        return weir_fail(ENOMEM, "thread \"%s\": out of memory", start.name);
    if (cpus != NULL && cpus[0] != '\0')
        result = bind_to(&attributes, cpus);
    if (result == 0)
        result = create(thread, &attributes, &start);
    pthread_attr_destroy(&attributes);
    return result;
}
