/* progress.c - a bar for weir bench. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common.h"
#include "progress.h"

#define BAR   20
#define WIDTH 79 /* what is written to the last column may wrap */

void weir_bench_progress_begin(struct weir_bench_progress *progress,
                               uint64_t total)
{
    *progress = (struct weir_bench_progress){
        .total = total,
        .begin = weir_common_now(),
        .shown = isatty(STDERR_FILENO),
    };
}

/* By what the runs before took; nothing before the first is over. */
static void write_rest(const struct weir_bench_progress *progress, char *text,
                       size_t room)
{
    double seconds = (double)(weir_common_now() - progress->begin) / 1e9;
    double rest = 0;

    if (progress->done)
        rest = seconds / (double)progress->done *
               (double)(progress->total - progress->done);
    text[0] = '\0';
    if (progress->done)
        snprintf(text, room, "%.0f s left, ", rest);
}

void weir_bench_progress_show(const struct weir_bench_progress *progress,
                              const char *run)
{
    unsigned part, percent;
    char bar[BAR + 1], rest[32], line[WIDTH + 1];

    if (!progress->shown || !progress->total)
        return;
    part = (unsigned)(progress->done * BAR / progress->total);
    percent = (unsigned)(progress->done * 100 / progress->total);
    memset(bar, '#', part);
    memset(bar + part, '.', BAR - part);
    bar[BAR] = '\0';
    write_rest(progress, rest, sizeof rest);
    snprintf(line, sizeof line, "[%s] %3u%%  %s%s", bar, percent, rest, run);
    fprintf(stderr, "\r%-*s", WIDTH, line);
}

void weir_bench_progress_step(struct weir_bench_progress *progress)
{
    progress->done++;
}

void weir_bench_progress_clear(const struct weir_bench_progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%*s\r", WIDTH, "");
}
