/*
 * peer.h - who is at the other end, as the kernel says.
 * Above: transport_ipc.c.  Below: libc.
 */
#ifndef WEIR_IPC_PEER_H
#define WEIR_IPC_PEER_H

#include <weir/transport.h>

struct weir_ipc_peer {
    weir_property properties[3]; /* Peer-Uid, Peer-Gid, Peer-Pid: decimal */
    uint32_t n;                  /* 0 where the system does not say */
    char uid[24], gid[24], pid[24];
    char text[80]; /* "uid 1000 pid 4242", or "" */
};

/* Ask for the credentials of a connected descriptor's other side: of who
 * called connect(), or of who called listen(). */
void weir_ipc_peer_ask(int fd, struct weir_ipc_peer *out);

#endif
