/* group.c - what every transport to groups must do. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "couple.h"

/* Bind or connect: to a group it is the same. */
static bool enter(struct weir_check_run *run, weir_socket socket,
                  const char *url, bool binds)
{
    int code =
        binds ? weir_bind(socket, url, NULL) : weir_connect(socket, url, NULL);

    return weir_check_good(run, code, binds ? "bind" : "connect") &&
           weir_check_good(run,
                           weir_wait_peers(socket, 1, run->check->patience),
                           "wait for the group");
}

static bool open_in(struct weir_check_run *run, const char *type,
                    const char *url, bool binds, weir_socket *socket)
{
    return weir_check_open(run, type, socket) &&
           enter(run, *socket, url, binds);
}

/* One that publishes and one that hears, each by bind or by connect. */
static bool join(struct weir_check_run *run, struct weir_check_couple *c,
                 bool pub_binds, bool sub_binds)
{
    memset(c, 0, sizeof *c);
    return weir_check_url(run, c->url) &&
           open_in(run, "SUB", c->url, sub_binds, &c->dialer) &&
           open_in(run, "PUB", c->url, pub_binds, &c->binder);
}

/* What nobody wants does not come. */
static bool speak(struct weir_check_run *run, const struct weir_check_couple *c)
{
    return weir_check_say(run, c->binder, "b: unwanted") &&
           weir_check_carry(run, c->binder, c->dialer, "a: wanted") &&
           weir_check_carry(run, c->binder, c->dialer, "a: and another");
}

static bool pub_sub(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good = join(run, &c, true, false) && speak(run, &c);

    return weir_check_part(run, &c, good);
}

static bool all_orders(struct weir_check_run *run)
{
    bool good = true;

    for (int i = 0; i < 4 && good; i++) {
        struct weir_check_couple c;

        good = join(run, &c, i & 1, i & 2) && speak(run, &c);
        good = weir_check_part(run, &c, good);
    }
    return good;
}

/* An XSUB gets what is sent: to choose is the application's. */
static bool xpub_xsub(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good;

    memset(&c, 0, sizeof c);
    good = weir_check_url(run, c.url) &&
           open_in(run, "XSUB", c.url, true, &c.dialer) &&
           weir_check_say(run, c.dialer, "\1a") &&
           open_in(run, "XPUB", c.url, true, &c.binder) &&
           weir_check_carry(run, c.binder, c.dialer, "a: wanted") &&
           weir_check_carry(run, c.binder, c.dialer, "b: unwanted");
    return weir_check_part(run, &c, good);
}

static bool all_sizes(struct weir_check_run *run)
{
    static const size_t sizes[] = {0,     1,     40,     41,     254,  255,
                                   256,   1400,  1428,   1436,   1500, 9000,
                                   65535, 65536, 100000, 1 << 20};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    struct weir_check_couple c;
    bool good = join(run, &c, true, false) &&
                weir_check_good(run, weir_subscribe(c.dialer, "", 0),
                                "subscribe to all");

    for (size_t i = 0; i < SIZES && good; i++)
        good = weir_check_frames(run, c.binder, c.dialer, &sizes[i], 1);
    good = good && weir_check_frames(run, c.binder, c.dialer, sizes, SIZES);
    return weir_check_part(run, &c, good);
}

/* All hear the one, and nobody disturbs the others by coming or going. */
static bool many_hear(struct weir_check_run *run)
{
    enum { MANY = 4 };
    weir_socket more[MANY];
    struct weir_check_couple c;
    bool good = join(run, &c, true, true);

    memset(more, 0, sizeof more);
    for (int i = 0; i < MANY && good; i++)
        good = open_in(run, "SUB", c.url, i % 2, &more[i]);
    good = good && weir_check_say(run, c.binder, "a: to all") &&
           weir_check_hear(run, c.dialer, "a: to all");
    for (int i = 0; i < MANY; i++) {
        good = good && weir_check_hear(run, more[i], "a: to all") &&
               weir_check_close(run, &more[i], "one who hears") &&
               weir_check_carry(run, c.binder, c.dialer, "a: still there");
        if (!good)
            weir_close(more[i], 0, NULL);
    }
    return weir_check_part(run, &c, good);
}

