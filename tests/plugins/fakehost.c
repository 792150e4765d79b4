/* fakehost.c - poll(), a list of turns, a thread per job. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakehost.h"

#define MAX_POLLED 128

struct fake_job {
    struct fake_job *next;
    int64_t id;
    weir_job job;
    pthread_t thread;
    int wake;
    bool cancelled;
    _Atomic bool finished;
};

int (*fake_fault)(int code);

static bool faulty(int code)
{
    return fake_fault && fake_fault(code);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t fake_now(void)
{
    return now_ns() / 1000000u;
}

/* ------------------------------------------------- the host's table -- */

static void log_line(weir_ep *ep, const char *format, ...)
{
    assert_non_null(format);
    ep->logs++;
}

static int explain(weir_error *error, int code, const char *format, ...)
{
    va_list arguments;

    assert_true(code > 0);
    if (!error)
        return -code;
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, error->room, format, arguments);
    va_end(arguments);
    return -code;
}

static const struct fake_option *find_option(const weir_ep *ep,
                                             const char *name)
{
    for (int i = 0; i < ep->n_options; i++) {
        if (strcmp(ep->options[i].name, name) == 0)
            return &ep->options[i];
    }
    return NULL;
}

static const weir_option *find_row(const weir_ep *ep, const char *name)
{
    for (uint32_t i = 0; i < ep->ops->n_options; i++) {
        if (strcmp(ep->ops->options[i].name, name) == 0)
            return &ep->ops->options[i];
    }
    return NULL;
}

static int option_int(const weir_ep *ep, const char *name, int64_t *value)
{
    const struct fake_option *option = find_option(ep, name);
    const weir_option *row = find_row(ep, name);

    if (!option && !row)
        return -ENOENT;
    *value = option ? option->number : row->fallback;
    return 0;
}

static int option_bytes(const weir_ep *ep, const char *name, void *value,
                        size_t *size)
{
    const struct fake_option *option = find_option(ep, name);
    const char *text = option ? option->text : "";

    if (!option && !find_row(ep, name))
        return -ENOENT;
    if (strlen(text) >= *size)
        return -ERANGE;
    *size = strlen(text);
    memcpy(value, text, *size + 1);
    return 0;
}

static struct fake_item *new_item(weir_reactor *reactor, weir_turn *turn,
                                  void *arg)
{
    struct fake_item *item = calloc(1, sizeof *item);

    assert_non_null(item);
    item->id = ++reactor->last_id;
    item->fd = -1;
    item->turn = turn;
    item->arg = arg;
    item->next = reactor->items;
    reactor->items = item;
    return item;
}

static int64_t watch(weir_reactor *reactor, int fd, unsigned events,
                     weir_turn *turn, void *arg)
{
    struct fake_item *item;

    assert_true(fd >= 0);
    if (faulty(ENOMEM))
        return -ENOMEM;
    item = new_item(reactor, turn, arg);
    item->fd = fd;
    item->events = events;
    return item->id;
}

static struct fake_item *find_item(weir_reactor *reactor, int64_t id)
{
    struct fake_item *item = reactor->items;

    while (item && item->id != id)
        item = item->next;
    return item;
}

static int rewatch(weir_reactor *reactor, int64_t id, unsigned events)
{
    struct fake_item *item = find_item(reactor, id);

    assert_non_null(item);
    item->events = events;
    return 0;
}

static int64_t timer(weir_reactor *reactor, uint64_t after_ns, weir_turn *turn,
                     void *arg)
{
    struct fake_item *item;

    if (faulty(ENOMEM))
        return -ENOMEM;
    item = new_item(reactor, turn, arg);
    item->due = now_ns() + after_ns;
    return item->id;
}

static void forget(weir_reactor *reactor, int64_t id)
{
    struct fake_item **place = &reactor->items, *item;

    while (*place && (*place)->id != id)
        place = &(*place)->next;
    item = *place;
    if (!item)
        return;
    *place = item->next;
    free(item);
}

static void cancel(weir_reactor *reactor, int64_t id)
{
    forget(reactor, id);
    for (struct fake_job *job = reactor->jobs; job; job = job->next) {
        if (job->id == id)
            job->cancelled = true;
    }
}

static void *run_job(void *arg)
{
    struct fake_job *job = arg;

    job->job.work(job->job.arg);
    job->finished = true;
    if (write(job->wake, "", 1) != 1)
        return NULL;
    return NULL;
}

