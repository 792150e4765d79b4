/*
 * pipe_swap.c - what an endpoint and its pipes do for the spills of their
 * queues; see pipe.h and spill.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/privileged.h"
#include "endpoint.h"
#include "pipe.h"
#include "pipe_swap.h"
#include "socket.h"
#include "spill.h"

enum {
    SPILLED_SOON = 20000, /* ns */
    COMES_BY = 100        /* looks whether the mail is taken */
};

/* ---- what an endpoint's swaps are made with ---- */

/* Where what is not to stay belongs; /tmp is memory on many systems. */
static const char *swap_folder(const struct weir_options *options)
{
    const char *folder = weir_privileged() ? NULL : getenv("TMPDIR");

    if (options->swap_dir[0])
        return options->swap_dir;
    return folder && folder[0] == '/' ? folder : "/var/tmp";
}

static int cannot_use(const char *folder, int code, const char *cause)
{
    return weir_fail(code,
                     "option \"swap-dir\": %.200s cannot be used for a swap: "
                     "%.200s",
                     folder, cause);
}

/* Returns 0, or a positive errno. */
static int look_at(const char *folder)
{
    struct stat state;

    if (stat(folder, &state) < 0)
        return errno;
    if (!S_ISDIR(state.st_mode))
        return ENOTDIR;
    if (faccessat(AT_FDCWD, folder, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
        return errno;
    return 0;
}

/* The sentence of a store begins with the folder, which is named already. */
static int try_store(struct weir_ep *ep, const struct weir_spill_plan *plan)
{
    size_t size = strlen(plan->dir);
    const char *cause;
    int r = look_at(plan->dir);

    if (r != 0)
        return cannot_use(plan->dir, r, weir_strerror(r));
    r = weir_ep_is_durable(ep) ? weir_ep_open_durable(ep)
                               : weir_spill_try(plan);
    if (r >= 0 || r == -ENAMETOOLONG || r == -EBUSY)
        return r; /* that is no fault of the folder */
    cause = weir_error_text();
    if (strncmp(cause, plan->dir, size) == 0 && cause[size] == ':')
        cause += size + strspn(cause + size, ": ");
    return cannot_use(plan->dir, -r, cause);
}

static int check_mode(const struct weir_ep *ep, const weir_store_ops *store)
{
    bool durable = weir_ep_is_durable(ep);
    uint32_t mode = durable ? WEIR_STORE_DURABLE : WEIR_STORE_SPILL;

    if (store->modes & 1u << mode)
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "option \"swap-store\": store_%s has not the mode %s",
                     weir_options_store(&ep->options),
                     durable ? "durable" : "spill");
}

static int find_store(struct weir_ep *ep)
{
    int r = weir_options_find_store(&ep->options, &ep->swap.store);

    if (r >= 0)
        r = check_mode(ep, ep->swap.store);
    if (r < 0)
        return r;
    ep->swap.dir = strdup(swap_folder(&ep->options));
    return ep->swap.dir ? 0 : weir_fail(ENOMEM, "no memory for a swap");
}

int weir_swap_init(struct weir_ep *ep)
{
    const struct weir_options *options = &ep->options;
    struct weir_spill_plan plan = {.host = &weir_the_host};
    int r = weir_ep_check_durable(ep);

    if (r < 0 || (options->send_swap == 0 && options->recv_swap == 0))
        return r;
    r = find_store(ep);
    if (r < 0)
        return r;
    plan.store = ep->swap.store;
    plan.dir = ep->swap.dir;
    plan.budget = (uint64_t)(options->send_swap ? options->send_swap
                                                : options->recv_swap);
    return try_store(ep, &plan);
}

void weir_swap_fini(struct weir_swap *swap)
{
    if (swap->opened)
        weir_spill_leave(swap->opened);
    free(swap->dir);
    swap->opened = NULL;
    swap->dir = NULL;
}

/* ---- the spills of a pipe ---- */

static void on_spill(void *pipe)
{
    weir_pipe_post(pipe, WEIR_MAIL_SPILL);
}

/* Who owns the lock delivers the mail when it comes by, and who sends a stream
 * does within a microsecond.  To take the lock from it costs every thread of
 * the process more than that. */
static void on_spilled(void *arg)
{
    struct weir_sock *sock = arg;

    for (int i = 0; i < COMES_BY && weir_sock_has_mail(sock) &&
                    weir_biased_is_anothers(&sock->lock);
         i++)
        weir_cpu_relax();
    if (weir_sock_has_mail(sock))
        weir_sock_nudge(sock);
}

struct weir_spill_plan weir_pipe_plan(struct weir_pipe *pipe, int64_t budget)
{
    const struct weir_swap *swap = &pipe->ep->swap;

    return (struct weir_spill_plan){.store = swap->store,
                                    .host = &weir_the_host,
                                    .dir = swap->dir,
                                    .budget = (uint64_t)budget,
                                    .tell = on_spill,
                                    .nudge = on_spilled,
                                    .arg = pipe,
                                    .other = pipe->sock};
}

static int add(struct weir_pipe *pipe, struct weir_queue *queue, int64_t budget,
               enum weir_policy policy)
{
    const struct weir_spill_plan plan = weir_pipe_plan(pipe, budget);
    struct weir_spill *spill;

    if (budget == 0)
        return 0;
    if (weir_ep_is_durable(pipe->ep))
        return weir_pipe_join_durable(pipe, &plan);
    spill = weir_spill_new(&plan, queue);
    if (!spill)
        return weir_fail(ENOMEM, "no memory for a swap");
    weir_queue_set_spill(queue, spill);
    weir_spill_set_waits(queue, policy == WEIR_POLICY_BLOCK);
    return 0;
}

int weir_pipe_add_swap(struct weir_pipe *pipe)
{
    const struct weir_options *options = weir_ep_options(pipe->ep);
    int r = add(pipe, pipe->out, options->send_swap, pipe->policy);

    return r < 0 ? r : add(pipe, pipe->in, options->recv_swap, pipe->in_policy);
}

static void report_all(struct weir_pipe *pipe, struct weir_spill *spill)
{
    static const uint32_t kinds[] = {
        [WEIR_SPILL_FAILED] = WEIR_EVENT_SWAP_FAILED,
        [WEIR_SPILL_RESUMED] = WEIR_EVENT_SWAP_RESUMED,
        [WEIR_SPILL_FOUND] = WEIR_EVENT_SWAP_FOUND};
    struct weir_spill_report report;

    while (weir_spill_report(spill, &report))
        weir_ep_event(pipe->ep, kinds[report.kind], NULL, pipe->peer_id,
                      report.value, report.code, report.reason);
}

/* Returns WEIR_MAIL_ROOM if who waited for it may send. */
static uint32_t output_spilled(struct weir_pipe *pipe)
{
    bool room;

    if (!pipe->out || !pipe->out->spill)
        return 0;
    room = weir_spill_news(pipe->out);
    weir_sock_look_drained(pipe->sock, pipe); /* the rest may be lost */
    report_all(pipe, pipe->out->spill);
    if (weir_spill_is_durable(pipe->out->spill))
        weir_sock_wake(pipe->sock, WEIR_WAIT_STORE);
    weir_sock_touch(pipe->sock, pipe);
    if (!weir_list_empty(&pipe->flush)) /* the peer may read it */
        weir_wait_hand_on(pipe->sock, SPILLED_SOON);
    return room ? WEIR_MAIL_ROOM : 0;
}

/* The producer of the input is whoever drives the link; of one that is gone,
 * nobody.  A driver that is at it now looks for room before it reads on, and
 * the reactor, where it alone drives, has a turn. */
static void tend_input(struct weir_pipe *pipe)
{
    struct weir_queue *in = pipe->in;
    bool room;

    if (pipe->dying) {
        (void)weir_spill_news(in);
        return;
    }
    if (weir_link_post_turn(&pipe->link))
        return;
    atomic_store(&pipe->link.readable, true); /* for a driver that is told */
    if (!weir_link_hold(&pipe->link))
        return;
    room = weir_spill_news(in);
    weir_sock_let_go(pipe->sock, pipe);
    if (!room)
        return;
    in->writer.wake(in->writer.arg);
    weir_wait_hand_on(pipe->sock, SPILLED_SOON);
}

/* Returns WEIR_MAIL_READABLE if somebody waited for what is there now. */
static uint32_t input_spilled(struct weir_pipe *pipe)
{
    if (!pipe->in || !pipe->in->spill)
        return 0;
    tend_input(pipe);
    report_all(pipe, pipe->in->spill);
    if (!weir_queue_ready(pipe->in) ||
        !atomic_exchange(&pipe->in->reader_armed, 0))
        return 0;
    return WEIR_MAIL_READABLE;
}

uint32_t weir_pipe_spilled(struct weir_pipe *pipe)
{
    return output_spilled(pipe) | input_spilled(pipe);
}

bool weir_pipe_hides_input(struct weir_pipe *pipe)
{
    return pipe->in && weir_spill_holds(pipe->in);
}

static void silence(struct weir_queue *queue)
{
    if (queue && queue->spill)
        weir_spill_silence(queue->spill);
}

void weir_pipe_silence(struct weir_pipe *pipe)
{
    silence(pipe->out);
    silence(pipe->in);
}
