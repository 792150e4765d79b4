/* cat.c - weir cat: talk to any socket from a shell. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "common.h"
#include "dialog.h"
#include "format.h"
#include "input.h"

struct settings {
    const char *type, *send, *reply, *format;
    struct weir_args_list binds, connects, topics, options;
    bool echo;
    uint64_t count;
    double timeout;
};

#define AT(member) offsetof(struct settings, member)

static const struct weir_args_option options[] = {
    {"type", "T",
     "PUSH PULL PUB SUB XPUB XSUB REQ REP DEALER ROUTER PAIR\n"
     "XREQ XREP, in small letters too",
     WEIR_ARGS_TEXT, AT(type)},
    {"bind", "URL", "listen there", WEIR_ARGS_MANY, AT(binds)},
    {"connect", "URL", "connect there", WEIR_ARGS_MANY, AT(connects)},
    {"send", "TEXT", "send a message; - sends what comes from standard input",
     WEIR_ARGS_TEXT, AT(send)},
    {"reply", "TEXT", "answer each message with this one", WEIR_ARGS_TEXT,
     AT(reply)},
    {"echo", NULL, "answer each message with itself; REP does so anyway",
     WEIR_ARGS_FLAG, AT(echo)},
    {"subscribe", "P",
     "SUB, XSUB: take what begins with P; can be repeated.\n"
     "Without it they take everything",
     WEIR_ARGS_ONE, AT(topics)},
    {"count", "N",
     "end after N received messages; with a type that only\n"
     "sends, and REQ, after N sent ones",
     WEIR_ARGS_COUNT, AT(count)},
    {"format", "F",
     "raw, text (the default), hex or json, in and out.\n"
     "raw sends standard input as one message, the others\n"
     "each line; json is {\"frames\": [\"text\", {\"base64\": \"AA==\"}]}",
     WEIR_ARGS_TEXT, AT(format)},
    {"timeout", "S",
     "give up after S seconds: exit code 3 if counted messages\n"
     "are missing",
     WEIR_ARGS_SECONDS, AT(timeout)},
    {"option", "NAME=VALUE", "set an option of the socket; can be repeated",
     WEIR_ARGS_ONE, AT(options)},
    {NULL, NULL, NULL, WEIR_ARGS_FLAG, 0},
};

static const struct weir_args_choice choices[] = {
    {"type", weir_common_kinds},
    {"format", "raw text hex json"},
    {NULL, NULL},
};

static const struct weir_args args = {
    .command = "cat",
    .usage = "--type T (--bind URL | --connect URL)... [option...]",
    .about =
        "Sends and receives messages.  Before the first message is sent there "
        "must\nbe a peer; for PUB and XPUB, one that subscribed.  What was "
        "sent is handed over\nbefore the command ends.  Exit code 1: something "
        "failed, was dropped or\nwent unsent; 2: wrong arguments; 3: the time "
        "is up, and messages are missing.\n",
    .options = options,
    .choices = choices,
};

enum source { SOURCE_NONE, SOURCE_TEXT, SOURCE_INPUT };
enum answer { ANSWER_NONE, ANSWER_ECHO, ANSWER_TEXT };
enum outcome { GO_ON, FAILED, TIMED_OUT, STOPPED };

enum { EXIT_LATE = 3 }; /* counted messages are missing after --timeout */

struct cat {
    struct settings set;
    const struct weir_socket_kind *kind;
    enum weir_format format;
    enum source source;
    enum answer answer;
    weir_context context;
    weir_socket socket;
    struct weir_input input;
    weir_message fixed; /* the message of --send or --reply */
    weir_message next;  /* to be sent now, if has_next */
    struct weir_text out;
    uint64_t until;
    uint64_t to_send, to_receive, sent, received;
    int stop_fd;
    struct weir_dialog dialog;
    bool has_next, met_peer;
    bool owed; /* REQ waits for an answer; REP has to give one */
};

