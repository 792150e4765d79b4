/*
 * child.h - programs started by the command, with a line of talk each way.
 * Above: bench.c, demo.c.  Below: common.h.
 */
#ifndef WEIR_TOOLS_CHILD_H
#define WEIR_TOOLS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "text.h"

struct weir_child {
    pid_t pid;            /* 0: none */
    int in, out;          /* our ends of its standard input and output */
    struct weir_text got; /* what came and was not taken */
    size_t taken;
};

/* Start a program; `argv` starts with its name and ends with NULL.  With
 * `one_cpu` it runs on the first CPU that this process may use.
 * Returns 0 or -errno. */
int weir_child_start(struct weir_child *child, const char *program,
                     const char *const *argv, bool one_cpu);

/* Write a line to it; `text` has no newline.  0 or -errno. */
int weir_child_tell(struct weir_child *child, const char *text);

/* The next line it printed, without its newline; borrowed until the next
 * call.  NULL at its end, or at `until` (weir_common_until). */
const char *weir_child_line(struct weir_child *child, uint64_t until);

/* What weir_child_line() has just returned comes again with the next call. */
void weir_child_put_back(struct weir_child *child, const char *line);

/* Exactly `size` octets that it printed.  False at its end or at `until`. */
bool weir_child_read(struct weir_child *child, void *data, size_t size,
                     uint64_t until);

/* Send it a signal (0: none), wait for its end, give everything back.  At
 * `until` it is killed.  Returns its exit code; -1 if a signal ended it. */
int weir_child_end(struct weir_child *child, int signal_number, uint64_t until);

#endif
