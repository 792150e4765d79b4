/* access.c - the options that say who may connect. */
#include "config.h"

#include "file.h"

#include "../common/system.h"

#include <grp.h>
#include <stdlib.h>

#define TEXT_ROOM 72 /* no option here is longer than 64 octets */

/* Read a text option, "" where there is none. */
static int read_text(const weir_host *host, const weir_ep *ep, const char *name,
                     char *out, weir_error *error)
{
    size_t size = TEXT_ROOM;
    int rc = host->option_bytes(ep, name, out, &size);

    if (rc < 0)
        out[0] = '\0';
    if (rc < 0 && rc != -ENOENT)
        return host->fail(error, -rc, "ipc: option %s cannot be read", name);
    return 0;
}

static int read_mode(const weir_host *host, const weir_ep *ep,
                     struct weir_ipc_access *out, weir_error *error)
{
    char text[TEXT_ROOM];
    int rc = read_text(host, ep, "mode", text, error);
    long mode;

    if (rc < 0 || text[0] == '\0')
        return rc;
    mode = weir_common_number(text, strlen(text), 8);
    if (mode < 0 || mode > 0777)
        return host->fail(error, EINVAL,
                          "ipc: option mode: \"%s\" is not an octal number "
                          "from 0 to 0777",
                          text);
    out->has_mode = true;
    out->mode = (mode_t)mode;
    return 0;
}

/* Returns 0, or an errno value if there is no group of that name. */
static int find_group(const char *name, gid_t *out)
{
    struct group group, *found = NULL;
    size_t room = 1024;
    int code;

    do {
        char *buffer = malloc(room);

        if (!buffer)
            return ENOMEM;
        code = getgrnam_r(name, &group, buffer, room, &found);
        if (code == 0 && found)
            *out = found->gr_gid;
        free(buffer);
        room *= 4;
    } while (code == ERANGE && room < 10000000);
    return code == 0 && !found ? ENOENT : code;
}

static int read_group(const weir_host *host, const weir_ep *ep,
                      struct weir_ipc_access *out, weir_error *error)
{
    char text[TEXT_ROOM];
    int code, rc = read_text(host, ep, "group", text, error);
    long value;

    if (rc < 0 || text[0] == '\0')
        return rc;
    out->has_group = true;
    value = weir_common_number(text, strlen(text), 10);
    if (value >= 0) {
        out->group = (gid_t)value;
        return 0;
    }
    code = find_group(text, &out->group);
    if (code == ENOMEM)
        return host->fail(error, ENOMEM, "ipc: option group: no memory");
    if (code != 0)
        return host->fail(error, ENOENT,
                          "ipc: option group: there is no group \"%s\"", text);
    return 0;
}

int weir_ipc_access_read(const weir_host *host, const weir_ep *ep,
                         struct weir_ipc_access *out, weir_error *error)
{
    int rc;

    memset(out, 0, sizeof *out);
    rc = read_mode(host, ep, out, error);
    return rc < 0 ? rc : read_group(host, ep, out, error);
}
