/* interface.c - interfaces by name, address or network. */
#include "config.h"

#include "interface.h"

#include "../common/system.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

/* What is looked for, and where complaints go. */
struct search {
    const weir_host *host;
    const char *scheme, *text; /* the whole address */
    weir_error *error;
    const struct weir_pgm_address *address;

    bool is_number; /* the interface was given as an address or a network */
    union weir_pgm_number number;
    int bits; /* of the network, -1 = not given */
};

static int complain(const struct search *search, int code, const char *rule)
{
    return search->host->fail(search->error, code,
                              "%s://%s: interface \"%s\" %s", search->scheme,
                              search->text, search->address->interface, rule);
}

/* -------------------------------------------------------- what is meant -- */

/* An address, perhaps in brackets, perhaps with /BITS.  False: a name. */
static bool read_number(struct search *search)
{
    char copy[WEIR_PGM_INTERFACE_ROOM], *slash, *at = copy;
    size_t size;

    snprintf(copy, sizeof copy, "%s", search->address->interface);
    slash = strchr(copy, '/');
    if (slash) {
        *slash = '\0';
        search->bits =
            (int)weir_common_number(slash + 1, strlen(slash + 1), 10);
    }
    size = strlen(copy);
    if (size > 2 && copy[0] == '[' && copy[size - 1] == ']') {
        copy[size - 1] = '\0';
        at++;
    }
    search->number.any.sa_family = AF_INET;
    if (inet_pton(AF_INET, at, &search->number.v4.sin_addr) == 1)
        return true;
    search->number.any.sa_family = AF_INET6;
    return inet_pton(AF_INET6, at, &search->number.v6.sin6_addr) == 1;
}

static int understand(struct search *search)
{
    const char *slash = strchr(search->address->interface, '/');
    int most;

    search->bits = -1;
    search->is_number = read_number(search);
    if (!search->is_number)
        return slash ? complain(search, EINVAL, "is not a network") : 0;
    if (search->number.any.sa_family != search->address->family)
        return complain(search, EINVAL, "is of another family than the group");
    most = search->number.any.sa_family == AF_INET ? 32 : 128;
    if (slash && (search->bits < 0 || search->bits > most))
        return complain(search, EINVAL,
                        "has a prefix that is no number of "
                        "bits");
    return 0;
}

/* ---------------------------------------------------------- comparisons -- */

/* The octets of an address, and how many. */
static const uint8_t *octets(const struct sockaddr *address, size_t *size)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->sa_family == AF_INET) {
        *size = 4;
        return (const uint8_t *)&v4->sin_addr;
    }
    *size = 16;
    return (const uint8_t *)&v6->sin6_addr;
}

static bool share_bits(const struct sockaddr *a, const struct sockaddr *b,
                       int bits)
{
    size_t size;
    const uint8_t *one = octets(a, &size), *other = octets(b, &size);
    unsigned rest = (unsigned)bits % 8;
    size_t whole = (size_t)bits / 8;

    if (memcmp(one, other, whole) != 0)
        return false;
    return rest == 0 || (one[whole] ^ other[whole]) >> (8 - rest) == 0;
}

/* Is the number the network's that the interface is in, as "192.0.2.0"? */
static bool is_its_network(const struct sockaddr *number,
                           const struct ifaddrs *one)
{
    size_t size;
    const uint8_t *wanted = octets(number, &size);
    const uint8_t *own = octets(one->ifa_addr, &size), *mask;

    if (!one->ifa_netmask)
        return false;
    mask = octets(one->ifa_netmask, &size);
    for (size_t i = 0; i < size; i++)
        if (wanted[i] != (own[i] & mask[i]))
            return false;
    return true;
}

/* How well an interface's address fits: 0 not at all, more is better. */
static int fitness(const struct search *search, const struct ifaddrs *one)
{
    const uint8_t *own;
    size_t size = 0;

    if (!search->is_number)
        return strcmp(one->ifa_name, search->address->interface) == 0;
    if (search->bits >= 0)
        return share_bits(&search->number.any, one->ifa_addr, search->bits);
    own = octets(one->ifa_addr, &size);
    if (memcmp(own, octets(&search->number.any, &size), size) == 0)
        return 2;
    return is_its_network(&search->number.any, one);
}

/* Requests for repair are sent to the address that a sender announces, and
 * link-local ones lack their zone there. */
