/*
 * demo_account.h - what became of every message of `weir demo`.
 * Above: demo.c.  Below: demo_part.h, text.h.
 */
#ifndef WEIR_TOOLS_DEMO_ACCOUNT_H
#define WEIR_TOOLS_DEMO_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "demo_part.h"

#define WEIR_DEMO_ROWS 40

/* One pattern over one transport; the names are borrowed. */
struct weir_demo_row {
    const char *transport, *pattern;
    uint64_t sent, received, dropped, queued;
    uint64_t lost; /* with a process that was killed */
    double rate;   /* per second; 0: not measured */
    bool asks;     /* the rate is of requests, with their answers */
};

/* All zero is an empty one. */
struct weir_demo_account {
    struct weir_demo_row rows[WEIR_DEMO_ROWS];
    size_t n_rows;
    bool failed; /* something did, whatever the numbers say */
};

/* Begin a row. */
struct weir_demo_row *weir_demo_row(struct weir_demo_account *account,
                                    const char *transport, const char *pattern);

/* Add what a part has counted. */
void weir_demo_count(struct weir_demo_row *row,
                     const struct weir_demo_report *report);

/* Print all rows, as a table or as a line of JSON for each, and a line with
 * the sum.  Returns whether every message is accounted for and nothing has
 * failed. */
bool weir_demo_print(const struct weir_demo_account *account, double seconds,
                     FILE *file);
bool weir_demo_print_json(const struct weir_demo_account *account,
                          double seconds, FILE *file);

#endif
