/* peer.c - credentials, by SO_PEERCRED or getpeereid(). */
#include "config.h"

#include "peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static void add(struct weir_ipc_peer *peer, const char *name, char *room,
                uintmax_t value)
{
    int size = snprintf(room, sizeof peer->uid, "%ju", value);

    peer->properties[peer->n].name = name;
    peer->properties[peer->n].value = room;
    peer->properties[peer->n].size = (size_t)size;
    peer->n++;
}

void weir_ipc_peer_ask(int fd, struct weir_ipc_peer *out)
{
#if HAVE_DECL_SO_PEERCRED && defined(HAVE_STRUCT_UCRED)
    struct ucred who;
    socklen_t size = sizeof who;

    memset(out, 0, sizeof *out);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return;
    add(out, "Peer-Uid", out->uid, who.uid);
    add(out, "Peer-Gid", out->gid, who.gid);
    add(out, "Peer-Pid", out->pid, (uintmax_t)who.pid);
    snprintf(out->text, sizeof out->text, "uid %s pid %s", out->uid, out->pid);
#elif defined(HAVE_GETPEEREID)
    uid_t uid;
    gid_t gid;

    memset(out, 0, sizeof *out);
    if (getpeereid(fd, &uid, &gid) < 0)
        return;
    add(out, "Peer-Uid", out->uid, uid);
    add(out, "Peer-Gid", out->gid, gid);
    snprintf(out->text, sizeof out->text, "uid %s", out->uid);
#else
    (void)fd;
    (void)add;
    memset(out, 0, sizeof *out);
#endif
}