/* ---- what the arguments mean ---- */

static int usage_error(const char *sentence)
{
    weir_common_fail("%s\n(weir cat --help says more)", sentence);
    return 2;
}

static int check_settings(struct cat *cat)
{
    const struct settings *set = &cat->set;
    int format = weir_format_find(set->format);

    if (!set->type)
        return usage_error("--type is missing");
    cat->kind = weir_common_kind(set->type);
    if (!cat->kind) {
        weir_common_fail("--type %s: want one of %s", set->type,
                         weir_common_kinds);
        return 2;
    }
    if (!set->binds.count && !set->connects.count)
        return usage_error("want --bind URL or --connect URL");
    if (format < 0) {
        weir_common_fail("--format %s: want raw, text, hex or json",
                         set->format);
        return 2;
    }
    cat->format = (enum weir_format)format;
    if (set->send && !cat->kind->sends)
        return usage_error("--send: this type does not send");
    if ((set->reply || set->echo) &&
        (!cat->kind->receives || !cat->kind->sends))
        return usage_error("--reply and --echo want a type that goes both "
                           "ways");
    if (!!set->send + !!set->reply + set->echo > 1)
        return usage_error("want one of --send, --reply and --echo");
    if (cat->kind->sends && !cat->kind->receives && !set->send)
        return usage_error("--send is missing: this type only sends");
    return 0;
}

/* Who says what: --send of a REP is a reply. */
static void choose_roles(struct cat *cat)
{
    const struct settings *set = &cat->set;
    bool answers = cat->kind->turns == WEIR_TURNS_ANSWER;

    if (set->send && strcmp(set->send, "-") == 0)
        cat->source = SOURCE_INPUT;
    else if (set->send && !answers)
        cat->source = SOURCE_TEXT;
    if (set->reply || (set->send && answers && !cat->source))
        cat->answer = ANSWER_TEXT;
    else if (set->echo || (answers && !cat->source))
        cat->answer = ANSWER_ECHO;
}

static void choose_limits(struct cat *cat)
{
    uint64_t count = cat->set.count;
    uint64_t sends = cat->source == SOURCE_TEXT ? 1 : UINT64_MAX;
    bool asks = cat->kind->turns == WEIR_TURNS_ASK;

    cat->to_send = sends;
    cat->to_receive = 0;
    if (!cat->kind->receives || asks) {
        cat->to_send = count ? count : sends;
        cat->to_receive = asks ? UINT64_MAX : 0;
    } else if (count) {
        cat->to_receive = count;
    } else if (cat->source == SOURCE_NONE ||
               cat->kind->turns == WEIR_TURNS_ANSWER) {
        cat->to_receive = UINT64_MAX;
    }
}

static int read_fixed(struct cat *cat)
{
    const char *text = cat->set.reply ? cat->set.reply : cat->set.send;
    struct weir_text error = {0};
    int code = 0;

    if (!text || cat->source == SOURCE_INPUT)
        return 0;
    if (weir_format_read(cat->format, text, strlen(text), 1, &cat->fixed,
                         &error) != 0 ||
        !weir_message_count(&cat->fixed)) {
        weir_common_fail("--%s: %s", cat->set.reply ? "reply" : "send",
                         error.size ? error.data : "no message");
        code = 2;
    }
    weir_text_fini(&error);
    return code;
}

/* ---- setting up ---- */

static int set_option(struct cat *cat, const char *word)
{
    const char *equals = strchr(word, '=');
    char name[64];
    int code;

    if (!equals || (size_t)(equals - word) >= sizeof name) {
        weir_common_fail("--option %s: want name=value", word);
        return 2;
    }
    memcpy(name, word, (size_t)(equals - word));
    name[equals - word] = '\0';
    code = weir_set(cat->socket, name, equals + 1);
    return code < 0 ? weir_common_fail_code(code, "--option %s", word) : 0;
}

