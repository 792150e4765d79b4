/*
 * link_messages.c - links in the messages shape.
 */
#include "config.h"
#include "endpoint.h"
#include "link.h"
#include "pattern.h"
int weir_messages_made_link(weir_ep *ep, const weir_link_ops *ops, void *self,
                            const weir_peer *peer)
{
    (void)ep;
    (void)ops;
    (void)self;
    (void)peer;
    return -95;
}
int weir_messages_peek(weir_link *link, weir_view *out, int max)
{
    (void)link;
    (void)out;
    (void)max;
    return 0;
}
void weir_messages_done(weir_link *link, int n)
{
    (void)link;
    (void)n;
}
int weir_messages_push(weir_link *link, uint64_t source, weir_view *views,
                       int n)
{
    (void)link;
    (void)source;
    (void)views;
    (void)n;
    return 0;
}
void weir_messages_gap(weir_link *link, uint64_t source, uint64_t units)
{
    (void)link;
    (void)source;
    (void)units;
}
void weir_messages_down(weir_link *link, const weir_error *error)
{
    (void)link;
    (void)error;
}
int weir_messages_flush(struct weir_link *link)
{
    (void)link;
    return 1;
}
