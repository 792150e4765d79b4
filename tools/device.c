/* device.c - weir device: queues, forwarders and streamers as a service. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "args.h"
#include "common.h"
#include "json.h"
#include "notify.h"

enum { FRONT, BACK, CAPTURE, ENDS };

/* What is said of one socket. */
struct place {
    struct weir_args_list binds, connects, options;
};

struct settings {
    struct place places[ENDS];
    struct weir_args_list topics;
    const char *stats_at;
    double stats, deadline;
    uint64_t workers;
    bool json;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"front", "URL", "clients, publishers or sources connect here: bind",
     WEIR_ARGS_MANY, AT(places[FRONT].binds)},
    {"front-connect", "URL", "they are there: connect", WEIR_ARGS_MANY,
     AT(places[FRONT].connects)},
    {"back", "URL", "workers, subscribers or sinks connect here: bind",
     WEIR_ARGS_MANY, AT(places[BACK].binds)},
    {"back-connect", "URL", "they are there: connect", WEIR_ARGS_MANY,
     AT(places[BACK].connects)},
    {"capture", "URL", "publish there all that passes: bind a PUB",
     WEIR_ARGS_MANY, AT(places[CAPTURE].binds)},
    {"capture-connect", "URL", "the same, and connect", WEIR_ARGS_MANY,
     AT(places[CAPTURE].connects)},
    {"front-option", "NAME=VALUE",
     "set an option of that socket; can be\n"
     "repeated, as the next two",
     WEIR_ARGS_ONE, AT(places[FRONT].options)},
    {"back-option", "NAME=VALUE", "set an option of that socket", WEIR_ARGS_ONE,
     AT(places[BACK].options)},
    {"capture-option", "NAME=VALUE", "set an option of that socket",
     WEIR_ARGS_ONE, AT(places[CAPTURE].options)},
    {"subscribe", "P",
     "a SUB takes what begins with P; can be repeated.\n"
     "Without it it takes everything",
     WEIR_ARGS_ONE, AT(topics)},
    {"workers", "N", "threads, up to 16 (1)", WEIR_ARGS_COUNT, AT(workers)},
    {"stats", "S", "print counters every S seconds", WEIR_ARGS_SECONDS,
     AT(stats)},
    {"stats-at", "NAME|URL",
     "be open to weir top, stats and monitor there; see\n"
     "weir_stats_endpoint(7)",
     WEIR_ARGS_TEXT, AT(stats_at)},
    {"json", NULL, "counters, and the account at the end, as JSON",
     WEIR_ARGS_FLAG, AT(json)},
    {"deadline", "S", "how long the end may take, after SIGTERM or SIGINT (5)",
     WEIR_ARGS_SECONDS, AT(deadline)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args_choice choices[] = {
    {"", "queue forwarder streamer"},
    {NULL, NULL},
};

static const struct weir_args args = {
    .command = "device",
    .usage = "queue|forwarder|streamer|TYPE TYPE --front URL --back URL\n"
             "                   [option...]",
    .about =
        "Moves messages between those in front and those at the back, until "
        "SIGTERM or\nSIGINT: requests and their replies (queue: ROUTER and "
        "DEALER), what publishers\nsend and subscriptions (forwarder: XSUB and "
        "XPUB), or messages to be shared\n(streamer: PULL and PUSH).  Any two "
        "types that go together do as well.  At the\nend what has come in goes "
        "out, and an account is given.  Exit code 1: something\nfailed, or was "
        "left when the deadline passed; 2: wrong arguments.\n",
    .options = options,
    .choices = choices,
};

static const struct shape {
    const char *name, *front, *back;
} shapes[] = {
    {"queue", "ROUTER", "DEALER"},
    {"forwarder", "XSUB", "XPUB"},
    {"streamer", "PULL", "PUSH"},
};

struct end {
    const char *type; /* NULL: there is none */
    weir_socket socket;
    weir_stats last; /* of the last look, or when the device had stopped */
    uint64_t unsent; /* when it was closed */
};

struct service {
    struct settings set;
    weir_context context;
    struct end ends[ENDS];
    weir_device device;
    int stop_fd;
    uint64_t began, looked;
    weir_device_counts counts, before;
};

static const char *const names[ENDS] = {"front", "back", "capture"};

/* ---- what the arguments mean ---- */

static int usage_error(const char *sentence)
{
    weir_common_fail("%s\n(weir device --help says more)", sentence);
    return 2;
}

static const char *find_type(const char *word)
{
    const struct weir_socket_kind *kind = weir_common_kind(word);

    if (!kind)
        weir_common_fail("%s: want queue, forwarder, streamer, or two of %s",
                         word, weir_common_kinds);
    return kind ? kind->name : NULL;
}

static int choose_types(struct service *service,
                        const struct weir_args_list *words)
{
    struct end *ends = service->ends;

    if (words->count == 1) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            if (strcasecmp(shapes[i].name, words->items[0]) != 0)
                continue;
            ends[FRONT].type = shapes[i].front;
            ends[BACK].type = shapes[i].back;
            return 0;
        }
        return find_type(words->items[0])
                   ? usage_error("a second type is missing")
                   : 2;
    }
    if (words->count != 2)
        return usage_error("want queue, forwarder or streamer, or two types");
    ends[FRONT].type = find_type(words->items[0]);
    if (ends[FRONT].type)
        ends[BACK].type = find_type(words->items[1]);
    return ends[BACK].type ? 0 : 2;
}