/* An XSUB subscribes by sending 01 and the prefix. */
static int subscribe(struct cat *cat, const char *topic)
{
    struct weir_text order = {0};
    int code;

    if (strcmp(cat->kind->name, "XSUB") == 0) {
        weir_text_add_char(&order, '\1');
        weir_text_add(&order, topic, strlen(topic));
        code = weir_send(cat->socket, order.data, order.size, WEIR_NOWAIT);
        weir_text_fini(&order);
    } else {
        code = weir_subscribe(cat->socket, topic, strlen(topic));
    }
    if (code < 0)
        return weir_common_fail_code(code, "--subscribe %s", topic);
    return 0;
}

static int subscribe_all(struct cat *cat)
{
    const struct weir_args_list *topics = &cat->set.topics;
    int code = 0;

    if (!topics->count && (strcmp(cat->kind->name, "SUB") == 0 ||
                           strcmp(cat->kind->name, "XSUB") == 0))
        return subscribe(cat, "");
    for (size_t i = 0; i < topics->count && !code; i++)
        code = subscribe(cat, topics->items[i]);
    return code;
}

/* Where it listens is told if that is not what was asked for, such as any port.
 */
static int listen_at(struct cat *cat, const char *url)
{
    size_t size = strcspn(url, "?");
    weir_endpoint endpoint;
    char actual[512];
    int code = weir_bind(cat->socket, url, &endpoint);

    if (code >= 0)
        code = weir_endpoint_url(endpoint, actual, sizeof(actual));
    if (code < 0)
        return weir_common_fail_code(code, "--bind %s", url);
    if (strlen(actual) != size || strncmp(url, actual, size) != 0)
        fprintf(stderr, "listening at %s\n", actual);
    return 0;
}

static int make_endpoints(struct cat *cat)
{
    const struct weir_args_list *urls = &cat->set.binds;
    int code;

    for (size_t i = 0; i < urls->count; i++) {
        code = listen_at(cat, urls->items[i]);
        if (code)
            return code;
    }
    urls = &cat->set.connects;
    for (size_t i = 0; i < urls->count; i++) {
        code = weir_connect(cat->socket, urls->items[i], NULL);
        if (code < 0)
            return weir_common_fail_code(code, "--connect %s", urls->items[i]);
    }
    return 0;
}

static int set_up(struct cat *cat)
{
    int code = weir_context_open(&cat->context, 1);

    if (code < 0)
        return weir_common_fail_code(code, "no context");
    code = weir_open_named(&cat->socket, cat->context, cat->kind->name);
    if (code < 0)
        return weir_common_fail_code(code, "no %s socket", cat->kind->name);
    code = 0;
    for (size_t i = 0; i < cat->set.options.count && !code; i++)
        code = set_option(cat, cat->set.options.items[i]);
    if (!code)
        code = subscribe_all(cat);
    return code ? code : make_endpoints(cat);
}

/* ---- waiting ---- */

/* What ends the work from outside, if anything has. */
static enum outcome outside(const struct cat *cat)
{
    if (weir_common_stopped())
        return STOPPED;
    return weir_common_left(cat->until, -1) == 0 ? TIMED_OUT : GO_ON;
}

/* Wait for the socket's `events` (may be 0), for input if `input`, for a
 * signal or the end of time.  *ready: does the socket have one of them? */
static enum outcome wait_for(struct cat *cat, short events, bool input,
                             bool *socket_ready, bool *input_ready)
{
    weir_poll_item items[3];
    int n = 1, code;

    memset(items, 0, sizeof items);
    items[0].fd = cat->stop_fd;
    items[0].events = WEIR_POLL_IN;
    if (events) {
        items[n].socket = cat->socket;
        items[n++].events = events;
    }
    if (input) {
        items[n].fd = cat->input.fd;
        items[n++].events = WEIR_POLL_IN;
    }
    code = weir_poll(items, n, weir_common_left(cat->until, -1));
    if (code < 0) {
        weir_common_fail_code(code, "cannot wait");
        return FAILED;
    }
    *socket_ready = events && items[1].ready;
    *input_ready = input && items[n - 1].ready;
    return code ? (weir_common_stopped() ? STOPPED : GO_ON) : TIMED_OUT;
}

