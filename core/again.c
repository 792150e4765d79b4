/*
 * again.c - the rare ends of again.h.
 */
#include "config.h"

#include "again.h"

int weir_again_nudge(struct weir_sock *sock)
{
    weir_sock_nudge(sock);
    return 0;
}

int weir_again_left(struct weir_sock *sock, struct weir_resident *owner)
{
    weir_biased_left(&sock->lock, owner);
    if (weir_sock_has_mail(sock))
        weir_sock_nudge(sock);
    return 0;
}

int weir_again_wake(struct weir_sock *sock)
{
    weir_queue_wake_reader(weir_again_pipe(sock, WEIR_WAIT_OUT)->out);
    weir_again_leave(sock);
    return 0;
}