static bool has_urls(const struct place *place)
{
    return place->binds.count + place->connects.count > 0;
}

static int check_settings(struct service *service)
{
    const struct settings *set = &service->set;
    const struct end *ends = service->ends;

    if (!has_urls(&set->places[FRONT]))
        return usage_error("want --front URL or --front-connect URL");
    if (!has_urls(&set->places[BACK]))
        return usage_error("want --back URL or --back-connect URL");
    if (!has_urls(&set->places[CAPTURE]) && set->places[CAPTURE].options.count)
        return usage_error("--capture-option: there is no --capture");
    if (set->topics.count && strcmp(ends[FRONT].type, "SUB") != 0 &&
        strcmp(ends[BACK].type, "SUB") != 0)
        return usage_error("--subscribe: neither of the types is SUB");
    if (set->workers > WEIR_DEVICE_WORKERS_MAX)
        return usage_error("--workers: at most 16");
    if (has_urls(&set->places[CAPTURE]))
        service->ends[CAPTURE].type = "PUB";
    return 0;
}

/* ---- setting up ---- */

static int subscribe(const struct service *service, const struct end *end)
{
    const struct weir_args_list *topics = &service->set.topics;
    int code = 0;

    if (strcmp(end->type, "SUB") != 0)
        return 0;
    if (!topics->count)
        code = weir_subscribe(end->socket, "", 0);
    for (size_t i = 0; i < topics->count && code >= 0; i++)
        code = weir_subscribe(end->socket, topics->items[i],
                              strlen(topics->items[i]));
    return code < 0 ? weir_common_fail_code(code, "--subscribe") : 0;
}

static int open_end(struct service *service, int i)
{
    const struct weir_args_list *words = &service->set.places[i].options;
    struct end *end = &service->ends[i];
    char option[32];
    int code;

    if (!end->type)
        return 0;
    snprintf(option, sizeof option, "--%s-option", names[i]);
    code = weir_open_named(&end->socket, service->context, end->type);
    if (code < 0)
        return weir_common_fail_code(code, "no %s socket", end->type);
    code = 0;
    for (size_t k = 0; k < words->count && !code; k++)
        code = weir_common_set(end->socket, option, words->items[k]);
    return code ? code : subscribe(service, end);
}

