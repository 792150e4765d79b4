/*
 * device_rules.c - which sockets go together in a device.
 *
 * What one of them receives the other must be able to send, and must mean the
 * same by it.  See device.h.
 */
#include "config.h"

#include "base/error.h"
#include "device.h"
#include "pattern.h"
#include "socket.h"

static bool gives(const struct weir_sock *sock)
{
    return sock->pattern->recv != NULL;
}

static bool takes(const struct weir_sock *sock)
{
    return sock->pattern->send != NULL;
}

static bool is(const struct weir_sock *sock, enum weir_type type)
{
    return sock->pattern->type == type;
}

/* "an XPUB" */
static const char *article(const struct weir_sock *sock)
{
    return sock->pattern->name[0] == 'X' ? "an" : "a";
}

/* REQ and REP take turns: one alone would wait for ever. */
static bool takes_turns(const struct weir_sock *sock)
{
    return is(sock, WEIR_REQ) || is(sock, WEIR_REP);
}

static int check_turns(const struct weir_sock *one,
                       const struct weir_sock *other)
{
    if (!takes_turns(one) ||
        (takes_turns(other) && one->pattern->type != other->pattern->type))
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "a %s takes turns, and goes in a device with a %s only, "
                     "not with %s %s",
                     one->pattern->name, is(one, WEIR_REQ) ? "REP" : "REQ",
                     article(other), other->pattern->name);
}

/* What a ROUTER sends begins with whom it is for. */
static int check_ids(const struct weir_sock *from, const struct weir_sock *to)
{
    if (!gives(from) || !is(to, WEIR_ROUTER) || is(from, WEIR_DEALER) ||
        is(from, WEIR_PAIR))
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "a ROUTER sends to the peer that the first frame names: "
                     "what %s %s receives does not begin so",
                     article(from), from->pattern->name);
}

/* What an XPUB receives is subscriptions: whoever sends them on must want to
 * hear, too, or be somebody's who understands them. */
static int check_topics(const struct weir_sock *from,
                        const struct weir_sock *to)
{
    if (!is(from, WEIR_XPUB) || is(to, WEIR_XSUB) || is(to, WEIR_PAIR) ||
        is(to, WEIR_DEALER))
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "an XPUB receives subscriptions, and %s %s does not pass "
                     "them to publishers",
                     article(to), to->pattern->name);
}

static int check_way(const struct weir_sock *from, const struct weir_sock *to)
{
    int r = check_turns(from, to);

    if (r >= 0 && gives(from) && !takes(to))
        r = weir_fail(WEIR_EINCOMPATIBLE,
                      "%s %s receives, and %s %s does not send that on",
                      article(from), from->pattern->name, article(to),
                      to->pattern->name);
    if (r >= 0)
        r = check_ids(from, to);
    return r < 0 ? r : check_topics(from, to);
}

int weir_dev_check_pair(const struct weir_sock *front,
                        const struct weir_sock *back, bool flows[WEIR_DEV_WAYS])
{
    int r = check_way(front, back);

    if (r >= 0)
        r = check_way(back, front);
    if (r < 0)
        return r;
    flows[WEIR_DEV_FRONT] = gives(front);
    flows[WEIR_DEV_BACK] = gives(back);
    if (!gives(front) && !gives(back))
        return weir_fail(WEIR_EINCOMPATIBLE,
                         "neither a %s nor a %s receives anything",
                         front->pattern->name, back->pattern->name);
    return 0;
}

int weir_dev_check_capture(const struct weir_sock *capture)
{
    if (is(capture, WEIR_PUB) || is(capture, WEIR_PUSH) ||
        is(capture, WEIR_PAIR))
        return 0;
    return weir_fail(WEIR_EINCOMPATIBLE,
                     "a device captures into a PUB, a PUSH or a PAIR, not "
                     "into a %s",
                     capture->pattern->name);
}