static int64_t offload(weir_reactor *reactor, const weir_job *asked)
{
    struct fake_job *job;

    if (faulty(ENOMEM))
        return -ENOMEM;
    job = calloc(1, sizeof *job);
    assert_non_null(job);
    assert_true(asked->work && asked->done && asked->drop);
    job->id = ++reactor->last_id;
    job->job = *asked;
    job->wake = reactor->wake[1];
    job->next = reactor->jobs;
    reactor->jobs = job;
    assert_int_equal(pthread_create(&job->thread, NULL, run_job, job), 0);
    return job->id;
}

static int view_alloc(weir_view *view, size_t size)
{
    if (faulty(ENOMEM))
        return -ENOMEM;
    view->data = malloc(size ? size : 1);
    assert_non_null(view->data);
    view->owner = view->data;
    view->len = size;
    view->flags = 0;
    return 0;
}

static void view_free(weir_view *views, int n)
{
    for (int i = 0; i < n; i++)
        free(views[i].owner);
}

const weir_host fake_host = {
    .size = sizeof fake_host,
    .version = "0",
    .log = log_line,
    .fail = explain,
    .view_alloc = view_alloc,
    .view_free = view_free,
    .option_int = option_int,
    .option_bytes = option_bytes,
    .watch = watch,
    .rewatch = rewatch,
    .timer = timer,
    .cancel = cancel,
    .offload = offload,
};

/* --------------------------------------- the transports' host's table -- */

static void copy(char *to, size_t room, const void *from, size_t size)
{
    assert_true(size < room);
    memcpy(to, from, size);
    to[size] = '\0';
}

static void keep_property(weir_ep *ep, const weir_property *property)
{
    if (strcmp(property->name, "Peer-Uid") == 0)
        copy(ep->uid, sizeof ep->uid, property->value, property->size);
    if (strcmp(property->name, "Peer-Gid") == 0)
        copy(ep->gid, sizeof ep->gid, property->value, property->size);
    if (strcmp(property->name, "Peer-Pid") == 0)
        copy(ep->pid, sizeof ep->pid, property->value, property->size);
}

/* An attempt has exactly one end. */
static void attempt_ends(weir_ep *ep)
{
    assert_non_null(ep->self);
    if (ep->binds)
        return;
    assert_true(ep->trying);
    ep->trying = false;
}

static int made_socket(weir_ep *ep, int fd, const weir_peer *peer)
{
    attempt_ends(ep);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    if (faulty(ENOMEM)) {
        (void)close(fd);
        ep->lost++;
        return -ENOMEM;
    }
    fake_hang_up(ep);
    ep->made++;
    ep->fd = fd;
    copy(ep->local, sizeof ep->local, peer->local ? peer->local : "",
         peer->local ? strlen(peer->local) : 0);
    copy(ep->remote, sizeof ep->remote, peer->remote ? peer->remote : "",
         peer->remote ? strlen(peer->remote) : 0);
    for (uint32_t i = 0; i < peer->n_properties; i++)
        keep_property(ep, &peer->properties[i]);
    return 0;
}

/* ---- the messages shape ---- */

/* The link is the host's, whatever comes of it. */
static int made_link(weir_ep *ep, const weir_link_ops *ops, void *self,
                     const weir_peer *peer)
{
    int rc;

    attempt_ends(ep);
    assert_true(peer->flags & WEIR_PEER_NO_HANDSHAKE);
    assert_null(ep->link.ops);
    if (faulty(ENOMEM)) {
        ops->close(self);
        ep->lost++;
        return -ENOMEM;
    }
    ep->link.ep = ep;
    ep->link.ops = ops;
    ep->link.self = self;
    ep->link.down = false;
    rc = ops->attach(self, &ep->link, ep->reactor, &ep->error);
    if (rc < 0) {
        assert_int_equal(rc, -ep->error.code);
        ep->lost++;
        fake_end_link(ep);
        return rc;
    }
    ep->made++;
    return 0;
}

void fake_end_link(weir_ep *ep)
{
    const weir_link_ops *ops = ep->link.ops;

    ep->link.ops = NULL;
    if (ops)
        ops->close(ep->link.self);
}

static int queue_peek(weir_link *link, weir_view *out, int max)
{
    int n = 0;

    for (; n < max && n < link->queued; n++)
        out[n] = (weir_view){.data = (void *)(uintptr_t)link->octets,
                             .len = link->size};
    return n;
}