/* With the port that was chosen for a wildcard. */
static void show_bound(const struct service *service, int i, const char *url)
{
    struct weir_text text = {0};

    weir_json_string(&text, url, strlen(url));
    if (service->set.json)
        printf("{\"bound\": \"%s\", \"url\": %s}\n", names[i],
               weir_text_string(&text));
    else
        printf("%s (%s) at %s\n", names[i], service->ends[i].type, url);
    weir_text_fini(&text);
    fflush(stdout);
}

static int bind_one(const struct service *service, int i, const char *url)
{
    char bound[1100];
    weir_endpoint endpoint;
    int code = weir_bind(service->ends[i].socket, url, &endpoint);

    if (code >= 0)
        code = weir_endpoint_url(endpoint, bound, sizeof bound);
    if (code < 0)
        return weir_common_fail_code(code, "--%s %s", names[i], url);
    show_bound(service, i, bound);
    return 0;
}

static int meet_peers(const struct service *service, int i)
{
    const struct place *place = &service->set.places[i];
    weir_socket socket = service->ends[i].socket;
    int code = 0;

    for (size_t k = 0; k < place->binds.count && !code; k++)
        code = bind_one(service, i, place->binds.items[k]);
    if (code)
        return code;
    for (size_t k = 0; k < place->connects.count; k++) {
        code = weir_connect(socket, place->connects.items[k], NULL);
        if (code < 0)
            return weir_common_fail_code(code, "--%s-connect %s", names[i],
                                         place->connects.items[k]);
    }
    return 0;
}

static int tell_manager(const char *lines)
{
    int code = weir_notify(lines);

    return code < 0 ? weir_common_fail_code(code, "NOTIFY_SOCKET") : 0;
}

static int open_stats(const struct service *service)
{
    const char *place = service->set.stats_at;
    int code = place ? weir_context_set(service->context, "stats", place) : 0;

    return code < 0 ? weir_common_fail_code(code, "--stats-at %s", place) : 0;
}

/* The device is there before its peers may come. */
static int set_up(struct service *service)
{
    struct end *ends = service->ends;
    int code = weir_context_open(&service->context, 1);

    if (code < 0)
        return weir_common_fail_code(code, "no context");
    code = open_stats(service);
    for (int i = 0; i < ENDS && !code; i++)
        code = open_end(service, i);
    if (code)
        return code;
    code = weir_device_start(&service->device, ends[FRONT].socket,
                             ends[BACK].socket, ends[CAPTURE].socket,
                             (int)service->set.workers);
    if (code < 0)
        return weir_common_fail_code(code, "no device");
    code = 0;
    for (int i = 0; i < ENDS && !code; i++)
        code = meet_peers(service, i);
    return code;
}

/* ---- counters ---- */

static int look(struct service *service)
{
    int code;

    service->before = service->counts;
    service->counts.size = sizeof service->counts;
    code = weir_device_stats(service->device, &service->counts);
    for (int i = 0; i < ENDS && code >= 0; i++) {
        service->ends[i].last.size = sizeof service->ends[i].last;
        if (service->ends[i].type)
            code = weir_socket_stats(service->ends[i].socket,
                                     &service->ends[i].last);
    }
    return code < 0 ? weir_common_fail_code(code, "no counters") : 0;
}

static double seconds(uint64_t from, uint64_t to)
{
    return (double)(to - from) / 1e9;
}

/* Messages that a socket has dropped, of those it was to send or had read. */
static uint64_t drops(const weir_stats *stats)
{
    return weir_common_drops(stats->send_dropped) +
           weir_common_drops(stats->recv_dropped);
}

static uint64_t all_drops(const struct service *service)
{
    return drops(&service->ends[FRONT].last) +
           drops(&service->ends[BACK].last) + service->counts.forth_dropped +
           service->counts.back_dropped;
}

