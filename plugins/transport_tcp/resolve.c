/* resolve.c - interfaces first, where we bind, and then DNS. */
#include "config.h"

#include "resolve.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void weir_tcp_list_fini(struct weir_tcp_list *list)
{
    free(list->items);
    list->items = NULL;
    list->n = 0;
}

static bool listed(const struct weir_tcp_list *list,
                   const union weir_tcp_number *number)
{
    for (size_t i = 0; i < list->n; i++) {
        if (weir_tcp_same_host(&list->items[i], number))
            return true;
    }
    return false;
}

/* Add an address of IPv4 or IPv6; others, and those that are there already,
 * change nothing. */
static int add(struct weir_tcp_list *list, const struct sockaddr *address,
               uint16_t port)
{
    union weir_tcp_number number, *items;

    if (!address ||
        (address->sa_family != AF_INET && address->sa_family != AF_INET6))
        return 0;
    memset(&number, 0, sizeof number);
    number.any.sa_family = address->sa_family;
    memcpy(&number, address, weir_tcp_size(&number));
    weir_tcp_set_port(&number, port);
    if (listed(list, &number))
        return 0;
    items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    items[list->n++] = number;
    list->items = items;
    return 0;
}

/* IPv4 first: what most peers can reach comes first. */
static const int families[] = {AF_INET, AF_INET6};

static int add_any(struct weir_tcp_list *list, uint16_t port)
{
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++) {
        union weir_tcp_number number;

        weir_tcp_unspecified(&number, families[i], port);
        rc = add(list, &number.any, port);
    }
    return rc;
}

static int add_number(struct weir_tcp_list *list,
                      const struct weir_tcp_host *host, const char **why)
{
    union weir_tcp_number number = host->number;

    if (host->zone[0] != '\0' && number.v6.sin6_scope_id == 0) {
        number.v6.sin6_scope_id = if_nametoindex(host->zone);
        if (number.v6.sin6_scope_id == 0) {
            *why = "no interface has the name of the zone";
            return -ENODEV;
        }
    }
    return add(list, &number.any, host->port);
}

static int add_family(struct weir_tcp_list *list, const struct ifaddrs *all,
                      const struct weir_tcp_host *host, int family)
{
    int rc = 0;

    for (const struct ifaddrs *at = all; at && rc == 0; at = at->ifa_next) {
        if (at->ifa_addr && at->ifa_addr->sa_family == family &&
            strcmp(at->ifa_name, host->name) == 0)
            rc = add(list, at->ifa_addr, host->port);
    }
    return rc;
}

/* The addresses of an interface.  No address is no error. */
static int add_interface(struct weir_tcp_list *list,
                         const struct weir_tcp_host *host)
{
    struct ifaddrs *all;
    int rc = 0;

    if (getifaddrs(&all) < 0)
        return -errno;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = add_family(list, all, host, families[i]);
    freeifaddrs(all);
    return rc;
}

/* The code for what getaddrinfo() said; there is none for most of it. */
static int resolver_code(int said, const char **why)
{
    int code = errno;

    *why = NULL;
    if (said == EAI_SYSTEM)
        return code ? -code : -EIO;
    if (said == EAI_MEMORY)
        return -ENOMEM;
    *why = gai_strerror(said);
    return -ENODEV;
}

static int add_name(struct weir_tcp_list *list,
                    const struct weir_tcp_host *host, bool local,
                    const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = local ? AI_PASSIVE : 0};
    struct addrinfo *all;
    int rc = getaddrinfo(host->name, NULL, &hints, &all);

    if (rc != 0)
        return resolver_code(rc, why);
    rc = 0;
    for (const struct addrinfo *at = all; at && rc == 0; at = at->ai_next)
        rc = add(list, at->ai_addr, host->port);
    freeaddrinfo(all);
    return rc;
}

static int find(struct weir_tcp_list *list, const struct weir_tcp_host *host,
                bool local, const char **why)
{
    int rc = 0;

    if (host->kind == WEIR_TCP_ANY)
        return add_any(list, host->port);
    if (host->kind == WEIR_TCP_NUMERIC)
        return add_number(list, host, why);
    if (local)
        rc = add_interface(list, host);
    if (rc == 0 && list->n == 0)
        rc = add_name(list, host, local, why);
    return rc;
}

bool weir_tcp_must_wait(const struct weir_tcp_host *host)
{
    return host->kind == WEIR_TCP_NAME;
}

int weir_tcp_resolve(const struct weir_tcp_host *host, bool local,
                     struct weir_tcp_list *out, const char **why)
{
    struct weir_tcp_list list = {NULL, 0};
    int rc;

    *why = NULL;
    rc = find(&list, host, local, why);
    if (rc == 0 && list.n == 0) {
        *why = "there is no address of IPv4 or IPv6";
        rc = -ENODEV;
    }
    if (rc < 0) {
        weir_tcp_list_fini(&list);
        return rc;
    }
    *out = list;
    return 0;
}