/* Nothing is sent into the void: wait for a first peer. */
static enum outcome meet_peer(struct cat *cat)
{
    enum outcome outcome = GO_ON;
    int code;

    if (cat->met_peer || cat->kind->turns == WEIR_TURNS_ANSWER)
        return GO_ON;
    do {
        code =
            weir_wait_peers(cat->socket, 1, weir_common_left(cat->until, 50));
        if (code < 0 && code != -EAGAIN) {
            weir_common_fail_code(code, "cannot wait for a peer");
            return FAILED;
        }
        if (code < 0) {
            weir_dialog_wait(&cat->dialog, cat->kind->name);
            outcome = outside(cat);
        }
    } while (code < 0 && outcome == GO_ON);
    cat->met_peer = code >= 0;
    return outcome;
}

/* ---- sending ---- */

static uint64_t octets_of(weir_message *message)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < weir_message_count(message); i++)
        sum += weir_frame_size(weir_message_frame(message, i));
    return sum;
}

static enum outcome send_next(struct cat *cat)
{
    bool ready, unused;
    enum outcome outcome = meet_peer(cat);
    uint64_t octets = octets_of(&cat->next);
    int code;

    while (outcome == GO_ON) {
        code = weir_send_message(cat->socket, &cat->next, WEIR_NOWAIT);
        if (code >= 0)
            break;
        if (code != -EAGAIN) {
            weir_common_fail_code(code, "cannot send");
            return FAILED;
        }
        outcome = wait_for(cat, WEIR_POLL_OUT, false, &ready, &unused);
    }
    if (outcome != GO_ON)
        return outcome;
    cat->has_next = false;
    cat->sent++;
    weir_dialog_count(&cat->dialog, cat->sent, octets);
    cat->owed = cat->kind->turns == WEIR_TURNS_ASK;
    return GO_ON;
}

/* Is there more to send, now or later? */
static bool more_to_send(const struct cat *cat)
{
    if (cat->source == SOURCE_NONE || cat->sent >= cat->to_send)
        return false;
    return cat->source == SOURCE_TEXT || !weir_input_over(&cat->input);
}

/* Is it our turn to take the next message from the source? */
static bool wants_source(const struct cat *cat)
{
    if (cat->has_next || !more_to_send(cat))
        return false;
    if (cat->kind->turns == WEIR_TURNS_ANSWER)
        return cat->owed;
    return !cat->owed;
}

static enum outcome share_fixed(struct cat *cat)
{
    int code = weir_message_share(&cat->next, &cat->fixed);

    cat->has_next = code >= 0;
    if (code < 0)
        weir_common_fail_code(code, "cannot send");
    return code < 0 ? FAILED : GO_ON;
}

/* The next message of the source into `next`, if it is here. */
static enum outcome take_source(struct cat *cat)
{
    struct weir_text error = {0};
    const char *data;
    size_t size;
    int code = 0;

    if (cat->source == SOURCE_TEXT)
        return share_fixed(cat);
    while (!code && !cat->has_next &&
           weir_input_next(&cat->input, &data, &size)) {
        code = weir_format_read(cat->format, data, size, cat->input.line,
                                &cat->next, &error);
        cat->has_next = !code && weir_message_count(&cat->next) > 0;
    }
    if (code)
        weir_common_fail("standard input: %s", weir_text_string(&error));
    weir_text_fini(&error);
    return code ? FAILED : GO_ON;
}

/* ---- receiving ---- */

static bool may_receive(const struct cat *cat)
{
    if (!cat->kind->receives || cat->has_next)
        return false;
    if (cat->kind->turns == WEIR_TURNS_ASK)
        return cat->owed;
    if (cat->kind->turns == WEIR_TURNS_ANSWER && cat->owed)
        return false;
    return cat->received < cat->to_receive ||
           (!cat->set.count && more_to_send(cat));
}