static bool two_speak(struct weir_check_run *run)
{
    weir_socket second = {0, 0};
    struct weir_check_couple c;
    bool good = join(run, &c, true, false) &&
                open_in(run, "PUB", c.url, false, &second) &&
                weir_check_carry(run, c.binder, c.dialer, "a: the first") &&
                weir_check_carry(run, second, c.dialer, "a: the second") &&
                weir_check_carry(run, c.binder, c.dialer, "a: again");

    if (good)
        good = weir_check_close(run, &second, "the second");
    else
        weir_close(second, 0, NULL);
    return weir_check_part(run, &c, good);
}

/* One who publishes goes, and another comes, whom the same hear. */
static bool another_comes(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good = join(run, &c, true, false) && speak(run, &c);

    for (int i = 0; i < 2 && good; i++)
        good = weir_check_close(run, &c.binder, "one who publishes") &&
               open_in(run, "PUB", c.url, i == 0, &c.binder) && speak(run, &c);
    return weir_check_part(run, &c, good);
}

/* Who publishes to nobody is heard by nobody, and can be closed. */
static bool nobody(struct weir_check_run *run)
{
    struct weir_check_couple c;
    bool good;

    memset(&c, 0, sizeof c);
    good = weir_check_url(run, c.url) &&
           open_in(run, "PUB", c.url, true, &c.binder) &&
           weir_check_say(run, c.binder, "a: to nobody") &&
           weir_check_close(run, &c.binder, "with nobody there") &&
           open_in(run, "SUB", c.url, true, &c.dialer) &&
           weir_check_close(run, &c.dialer, "with nobody who publishes");
    weir_close(c.binder, 0, NULL);
    weir_close(c.dialer, 0, NULL);
    return good;
}

/* Sockets whose messages go both ways, or to one, have no use for a group. */
static bool wrong_types(struct weir_check_run *run)
{
    static const char *const types[] = {"PAIR", "REQ",    "REP", "DEALER",
                                        "PUSH", "ROUTER", "PULL"};
    char url[WEIR_CHECK_URL];
    bool good = weir_check_url(run, url);

    for (size_t i = 0; i < sizeof types / sizeof types[0] && good; i++) {
        weir_socket socket = {0, 0};

        good = weir_check_open(run, types[i], &socket);
        if (good && (weir_bind(socket, url, NULL) != -WEIR_EINCOMPATIBLE ||
                     weir_connect(socket, url, NULL) != -WEIR_EINCOMPATIBLE))
            good = weir_check_fail(run, "a %s was not refused", types[i]);
        good = good && weir_check_close(run, &socket, types[i]);
    }
    return good;
}

static bool refuse_all(struct weir_check_run *run, const char *type,
                       const struct weir_check_bad *bad)
{
    weir_socket socket = {0, 0};
    bool good = weir_check_open(run, type, &socket);

    for (; good && bad && bad->url; bad++)
        good = weir_check_refused(run, socket, bad);
    return weir_check_close(run, &socket, "a socket without endpoints") && good;
}

static bool bad_addresses(struct weir_check_run *run)
{
    return refuse_all(run, "PUB", run->check->bad) &&
           refuse_all(run, "SUB", run->check->bad);
}

static bool bad_options(struct weir_check_run *run)
{
    char url[WEIR_CHECK_URL + 32];
    struct weir_check_bad bad[] = {{url, "banana"}, {NULL, NULL}};

    if (!weir_check_url(run, url))
        return false;
    strcat(url, "?max-message=banana");
    return refuse_all(run, "PUB", bad) && refuse_all(run, "SUB", bad);
}

/* After the first round everything that stays open for good is open. */
static bool descriptors(struct weir_check_run *run)
{
    int before = -1, after;

    for (int i = 0; i < 3; i++) {
        if (!many_hear(run) || !another_comes(run) || !bad_addresses(run) ||
            !weir_check_fresh(run))
            return false;
        after = weir_check_descriptors();
        if (i && after != before)
            return weir_check_fail(run, "%d descriptors became %d", before,
                                   after);
        before = after;
    }
    return true;
}

const struct weir_check_case weir_check_group[] = {
    {"PUB to SUB", pub_sub},
    {"bind and connect in any order", all_orders},
    {"XPUB to XSUB", xpub_xsub},
    {"frames of 0 octets to 1 MB", all_sizes},
    {"many who hear", many_hear},
    {"two who publish", two_speak},
    {"another who publishes", another_comes},
    {"close with nobody there", nobody},
    {"types that are wrong", wrong_types},
    {"addresses that are wrong", bad_addresses},
    {"options that are wrong", bad_options},
    {"descriptors given back", descriptors},
    {NULL, NULL},
};
