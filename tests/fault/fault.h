/*
 * fault.h - what the tests of faults share: sockets made in one line, raw
 * peers that speak ZMTP by hand, and a look at what the process holds.
 *
 * Everything has a deadline; a failure is a failed assertion of cmocka, so
 * it belongs to the main thread, except where said.
 */
#ifndef TESTS_FAULT_FAULT_H
#define TESTS_FAULT_FAULT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <weir/weir.h>

enum {
    SOON = 10000,    /* ms in which all that must happen does */
    GREETING = 64,   /* octets of a ZMTP greeting */
    SOCKET_URL = 300 /* room for a URL */
};

/* ---- weir's side ---- */

weir_context new_context(int io_threads);
weir_socket new_socket(weir_context context, const char *pattern);
void set_option(weir_socket socket, const char *option, const char *value);

/* Bind; `url` gets where to connect. */
weir_endpoint bind_to(weir_socket socket, const char *pattern,
                      char url[SOCKET_URL]);
weir_endpoint connect_to(weir_socket socket, const char *url);
void wait_peers(weir_socket socket, int n);
void close_socket(weir_socket socket);
void close_context(weir_context context);

weir_stats stats_of(weir_socket socket);
/* Wait until the counter, a member of weir_stats at `offset`, is `n`. */
void await_counter(weir_socket socket, size_t offset, uint64_t n);
#define AWAIT(socket, member, n) \
    await_counter(socket, offsetof(weir_stats, member), n)

/* Do the two sums of weir.h hold?  Says which does not.  Any thread. */
bool adds_up(const weir_stats *stats);
uint64_t sum_of(const uint64_t drops[WEIR_DROPS]);

/* Take events until one is of `kind`, within `ms`; false: none came. */
bool await_event(weir_socket socket, uint32_t kind, weir_event *out, int ms);

/* ---- raw peers: plain descriptors ---- */

/* Connect to a URL of tcp or ipc; the descriptor blocks for at most SOON.
 * Below 0: -errno. */
int raw_connect(const char *url);
/* Listen on a port of the loopback; `url` gets where. */
int raw_listen(char url[SOCKET_URL]);
int raw_accept(int listener);

void raw_write(int fd, const void *data, size_t size);
/* Read all of `size`; false: it was closed or nothing came within `ms`. */
bool raw_read(int fd, void *data, size_t size, int ms);
/* Has the other side closed, after at most `ms`?  Octets are thrown away. */
bool raw_closed(int fd, int ms);
/* Close so that the other side gets a reset. */
void raw_reset(int fd);

/* A greeting of ZMTP 3.`minor` with a mechanism. */
void make_greeting(uint8_t out[GREETING], int minor, const char *mechanism,
                   bool server);
/* READY of a socket type; returns its octets. */
size_t make_ready(uint8_t out[64], const char *type);
/* The whole handshake as ZMTP 3.`minor`. */
void raw_handshake(int fd, int minor, const char *type);
/* Read one frame, flags in *flags; its size, or -1 as raw_read. */
int raw_frame(int fd, uint8_t *flags, uint8_t *data, size_t room, int ms);
void raw_send(int fd, uint8_t flags, const void *data, size_t size);
enum { RAW_MORE = 1, RAW_LONG = 2, RAW_COMMAND = 4 };

/* ---- the process ---- */

int64_t now_ms(void);
void sleep_ms(int ms);
int count_descriptors(void);
int count_threads(void);
/* Octets of memory that are resident. */
size_t resident(void);
/* Does the long form of the tests run? */
bool full(void);
/* A sanitizer ("thread", "address") watches. */
bool sanitized(const char *name);

#endif
