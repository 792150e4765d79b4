/*
 * prometheus.h - reports of stats endpoints as Prometheus' text format,
 * version 0.0.4.
 * Above: stats.c.  Below: tree.h, text.h.
 */
#ifndef WEIR_TOOLS_PROMETHEUS_H
#define WEIR_TOOLS_PROMETHEUS_H

#include "text.h"
#include "tree.h"

/* What a target has answered; of one that has not, the tree is empty. */
struct weir_prometheus_target {
    const char *name;
    const struct weir_tree *tree;
};

/* Append all metrics: each with its HELP and TYPE, and then the samples of all
 * targets. */
void weir_prometheus_write(struct weir_text *text,
                           const struct weir_prometheus_target *targets,
                           size_t n);

#endif