static bool is_link_local(const struct ifaddrs *one)
{
    const struct sockaddr_in6 *v6 = (const void *)one->ifa_addr;

    return v6->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

/* --------------------------------------------------------------- finding -- */

/* The address in memory that is aligned for all of the union. */
static void copy_address(const struct ifaddrs *one, union weir_pgm_number *out)
{
    memset(out, 0, sizeof *out);
    out->any.sa_family = one->ifa_addr->sa_family;
    memcpy(out, one->ifa_addr, weir_pgm_size(out));
}

static void take(const struct ifaddrs *one, struct weir_pgm_interface *out)
{
    copy_address(one, &out->address);
    out->index = if_nametoindex(one->ifa_name);
}

static int check(const struct search *search, const struct ifaddrs *one)
{
    if (is_link_local(one))
        return complain(search, EADDRNOTAVAIL,
                        "has link-local addresses of IPv6 only");
    if (!(one->ifa_flags & IFF_MULTICAST) || one->ifa_flags & IFF_LOOPBACK)
        return complain(search, EINVAL, "cannot multicast");
    if (!(one->ifa_flags & IFF_UP))
        return complain(search, ENETDOWN, "is down");
    return 0;
}

static const struct ifaddrs *best(const struct search *search,
                                  const struct ifaddrs *all)
{
    const struct ifaddrs *found = NULL;
    int fits = 0;

    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        int fit;

        if (!one->ifa_addr ||
            one->ifa_addr->sa_family != search->address->family)
            continue;
        fit = fitness(search, one);
        if (fit > fits || (fit && fit == fits && is_link_local(found))) {
            found = one;
            fits = fit;
        }
    }
    return found;
}

static int find(const struct search *search, const struct ifaddrs *all,
                struct weir_pgm_interface *out)
{
    const struct ifaddrs *one = best(search, all);
    int rc;

    if (!one && !search->is_number &&
        if_nametoindex(search->address->interface) != 0)
        return complain(search, EADDRNOTAVAIL,
                        search->address->family == AF_INET
                            ? "has no IPv4 address"
                            : "has no IPv6 address");
    if (!one)
        return complain(search, ENODEV,
                        search->is_number ? "is no address or network of this "
                                            "machine"
                                          : "is not there");
    rc = check(search, one);
    if (rc < 0)
        return rc;
    take(one, out);
    return out->index ? 0 : complain(search, ENODEV, "is gone");
}

/* ------------------------------------------------------------ the default --
 */

/* By which address the system would send to the group.  Nothing is sent. */
static bool ask_route(const struct weir_pgm_address *address,
                      union weir_pgm_number *own)
{
    union weir_pgm_number to = address->send;
    socklen_t size = sizeof *own;
    int fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found;

    if (fd < 0)
        return false;
    to.v4.sin_port = htons(address->port); /* at the same place in both */
    found = connect(fd, &to.any, weir_pgm_size(&to)) == 0 &&
            getsockname(fd, &own->any, &size) == 0;
    (void)close(fd);
    return found;
}

static bool can_multicast(const struct ifaddrs *one)
{
    return one->ifa_flags & IFF_UP && one->ifa_flags & IFF_MULTICAST &&
           !(one->ifa_flags & IFF_LOOPBACK) && !is_link_local(one);
}

static int find_default(const struct search *search, const struct ifaddrs *all,
                        struct weir_pgm_interface *out)
{
    const struct ifaddrs *found = NULL;
    union weir_pgm_number own;
    bool routed = ask_route(search->address, &own);

    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        union weir_pgm_number address;

        if (!one->ifa_addr ||
            one->ifa_addr->sa_family != search->address->family ||
            !can_multicast(one))
            continue;
        copy_address(one, &address);
        if (!found || (routed && weir_pgm_same(&address, &own)))
            found = one;
    }
    if (!found)
        return complain(search, ENODEV,
                        "is for the system to choose, and no interface can "
                        "multicast");
    take(found, out);
    return out->index ? 0 : complain(search, ENODEV, "is gone");
}

int weir_pgm_interface_find(const weir_host *host, const char *scheme,
                            const char *text,
                            const struct weir_pgm_address *address,
                            struct weir_pgm_interface *out, weir_error *error)
{
    struct search search = {.host = host,
                            .scheme = scheme,
                            .text = text,
                            .error = error,
                            .address = address};
    struct ifaddrs *all;
    char reason[WEIR_REASON_ROOM];
    int rc = understand(&search);

    if (rc < 0)
        return rc;
    if (getifaddrs(&all) < 0) {
        rc = errno;
        return complain(&search, rc,
                        weir_common_reason(rc, reason, sizeof reason));
    }
    rc = address->interface[0] ? find(&search, all, out)
                               : find_default(&search, all, out);
    freeifaddrs(all);
    return rc;
}
