/* cat.c - weir cat: talk to any socket from a shell. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cat.h"

enum outcome { GO_ON, FAILED, TIMED_OUT, STOPPED };

enum { EXIT_LATE = 3 }; /* counted messages are missing after --timeout */

/* ---- waiting ---- */

/* What ends the work from outside, if anything has. */
static enum outcome outside(const struct weir_cat *cat)
{
    if (weir_common_stopped())
        return STOPPED;
    return weir_common_left(cat->until, -1) == 0 ? TIMED_OUT : GO_ON;
}

/* Wait for the socket's `events` (may be 0), for input if `input`, for a
 * signal or the end of time.  *ready: does the socket have one of them? */
static enum outcome wait_for(struct weir_cat *cat, short events, bool input,
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

/* Nothing is sent into the void: wait for a first peer.  What is kept until one
 * comes needs none. */
static enum outcome meet_peer(struct weir_cat *cat)
{
    enum outcome outcome = GO_ON;
    int code;

    if (cat->met_peer || cat->keeps || cat->kind->turns == WEIR_TURNS_ANSWER)
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

static enum outcome send_next(struct weir_cat *cat)
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
static bool more_to_send(const struct weir_cat *cat)
{
    if (cat->source == WEIR_CAT_SOURCE_NONE || cat->sent >= cat->to_send)
        return false;
    return cat->source == WEIR_CAT_SOURCE_TEXT || !weir_input_over(&cat->input);
}

/* Is it our turn to take the next message from the source? */
static bool wants_source(const struct weir_cat *cat)
{
    if (cat->has_next || !more_to_send(cat))
        return false;
    if (cat->kind->turns == WEIR_TURNS_ANSWER)
        return cat->owed;
    return !cat->owed;
}

static enum outcome share_fixed(struct weir_cat *cat)
{
    int code = weir_message_share(&cat->next, &cat->fixed);

    cat->has_next = code >= 0;
    if (code < 0)
        weir_common_fail_code(code, "cannot send");
    return code < 0 ? FAILED : GO_ON;
}

/* The next message of the source into `next`, if it is here. */
static enum outcome take_source(struct weir_cat *cat)
{
    struct weir_text error = {0};
    const char *data;
    size_t size;
    int code = 0;

    if (cat->source == WEIR_CAT_SOURCE_TEXT)
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

static bool may_receive(const struct weir_cat *cat)
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
static enum outcome take_message(struct weir_cat *cat, weir_message *message)
{
    weir_dialog_clear(&cat->dialog);
    weir_text_clear(&cat->out);
    weir_format_write(cat->format, message, &cat->out);
    if (cat->out.size && fwrite(cat->out.data, cat->out.size, 1, stdout) != 1)
        return FAILED; /* main() says why */
    cat->received++;
    cat->owed = cat->kind->turns == WEIR_TURNS_ANSWER;
    if (cat->answer == WEIR_CAT_ANSWER_TEXT)
        return share_fixed(cat);
    if (cat->answer == WEIR_CAT_ANSWER_ECHO) {
        weir_message_move(&cat->next, message);
        cat->has_next = true;
    }
    return GO_ON;
}

/* What is there, but not for ever: others want their turn. */
static enum outcome receive_some(struct weir_cat *cat)
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

static bool finished(const struct weir_cat *cat)
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

static enum outcome wait_and_take(struct weir_cat *cat, bool input)
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
        code = weir_input_fill(&cat->input);
        weir_dialog_answered(&cat->dialog, weir_input_over(&cat->input));
        if (cat->input.whole)
            weir_dialog_read(&cat->dialog, cat->input.data.size);
        if (code < 0) {
            weir_common_fail("standard input: %s", weir_strerror(code));
            outcome = FAILED;
        }
    }
    return outcome;
}

static enum outcome turn(struct weir_cat *cat)
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

static enum outcome work(struct weir_cat *cat)
{
    enum outcome outcome = GO_ON;

    if (cat->source == WEIR_CAT_SOURCE_NONE)
        weir_dialog_listen(&cat->dialog);
    while (outcome == GO_ON && !finished(cat))
        outcome = turn(cat);
    return outcome;
}

/* ---- the end ---- */

/* Hand over what was accepted, or see it on the disk, as long as there is
 * time. */
static enum outcome flush(struct weir_cat *cat, enum outcome outcome)
{
    int code = cat->sent ? -EAGAIN : 0;

    while (outcome == GO_ON && code == -EAGAIN) {
        int wait = weir_common_left(cat->until, 50);

        code = cat->keeps ? weir_sync(cat->socket, wait)
                          : weir_flush(cat->socket, wait);
        if (code == -EAGAIN)
            outcome = outside(cat);
    }
    if (code >= 0 || code == -EAGAIN || !cat->keeps)
        return outcome;
    weir_common_fail_code(code, "cannot keep what was sent");
    return FAILED;
}

/* Why there is no peer, if that is known. */
static void report_nobody(const struct weir_cat *cat)
{
    weir_stats stats = {.size = sizeof stats};

    if (weir_socket_stats(cat->socket, &stats) == 0 && !stats.peers &&
        stats.last_reason[0])
        weir_common_fail("no peer: %s", stats.last_reason);
}

/* Counted messages that are missing. */
static int report_missing(const struct weir_cat *cat, enum outcome outcome)
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

static int report_drops(struct weir_cat *cat)
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

static int end(struct weir_cat *cat, enum outcome outcome)
{
    uint64_t unsent = 0;
    int code, closed;

    weir_dialog_clear(&cat->dialog);
    outcome = flush(cat, outcome);
    code = outcome == FAILED;
    if (outcome == TIMED_OUT || outcome == STOPPED)
        code |= report_missing(cat, outcome);
    code |= report_drops(cat);
    closed =
        weir_close(cat->socket, outcome == GO_ON ? WEIR_LINGER : 0, &unsent);
    if (closed == -EAGAIN && unsent)
        code = weir_common_fail("messages that went unsent: %" PRIu64, unsent);
    return code;
}

static void tear_down(struct weir_cat *cat)
{
    weir_close(cat->socket, 0, NULL);
    weir_context_close(cat->context, 5000);
    weir_message_fini(&cat->next);
    weir_message_fini(&cat->fixed);
    weir_input_fini(&cat->input);
    weir_text_fini(&cat->out);
}

static int run(struct weir_cat *cat)
{
    int code = weir_cat_understand(cat);

    if (code)
        return code;
    weir_input_init(&cat->input, STDIN_FILENO, cat->format == WEIR_FORMAT_RAW);
    weir_dialog_init(&cat->dialog, cat->source == WEIR_CAT_SOURCE_INPUT,
                     cat->kind->receives);
    cat->until = weir_common_until(cat->set.timeout);
    cat->stop_fd = weir_common_catch_signals();
    if (cat->stop_fd < 0)
        return weir_common_fail("no pipe: %s", weir_strerror(cat->stop_fd));
    code = weir_cat_open(cat);
    cat->keeps = !code && cat->set.connects.count &&
                 weir_sync(cat->socket, WEIR_NOWAIT) != -WEIR_EINCOMPATIBLE;
    return code ? code : end(cat, work(cat));
}

int weir_cat_main(int argc, const char *const *argv)
{
    struct weir_cat cat = {.set = {.format = "text", .timeout = -1}};
    struct weir_args_list rest = {.count = 0};
    int code;

    if (!weir_args_take(&weir_cat_args, &cat.set, &rest, argc, argv, &code))
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