/* Show a message, and say what is due for it. */
static enum outcome take_message(struct cat *cat, weir_message *message)
{
    weir_dialog_clear(&cat->dialog);
    weir_text_clear(&cat->out);
    weir_format_write(cat->format, message, &cat->out);
    if (cat->out.size && fwrite(cat->out.data, cat->out.size, 1, stdout) != 1)
        return FAILED; /* main() says why */
    cat->received++;
    cat->owed = cat->kind->turns == WEIR_TURNS_ANSWER;
    if (cat->answer == ANSWER_TEXT)
        return share_fixed(cat);
    if (cat->answer == ANSWER_ECHO) {
        weir_message_move(&cat->next, message);
        cat->has_next = true;
    }
    return GO_ON;
}

/* What is there, but not for ever: others want their turn. */
static enum outcome receive_some(struct cat *cat)
{
    enum outcome outcome = GO_ON;
    weir_message message;
    int code = 0;

    weir_message_init(&message);
    for (int i = 0; i < 1000 && outcome == GO_ON && may_receive(cat); i++) {
        code = weir_recv_message(cat->socket, &message, WEIR_NOWAIT);
        if (code < 0)
            break;
        outcome = take_message(cat, &message);
    }
    weir_message_fini(&message);
    fflush(stdout);
    if (code < 0 && code != -EAGAIN) {
        weir_common_fail_code(code, "cannot receive");
        return FAILED;
    }
    return outcome;
}

/* ---- the loop ---- */

static bool finished(const struct cat *cat)
{
    if (cat->has_next)
        return false;
    switch (cat->kind->turns) {
    case WEIR_TURNS_ASK:
        return !cat->owed && !more_to_send(cat);
    case WEIR_TURNS_ANSWER:
        return cat->owed ? !more_to_send(cat)
                         : cat->received >= cat->to_receive;
    case WEIR_TURNS_FREE:
        break;
    }
    return !more_to_send(cat) && cat->received >= cat->to_receive;
}

static enum outcome wait_and_take(struct cat *cat, bool input)
{
    bool message = false, piece = false;
    enum outcome outcome;
    int code;

    if (input)
        weir_dialog_prompt(&cat->dialog);
    outcome = wait_for(cat, may_receive(cat) ? WEIR_POLL_IN : 0, input,
                       &message, &piece);
    if (outcome == GO_ON && message)
        outcome = receive_some(cat);
    if (outcome == GO_ON && piece) {
        weir_dialog_answered(&cat->dialog);
        code = weir_input_fill(&cat->input);
        if (code < 0) {
            weir_common_fail("standard input: %s", weir_strerror(code));
            outcome = FAILED;
        }
    }
    return outcome;
}

static enum outcome turn(struct cat *cat)
{
    enum outcome outcome = GO_ON;

    if (wants_source(cat))
        outcome = take_source(cat);
    if (outcome == GO_ON && cat->has_next)
        return send_next(cat);
    if (outcome == GO_ON && !finished(cat))
        outcome = wait_and_take(cat, wants_source(cat));
    return outcome;
}

static enum outcome work(struct cat *cat)
{
    enum outcome outcome = GO_ON;

    while (outcome == GO_ON && !finished(cat))
        outcome = turn(cat);
    return outcome;
}

/* ---- the end ---- */

/* Hand over what was accepted, as long as there is time. */
static enum outcome flush(struct cat *cat, enum outcome outcome)
{
    int code = cat->sent ? -EAGAIN : 0;

    while (outcome == GO_ON && code == -EAGAIN) {
        code = weir_flush(cat->socket, weir_common_left(cat->until, 50));
        if (code == -EAGAIN)
            outcome = outside(cat);
    }
    return outcome;
}

