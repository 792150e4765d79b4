/* cat_setup.c - weir cat: its arguments, and its socket. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cat.h"

#define AT(member) offsetof(struct weir_cat_settings, member)

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
     "each line; json is\n"
     "{\"frames\": [\"text\", {\"base64\": \"AA==\"}]}",
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

const struct weir_args weir_cat_args = {
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

/* ---- what the arguments mean ---- */

static int usage_error(const char *sentence)
{
    weir_common_fail("%s\n(weir cat --help says more)", sentence);
    return 2;
}

static int check_settings(struct weir_cat *cat)
{
    const struct weir_cat_settings *set = &cat->set;
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
static void choose_roles(struct weir_cat *cat)
{
    const struct weir_cat_settings *set = &cat->set;
    bool answers = cat->kind->turns == WEIR_TURNS_ANSWER;

    if (set->send && strcmp(set->send, "-") == 0)
        cat->source = WEIR_CAT_SOURCE_INPUT;
    else if (set->send && !answers)
        cat->source = WEIR_CAT_SOURCE_TEXT;
    if (set->reply || (set->send && answers && !cat->source))
        cat->answer = WEIR_CAT_ANSWER_TEXT;
    else if (set->echo || (answers && !cat->source))
        cat->answer = WEIR_CAT_ANSWER_ECHO;
}

static void choose_limits(struct weir_cat *cat)
{
    uint64_t count = cat->set.count;
    uint64_t sends = cat->source == WEIR_CAT_SOURCE_TEXT ? 1 : UINT64_MAX;
    bool asks = cat->kind->turns == WEIR_TURNS_ASK;

    cat->to_send = sends;
    cat->to_receive = 0;
    if (!cat->kind->receives || asks) {
        cat->to_send = count ? count : sends;
        cat->to_receive = asks ? UINT64_MAX : 0;
    } else if (count) {
        cat->to_receive = count;
    } else if (cat->source == WEIR_CAT_SOURCE_NONE ||
               cat->kind->turns == WEIR_TURNS_ANSWER) {
        cat->to_receive = UINT64_MAX;
    }
}

static int read_fixed(struct weir_cat *cat)
{
    const char *text = cat->set.reply ? cat->set.reply : cat->set.send;
    struct weir_text error = {0};
    int code = 0;

    if (!text || cat->source == WEIR_CAT_SOURCE_INPUT)
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

int weir_cat_understand(struct weir_cat *cat)
{
    int code = check_settings(cat);

    if (code)
        return code;
    choose_roles(cat);
    choose_limits(cat);
    return read_fixed(cat);
}

/* ---- setting up ---- */

/* An XSUB subscribes by sending 01 and the prefix. */
static int subscribe(struct weir_cat *cat, const char *topic)
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

static int subscribe_all(struct weir_cat *cat)
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
static int listen_at(struct weir_cat *cat, const char *url)
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

static int make_endpoints(struct weir_cat *cat)
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

int weir_cat_open(struct weir_cat *cat)
{
    int code = weir_context_open(&cat->context, 1);

    if (code < 0)
        return weir_common_fail_code(code, "no context");
    code = weir_open_named(&cat->socket, cat->context, cat->kind->name);
    if (code < 0)
        return weir_common_fail_code(code, "no %s socket", cat->kind->name);
    code = 0;
    for (size_t i = 0; i < cat->set.options.count && !code; i++)
        code =
            weir_common_set(cat->socket, "--option", cat->set.options.items[i]);
    if (!code)
        code = subscribe_all(cat);
    return code ? code : make_endpoints(cat);
}
