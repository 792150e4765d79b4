/*
 * pipe_swap.c - what a pipe does for the spill of its output queue; see pipe.h
 * and spill.h.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/privileged.h"
#include "endpoint.h"
#include "pipe.h"
#include "registry.h"
#include "socket.h"
#include "spill.h"

enum { SPILLED_SOON = 20000 /* ns */ };

static void on_spill(void *pipe)
{
    weir_pipe_post(pipe, WEIR_MAIL_SPILL);
}

static void on_spilled(void *sock)
{
    weir_sock_nudge(sock);
}

/* Where what is not to stay belongs; /tmp is memory on many systems. */
static const char *swap_folder(const struct weir_options *options)
{
    const char *folder = weir_privileged() ? NULL : getenv("TMPDIR");

    if (options->swap_dir[0])
        return options->swap_dir;
    return folder && folder[0] == '/' ? folder : "/var/tmp";
}

int weir_pipe_add_swap(struct weir_pipe *pipe,
                       const struct weir_options *options)
{
    struct weir_spill_plan plan = {.host = &weir_the_host,
                                   .dir = swap_folder(options),
                                   .budget = (uint64_t)options->send_swap,
                                   .tell = on_spill,
                                   .nudge = on_spilled,
                                   .arg = pipe,
                                   .other = pipe->sock};
    struct weir_spill *spill;
    int r;

    if (options->send_swap == 0)
        return 0;
    r = weir_registry_store(weir_options_store(options), &plan.store, NULL);
    if (r < 0)
        return r;
    spill = weir_spill_new(&plan, pipe->out);
    if (!spill)
        return weir_fail(ENOMEM, "no memory for a swap");
    weir_queue_set_spill(pipe->out, spill);
    return 0;
}

static void report(struct weir_pipe *pipe, uint32_t kind,
                   const struct weir_spill_news *news)
{
    weir_ep_event(pipe->ep, kind, NULL, pipe->peer_id, news->in_memory,
                  news->code, news->reason);
}

bool weir_pipe_spilled(struct weir_pipe *pipe)
{
    struct weir_spill_news news;

    if (!pipe->out || !pipe->out->spill)
        return false;
    weir_spill_news(pipe->out, &news);
    if (news.trouble)
        report(pipe, WEIR_EVENT_SWAP_FAILED, &news);
    if (news.resumed)
        report(pipe, WEIR_EVENT_SWAP_RESUMED, &news);
    weir_sock_touch(pipe->sock, pipe);
    weir_wait_hand_on(pipe->sock, SPILLED_SOON);
    return news.room;
}

void weir_pipe_silence(struct weir_pipe *pipe)
{
    if (pipe->out && pipe->out->spill)
        weir_spill_silence(pipe->out->spill);
}