/* Why there is no peer, if that is known. */
static void report_nobody(const struct cat *cat)
{
    weir_stats stats = {.size = sizeof stats};

    if (weir_socket_stats(cat->socket, &stats) == 0 && !stats.peers &&
        stats.last_reason[0])
        weir_common_fail("no peer: %s", stats.last_reason);
}

/* Counted messages that are missing. */
static int report_missing(const struct cat *cat, enum outcome outcome)
{
    bool receives = cat->kind->receives && cat->kind->turns != WEIR_TURNS_ASK;
    uint64_t done = receives ? cat->received : cat->sent - cat->owed;
    uint64_t want = receives ? cat->to_receive : cat->to_send;

    if (!cat->set.count)
        want = cat->has_next || cat->owed ? done + 1 : 0;
    if (done >= want)
        return 0;
    if (outcome == STOPPED)
        return 1;
    weir_common_fail("timed out: %s %" PRIu64 " of %" PRIu64 " messages",
                     receives                             ? "received"
                     : cat->kind->turns == WEIR_TURNS_ASK ? "asked and heard"
                                                          : "sent",
                     done, want);
    report_nobody(cat);
    return EXIT_LATE;
}

static int report_drops(struct cat *cat)
{
    weir_stats stats = {.size = sizeof stats};
    int code = 0;

    if (!cat->sent || weir_socket_stats(cat->socket, &stats) < 0)
        return 0;
    for (int i = 0; i < WEIR_DROPS; i++) {
        if (stats.send_dropped[i])
            code = weir_common_fail("%" PRIu64 " sent messages were dropped "
                                    "(%s)",
                                    stats.send_dropped[i], weir_drop_name(i));
    }
    return code;
}

static int end(struct cat *cat, enum outcome outcome)
{
    int code = outcome == FAILED, closed;
    uint64_t unsent = 0;

    weir_dialog_clear(&cat->dialog);
    outcome = flush(cat, outcome);
    if (outcome == TIMED_OUT || outcome == STOPPED)
        code |= report_missing(cat, outcome);
    code |= report_drops(cat);
    closed =
        weir_close(cat->socket, outcome == GO_ON ? WEIR_LINGER : 0, &unsent);
    if (closed == -EAGAIN && unsent)
        code = weir_common_fail("messages that went unsent: %" PRIu64, unsent);
    return code;
}

static void tear_down(struct cat *cat)
{
    weir_close(cat->socket, 0, NULL);
    weir_context_close(cat->context, 5000);
    weir_message_fini(&cat->next);
    weir_message_fini(&cat->fixed);
    weir_input_fini(&cat->input);
    weir_text_fini(&cat->out);
}

static int run(struct cat *cat)
{
    int code = check_settings(cat);

    if (code)
        return code;
    choose_roles(cat);
    choose_limits(cat);
    code = read_fixed(cat);
    if (code)
        return code;
    weir_input_init(&cat->input, STDIN_FILENO, cat->format == WEIR_FORMAT_RAW);
    weir_dialog_init(&cat->dialog, cat->source == SOURCE_INPUT,
                     cat->kind->receives);
    cat->until = weir_common_until(cat->set.timeout);
    cat->stop_fd = weir_common_catch_signals();
    if (cat->stop_fd < 0)
        return weir_common_fail("no pipe: %s", weir_strerror(cat->stop_fd));
    code = set_up(cat);
    return code ? code : end(cat, work(cat));
}

int weir_cat_main(int argc, const char *const *argv)
{
    struct cat cat = {.set = {.format = "text", .timeout = -1}};
    struct weir_args_list rest = {.count = 0};
    int code;

    if (!weir_args_take(&args, &cat.set, &rest, argc, argv, &code))
        return code;
    if (rest.count) {
        weir_common_fail("%s: options begin with --", rest.items[0]);
        return 2;
    }
    weir_message_init(&cat.next);
    weir_message_init(&cat.fixed);
    code = run(&cat);
    tear_down(&cat);
    return code;
}
