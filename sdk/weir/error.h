/*
 * error.h - codes that POSIX lacks, for applications and plugins alike.
 * Calls give them negated, like errno's.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

enum weir_error_code {
    WEIR_ESTATE = 0x77656901,        /* not this socket's turn: a REQ has a
                                        reply to wait for, a REP no request */
    WEIR_EINCOMPATIBLE = 0x77656902, /* transport or peer does not go with
                                        the socket's type */
    WEIR_ECLOSING = 0x77656903,      /* socket or context is being closed */
    WEIR_EPLUGIN = 0x77656904,       /* a plugin is missing or broken */
    WEIR_EFORK = 0x77656905          /* the handle is the parent process's */
};

#endif