static void show_plain(const struct service *service, double forth, double back,
                       double at)
{
    const weir_device_counts *counts = &service->counts;

    printf("%.1f s: forth %" PRIu64 " (%.0f/s), back %" PRIu64 " (%.0f/s), "
           "held %" PRIu64 ", dropped %" PRIu64 ", peers %" PRIu32
           " in front, %" PRIu32 " at the back",
           at, counts->forth, forth, counts->back, back, counts->held,
           all_drops(service), service->ends[FRONT].last.peers,
           service->ends[BACK].last.peers);
    if (service->ends[CAPTURE].type)
        printf(", captured %" PRIu64 " (missed %" PRIu64 ")", counts->captured,
               counts->capture_missed);
    putchar('\n');
}

/* Reasons that have a count, as members of an object. */
static void show_reasons(const weir_stats *stats)
{
    const char *comma = "";

    printf("{");
    for (int i = 0; i < WEIR_DROPS; i++) {
        uint64_t n = stats->send_dropped[i] + stats->recv_dropped[i];

        if (n > 0) {
            printf("%s\"%s\": %" PRIu64, comma, weir_drop_name(i), n);
            comma = ", ";
        }
    }
    printf("}");
}

static void show_end(const char *name, const weir_stats *stats)
{
    printf(", \"%s\": {\"peers\": %" PRIu32 ", \"delivered\": %" PRIu64
           ", \"written\": %" PRIu64 ", \"recv_queued\": %" PRIu64
           ", \"send_queued\": %" PRIu64 ", \"unconfirmed\": %" PRIu64
           ", \"dropped\": ",
           name, stats->peers, stats->delivered, stats->written,
           stats->recv_queued, stats->send_queued, stats->unconfirmed);
    show_reasons(stats);
    printf("}");
}

static void show_json(const struct service *service, double forth, double back,
                      double at)
{
    const weir_device_counts *counts = &service->counts;

    printf("{\"seconds\": %.3f, \"forth\": %" PRIu64 ", \"forth_rate\": %.1f, "
           "\"back\": %" PRIu64 ", \"back_rate\": %.1f, \"held\": %" PRIu64
           ", \"forth_waits\": %" PRIu64 ", \"back_waits\": %" PRIu64
           ", \"forth_dropped\": %" PRIu64 ", \"back_dropped\": %" PRIu64
           ", \"captured\": %" PRIu64 ", \"capture_missed\": %" PRIu64,
           at, counts->forth, forth, counts->back, back, counts->held,
           counts->forth_waits, counts->back_waits, counts->forth_dropped,
           counts->back_dropped, counts->captured, counts->capture_missed);
    for (int i = 0; i < ENDS; i++)
        if (service->ends[i].type)
            show_end(names[i], &service->ends[i].last);
    printf("}\n");
}

/* Whoever reads it wants it now. */
static int show(struct service *service)
{
    uint64_t now = weir_common_now();
    double span = seconds(service->looked, now);
    double at = seconds(service->began, now), forth, back;
    int code = look(service);

    if (code)
        return code;
    forth = (double)(service->counts.forth - service->before.forth) / span;
    back = (double)(service->counts.back - service->before.back) / span;
    service->looked = now;
    if (service->set.json)
        show_json(service, forth, back, at);
    else
        show_plain(service, forth, back, at);
    fflush(stdout);
    return 0;
}

/* ---- running ---- */

static int serve(struct service *service)
{
    weir_poll_item item = {.fd = service->stop_fd, .events = WEIR_POLL_IN};
    double pause = service->set.stats > 0 ? service->set.stats : -1;
    uint64_t next = weir_common_until(pause);
    int code = 0;

    while (!weir_common_stopped() && !code) {
        int n = weir_poll(&item, 1, weir_common_left(next, -1));

        if (n < 0)
            return weir_common_fail_code(n, "cannot wait");
        if (n == 0 && weir_common_left(next, -1) == 0) {
            code = show(service);
            next = weir_common_until(pause);
        }
    }
    return code;
}

/* ---- the end ---- */

