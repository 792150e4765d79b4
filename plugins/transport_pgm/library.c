/* library.c - see library.h. */
#include "config.h"

#include "library.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <pgm/pgm.h>

/* Where openpgm gets its time, in us.  Its headers do not have it, its library
 * does. */
extern pgm_time_t (*pgm_time_update_now)(void) __attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char failure[160]; /* "" = it went well */

static void throw_away(const int level, const char *text, void *closure)
{
    (void)level;
    (void)text;
    (void)closure;
}

/* A clock that is set must not move the timers. */
static pgm_time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (pgm_time_t)now.tv_sec * 1000000u + (pgm_time_t)now.tv_nsec / 1000u;
}

/* If somebody else in the process has sockets already, they go on with the
 * clock that they have. */
static void begin(void)
{
    bool first = !pgm_supported();
    pgm_error_t *error = NULL;

    (void)pgm_log_set_handler(throw_away, NULL);
    pgm_min_log_level = PGM_LOG_LEVEL_FATAL;
    if (!pgm_init(&error)) {
        snprintf(failure, sizeof failure, "%s",
                 error && error->message ? error->message : "no reason given");
        if (error)
            pgm_error_free(error);
        return;
    }
    pgm_min_log_level = PGM_LOG_LEVEL_FATAL;
    pgm_log_mask = 0;
    if (first && &pgm_time_update_now)
        pgm_time_update_now = monotonic;
}

int weir_pgm_library_init(const weir_host *host, weir_error *error)
{
    (void)pthread_once(&once, begin);
    if (failure[0] == '\0')
        return 0;
    return host->fail(error, WEIR_EPLUGIN, "openpgm does not start: %s",
                      failure);
}