static void queue_done(weir_link *link, int n)
{
    assert_true(n > 0 && n <= link->queued);
    link->queued -= n;
}

static int push(weir_link *link, uint64_t source, weir_view *views, int n)
{
    assert_non_null(link->ops);
    assert_true(source != 0);
    for (int i = 0; i < n; i++) {
        bool same = !(views[i].flags & WEIR_VIEW_MORE) &&
                    views[i].len == link->size &&
                    memcmp(views[i].data, link->octets, link->size) == 0;

        link->right += same;
        link->wrong += !same;
        free(views[i].owner);
    }
    return n;
}

static void gap(weir_link *link, uint64_t source, uint64_t units)
{
    assert_true(source != 0 && units > 0);
    link->gaps++;
}

static void down(weir_link *link, const weir_error *error)
{
    assert_true(error->code > 0 && strlen(error->text) > 10);
    assert_false(link->down);
    link->down = true;
}

static uint32_t direction(const weir_ep *ep)
{
    return ep->direction;
}

void fake_expect(weir_ep *ep, const void *octets, size_t size)
{
    ep->link.octets = octets;
    ep->link.size = size;
}

void fake_queue(weir_ep *ep, const void *octets, size_t size, int n)
{
    assert_int_equal(ep->link.queued, 0);
    fake_expect(ep, octets, size);
    ep->link.queued = n;
    if (ep->link.ops)
        ep->link.ops->send_ready(ep->link.self);
}

static pthread_mutex_t splice_lock = PTHREAD_MUTEX_INITIALIZER;

static int join(weir_ep *dialer, weir_ep *binder)
{
    int rc = 0;

    (void)pthread_mutex_lock(&splice_lock);
    if (dialer->closing || binder->closing)
        rc = -ECANCELED;
    else if (binder->splice_result)
        rc = binder->splice_result;
    else if (faulty(ENOMEM))
        rc = -ENOMEM;
    if (rc == 0) {
        dialer->partner = binder;
        dialer->splices++;
        binder->splices++;
        dialer->trying = false;
    }
    (void)pthread_mutex_unlock(&splice_lock);
    return rc;
}

static void failed(weir_ep *ep, int permanent, const weir_error *error)
{
    attempt_ends(ep);
    ep->failed++;
    ep->permanent = permanent;
    ep->code = error->code;
    snprintf(ep->reason, sizeof ep->reason, "%s", error->text);
}

static int listener(weir_ep *ep, int fd)
{
    assert_true(ep->binds);
    assert_true(ep->n_listeners < 16);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    if (faulty(ENOMEM))
        return -ENOMEM;
    ep->listeners[ep->n_listeners++] = fd;
    return 0;
}

static uint64_t scope(const weir_ep *ep)
{
    return ep->scope;
}

const weir_transport_host fake_more = {
    .size = sizeof fake_more,
    .made_socket = made_socket,
    .made_link = made_link,
    .splice = join,
    .failed = failed,
    .listener = listener,
    .scope = scope,
    .queue_peek = queue_peek,
    .queue_done = queue_done,
    .push = push,
    .gap = gap,
    .down = down,
    .direction = direction,
};

/* ---------------------------------------------------------- endpoints -- */

const weir_transport_ops *fake_ops(const weir_plugin *plugin)
{
    assert_int_equal(plugin->magic, WEIR_PLUGIN_MAGIC);
    assert_int_equal(plugin->size, sizeof *plugin);
    assert_int_equal(plugin->n_providers, 1);
    assert_int_equal(plugin->providers[0].kind, WEIR_TRANSPORT);
    return plugin->providers[0].ops;
}

void fake_ep_init(weir_ep *ep, weir_reactor *reactor, const weir_plugin *plugin)
{
    memset(ep, 0, sizeof *ep);
    ep->ops = fake_ops(plugin);
    ep->reactor = reactor;
    ep->fd = -1;
    ep->error.size = sizeof ep->error;
    ep->error.text = ep->error_text;
    ep->error.room = sizeof ep->error_text;
}

static struct fake_option *add_option(weir_ep *ep, const char *name)
{
    struct fake_option *option = &ep->options[ep->n_options++];

    assert_true(ep->n_options <= 8);
    option->name = name;
    return option;
}

