/* address.c - parsing. */
#include "config.h"

#include "address.h"

#include <errno.h>
#include <string.h>

void weir_ipc_set_path(struct weir_ipc_address *address, const char *path)
{
    size_t size = strlen(path);

    memset(address, 0, sizeof *address);
    address->kind = WEIR_IPC_PATH;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, path, size);
    address->size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
#ifdef HAVE_STRUCT_SOCKADDR_UN_SUN_LEN
    address->un.sun_len = (unsigned char)address->size;
#endif
}

/* The name follows a NUL in the path and has none at its end: the size of the
 * address says where it stops. */
static int parse_abstract(const weir_host *host, const char *address,
                          struct weir_ipc_address *out, weir_error *error)
{
#ifdef __linux__
    size_t size = strlen(address + 1);

    if (size == 0)
        return host->fail(error, EINVAL, "ipc://%s: an abstract name is empty",
                          address);
    weir_ipc_set_path(out, address);
    out->kind = WEIR_IPC_ABSTRACT;
    out->un.sun_path[0] = '\0';
    out->size--;
    return 0;
#else
    (void)out;
    return host->fail(error, EOPNOTSUPP,
                      "ipc://%s: this system has no abstract names", address);
#endif
}

int weir_ipc_parse(const weir_host *host, const char *address, bool binds,
                   struct weir_ipc_address *out, weir_error *error)
{
    size_t size = strlen(address), most = WEIR_IPC_PATH_MAX;

    if (size == 0)
        return host->fail(error, EINVAL, "ipc://: the path is empty");
    if (address[0] == '@')
        most++;
    if (size > most)
        return host->fail(error, ENAMETOOLONG,
                          "ipc://%s: the path has %zu octets, %zu are the most",
                          address, size, most);
    if (address[0] == '@')
        return parse_abstract(host, address, out, error);
    weir_ipc_set_path(out, address);
    if (strcmp(address, "*") != 0)
        return 0;
    out->kind = WEIR_IPC_WILDCARD;
    return binds ? 0
                 : host->fail(error, EINVAL,
                              "ipc://*: a wildcard cannot be connected to");
}