static void account_plain(const struct end *end, int i)
{
    const weir_stats *last = &end->last;

    printf("%s (%s): received %" PRIu64 ", sent %" PRIu64, names[i], end->type,
           last->delivered, last->written + last->send_queued - end->unsent);
    if (last->recv_queued)
        printf(", unread %" PRIu64, last->recv_queued);
    if (end->unsent)
        printf(", unsent %" PRIu64, end->unsent);
    if (last->unconfirmed)
        printf(", unconfirmed up to %" PRIu64, last->unconfirmed);
    for (int k = 0; k < WEIR_DROPS; k++) {
        uint64_t n = last->send_dropped[k] + last->recv_dropped[k];

        if (n > 0)
            printf(", dropped %" PRIu64 " (%s)", n, weir_drop_name(k));
    }
    putchar('\n');
}

static void account_json(const struct service *service, uint64_t held)
{
    printf("{\"account\": true, \"held\": %" PRIu64, held);
    for (int i = 0; i < ENDS; i++)
        if (service->ends[i].type) {
            show_end(names[i], &service->ends[i].last);
            printf(", \"%s_unsent\": %" PRIu64, names[i],
                   service->ends[i].unsent);
        }
    printf("}\n");
}

static void give_account(const struct service *service, uint64_t held)
{
    if (service->set.json) {
        account_json(service, held);
        return;
    }
    for (int i = 0; i < ENDS; i++)
        if (service->ends[i].type)
            account_plain(&service->ends[i], i);
    if (held)
        printf("held when the deadline passed: %" PRIu64 "\n", held);
}

/* What was moved goes out, as far as there is time. */
static int close_end(struct service *service, int i, uint64_t until)
{
    struct end *end = &service->ends[i];
    int code;

    if (!end->type || end->socket.generation == 0)
        return 0;
    end->last.size = sizeof end->last;
    (void)weir_socket_stats(end->socket, &end->last);
    code = weir_close(end->socket, weir_common_left(until, -1), &end->unsent);
    if (code < 0 && code != -EAGAIN)
        return weir_common_fail_code(code, "%s", names[i]);
    if (end->unsent)
        return weir_common_fail("%s: %" PRIu64 " messages went unsent",
                                names[i], end->unsent);
    if (end->last.recv_queued)
        return weir_common_fail("%s: %" PRIu64 " messages are unread", names[i],
                                end->last.recv_queued);
    return 0;
}

/* A device that was never started leaves nothing to account for. */
static int end(struct service *service)
{
    uint64_t until = weir_common_until(service->set.deadline), held = 0;
    bool started = service->device.generation != 0;
    int code = 0, r = 0;

    if (started)
        r = weir_device_stop(service->device, weir_common_left(until, -1),
                             &held);
    if (r < 0 && r != -EAGAIN)
        code = weir_common_fail_code(r, "the device");
    for (int i = 0; i < ENDS; i++)
        code |= close_end(service, i, until);
    if (started)
        give_account(service, held);
    if (service->context.generation != 0)
        (void)weir_context_close(service->context, WEIR_FOREVER);
    return code | (held > 0);
}

static int run(struct service *service)
{
    int code = set_up(service);

    if (!code)
        code = tell_manager("READY=1");
    if (!code)
        code = serve(service);
    if (!code)
        code = tell_manager("STOPPING=1");
    return end(service) ? 1 : code;
}

int weir_device_main(int argc, const char *const *argv)
{
    static struct service service = {.set.workers = 1, .set.deadline = 5};
    struct weir_args_list words = {.count = 0};
    int code;

    if (!weir_args_take(&args, &service.set, &words, argc, argv, &code))
        return code;
    code = choose_types(&service, &words);
    if (!code)
        code = check_settings(&service);
    if (code)
        return code;
    service.stop_fd = weir_common_catch_signals();
    if (service.stop_fd < 0)
        return weir_common_fail_code(service.stop_fd, "no signals");
    service.began = service.looked = weir_common_now();
    return run(&service);
}