void fake_set(weir_ep *ep, const char *option, int64_t number)
{
    add_option(ep, option)->number = number;
}

void fake_set_text(weir_ep *ep, const char *option, const char *text)
{
    add_option(ep, option)->text = text;
}

/* The last one that it has. */
static const char *scheme_of(const weir_ep *ep)
{
    const char *blank = strrchr(ep->ops->schemes, ' ');

    return blank ? blank + 1 : ep->ops->schemes;
}

int fake_bind(weir_ep *ep, const char *address)
{
    assert_null(ep->self);
    ep->binds = true;
    return ep->ops->bind(&fake_host, &fake_more, ep, scheme_of(ep), address,
                         ep->actual, sizeof ep->actual, &ep->self, &ep->error);
}

int fake_dial(weir_ep *ep, const char *address)
{
    assert_null(ep->self);
    return ep->ops->dial(&fake_host, &fake_more, ep, scheme_of(ep), address,
                         &ep->self, &ep->error);
}

int fake_attach(weir_ep *ep)
{
    if (ep->binds)
        ep->reactor->binders[ep->reactor->n_binders++] = ep;
    ep->attached = true;
    ep->trying = true;
    return ep->ops->attach(ep->self, ep->reactor, &ep->error);
}

void fake_retry(weir_ep *ep)
{
    assert_false(ep->trying);
    ep->trying = true;
    ep->ops->retry(ep->self);
}

void fake_cancel(weir_ep *ep)
{
    ep->ops->cancel(ep->self);
    ep->trying = false;
}

static void forget_binder(weir_ep *ep)
{
    weir_reactor *reactor = ep->reactor;

    for (int i = 0; i < reactor->n_binders; i++) {
        if (reactor->binders[i] == ep)
            reactor->binders[i] = reactor->binders[--reactor->n_binders];
    }
}

void fake_close(weir_ep *ep)
{
    void *self = ep->self;

    if (!self)
        return;
    if (ep->binds && ep->attached)
        forget_binder(ep);
    ep->n_listeners = 0;
    (void)pthread_mutex_lock(&splice_lock);
    ep->closing = true;
    (void)pthread_mutex_unlock(&splice_lock);
    fake_end_link(ep);
    ep->ops->close(self);
    ep->self = NULL;
    fake_hang_up(ep);
}

void fake_serve(weir_ep *ep, const char *address)
{
    if (fake_bind(ep, address) != 0)
        fail_msg("%s", ep->error_text);
    assert_int_equal(fake_attach(ep), 0);
}

void fake_connect(weir_ep *ep, const char *address)
{
    if (fake_dial(ep, address) != 0)
        fail_msg("%s", ep->error_text);
    assert_int_equal(fake_attach(ep), 0);
}

void fake_refuses(weir_reactor *reactor, const weir_plugin *plugin,
                  const char *address, int code, const char *token)
{
    weir_ep ep;
    int rc;

    fake_ep_init(&ep, reactor, plugin);
    rc = fake_bind(&ep, address);
    if (rc != -code || ep.error.code != code || ep.self ||
        !strstr(ep.error_text, token) || !strstr(ep.error_text, address))
        fail_msg("%s: %d %s", address, rc, ep.error_text);
}

void fake_hang_up(weir_ep *ep)
{
    if (ep->fd >= 0)
        (void)close(ep->fd);
    ep->fd = -1;
}

/* -------------------------------------------------------- the reactor -- */

void fake_reactor_init(weir_reactor *reactor)
{
    memset(reactor, 0, sizeof *reactor);
    assert_int_equal(pipe(reactor->wake), 0);
}

/* Take a finished job off the list.  With `wait`, any job. */
static struct fake_job *take_job(weir_reactor *reactor, bool wait)
{
    struct fake_job **place = &reactor->jobs, *job;

    while (*place && !wait && !(*place)->finished)
        place = &(*place)->next;
    job = *place;
    if (job)
        *place = job->next;
    return job;
}

static void end_job(weir_reactor *reactor, struct fake_job *job)
{
    (void)pthread_join(job->thread, NULL);
    if (job->cancelled) {
        reactor->drops++;
        job->job.drop(job->job.arg);
    } else {
        job->job.done(job->job.arg);
    }
    free(job);
}

