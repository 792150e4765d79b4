/*
 * probe.c - see probe.h.
 */
#include "config.h"

#include "pattern/probe.h"

#include "endpoint.h"

void weir_probe_send(struct weir_pipe *pipe)
{
    weir_message probe = {.count = 0};
    weir_frame empty;

    if (!weir_ep_options(pipe->ep)->probe)
        return;
    weir_message_init(&probe);
    weir_frame_init(&empty);
    (void)weir_pipe_put(pipe, &empty, 1, &probe, 0);
}
