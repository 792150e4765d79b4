/*
 * report.h - what the stats endpoint tells of a context, as JSON.
 * Above: observer.c.  Below: stats.c, base/document.h.
 *
 * Only counters and names are told, never what is in messages or options.
 */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <weir/weir.h>

#include "base/document.h"

enum {
    WEIR_REPORT_MOST = 8 << 20, /* octets of a report */
    WEIR_REPORT_PARTS = 100     /* peers, and endpoints, of each socket */
};

/* Append an object with all there is in a context: its sockets, and their
 * endpoints and peers.  Each part is looked at by itself, with the lock of its
 * socket held for that alone.  What is left out of a long report is counted.
 * Thread: any.  Errors: as weir_ctx_get(); -ENOMEM, and no report without it.
 */
int weir_report_context(weir_context context, struct weir_document *doc);

/* Append an object for an event that weir_observer_put() was told of. */
void weir_report_event(const weir_event *event, struct weir_document *doc);

#endif
