/*
 * wire.h - a socket and raw peers that speak ZMTP to it by hand.
 *
 * Above: the tests of this folder.  Below: tests/fault/fault.h, whose raw
 * peers these are, and the public interface.
 *
 * Messages are texts: '|' is between frames, '^' stands for the octet 1, '~'
 * for the octet 0; "!NAME:data" is a command.
 */
#ifndef WEIR_TESTS_WIRE_H
#define WEIR_TESTS_WIRE_H

#include "tests/fault/fault.h"

enum { NOT = 40, TEXT = 2048 }; /* ms in which what must not happen has not */

struct wire {
    weir_context context;
    weir_socket socket;
    char url[SOCKET_URL];
    int listener; /* of the raw side; -1: the socket binds */
};

/* A socket that listens, on tcp. */
struct wire wire_bind(const char *pattern);
/* A raw peer connects: greeting, READY of that type; ready on both sides. */
int wire_call(struct wire *wire, int minor, const char *type);

/* A socket that will connect to a raw listener: set options, then wire_dial. */
struct wire wire_raw(const char *pattern);
void wire_dial(struct wire *wire);
/* It does: the raw side accepts, with a whole handshake. */
int wire_answer(struct wire *wire, int minor, const char *type);

/* Close all, unsent or unread messages or not. */
void wire_end(struct wire *wire);

/* A greeting and READY in one, with an identity unless it is NULL.  Returns
 * the octets. */
size_t wire_hello(uint8_t *out, int minor, const char *type, const void *id,
                  size_t size);

/* The socket sends, receives a message. */
void wire_say(struct wire *wire, const char *text);
void wire_hear(struct wire *wire, const char *text);

/* A raw peer sends, receives a message or a command. */
void wire_put(int fd, const char *text);
void wire_get(int fd, const char *text);
/* Nothing comes to it. */
void wire_quiet(int fd);

/* The next event of that kind. */
weir_event wire_event(struct wire *wire, uint32_t kind);

#endif