void fake_reactor_fini(weir_reactor *reactor)
{
    struct fake_job *job;

    while ((job = take_job(reactor, true))) {
        assert_true(job->cancelled);
        end_job(reactor, job);
    }
    assert_null(reactor->items);
    assert_int_equal(reactor->n_binders, 0);
    (void)close(reactor->wake[0]);
    (void)close(reactor->wake[1]);
}

static void accept_one(weir_ep *ep, int fd)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    int taken = accept(fd, (struct sockaddr *)&from, &size);

    if (taken < 0)
        return;
    assert_int_equal(fcntl(taken, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(fcntl(taken, F_SETFL, O_NONBLOCK), 0);
    ep->ops->accepted(ep->self, taken, (struct sockaddr *)&from, size);
}

/* What is polled, and for whom: an id of an item, or an endpoint. */
struct polled {
    struct pollfd fds[MAX_POLLED];
    int64_t ids[MAX_POLLED];
    weir_ep *eps[MAX_POLLED];
    nfds_t n;
};

static void poll_for(struct polled *polled, int fd, short events, int64_t id,
                     weir_ep *ep)
{
    assert_true(polled->n < MAX_POLLED);
    polled->fds[polled->n].fd = fd;
    polled->fds[polled->n].events = events;
    polled->ids[polled->n] = id;
    polled->eps[polled->n++] = ep;
}

static void collect(const weir_reactor *reactor, struct polled *polled)
{
    polled->n = 0;
    poll_for(polled, reactor->wake[0], POLLIN, 0, NULL);
    for (struct fake_item *item = reactor->items; item; item = item->next) {
        short events = 0;

        if (item->events & WEIR_WATCH_IN)
            events |= POLLIN;
        if (item->events & WEIR_WATCH_OUT)
            events |= POLLOUT;
        if (item->fd >= 0)
            poll_for(polled, item->fd, events, item->id, NULL);
    }
    for (int i = 0; i < reactor->n_binders; i++) {
        weir_ep *ep = reactor->binders[i];

        for (int j = 0; j < ep->n_listeners; j++)
            poll_for(polled, ep->listeners[j], POLLIN, 0, ep);
    }
}

static unsigned watch_events(short events)
{
    unsigned out = 0;

    if (events & POLLIN)
        out |= WEIR_WATCH_IN;
    if (events & POLLOUT)
        out |= WEIR_WATCH_OUT;
    if (events & (POLLERR | POLLHUP))
        out |= WEIR_WATCH_ERROR;
    return out;
}

static void fire_watches(weir_reactor *reactor, const struct polled *polled)
{
    for (nfds_t i = 1; i < polled->n; i++) {
        struct fake_item *item = find_item(reactor, polled->ids[i]);

        assert_false(polled->fds[i].revents & POLLNVAL);
        if (!polled->fds[i].revents)
            continue;
        if (polled->eps[i])
            accept_one(polled->eps[i], polled->fds[i].fd);
        else if (item)
            item->turn(item->arg, watch_events(polled->fds[i].revents));
    }
}

static void fire_timers(weir_reactor *reactor)
{
    struct fake_item *item = reactor->items;
    uint64_t now = now_ns();

    while (item) {
        if (item->fd < 0 && item->due <= now) {
            weir_turn *turn = item->turn;
            void *arg = item->arg;

            forget(reactor, item->id);
            turn(arg, 0);
            item = reactor->items;
        } else {
            item = item->next;
        }
    }
}

static void finish_jobs(weir_reactor *reactor)
{
    struct fake_job *job;

    while ((job = take_job(reactor, false)))
        end_job(reactor, job);
}

/* One round of at most 5 ms, so that timers are nearly on time. */
static void turn(weir_reactor *reactor)
{
    struct polled polled;
    char octet;

    collect(reactor, &polled);
    assert_true(poll(polled.fds, polled.n, 5) >= 0);
    if (polled.fds[0].revents)
        assert_int_equal(read(reactor->wake[0], &octet, 1), 1);
    fire_watches(reactor, &polled);
    fire_timers(reactor);
    finish_jobs(reactor);
}

bool fake_run(weir_reactor *reactor, const int *counter, int value)
{
    uint64_t end = fake_now() + FAKE_DEADLINE_MS;

    while (*counter < value && fake_now() < end)
        turn(reactor);
    return *counter >= value;
}

void fake_run_for(weir_reactor *reactor, int ms)
{
    uint64_t end = fake_now() + (uint64_t)ms;

    while (fake_now() < end)
        turn(reactor);
}
