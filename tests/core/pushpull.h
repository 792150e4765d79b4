/*
 * pushpull.h - a context with a PUSH and a PULL, for tests of what a message
 * passes between two calls.
 *
 * Every function fails the running test when something is not as it should be.
 */
#ifndef WEIR_TESTS_PUSHPULL_H
#define WEIR_TESTS_PUSHPULL_H

#include <stdbool.h>

#include <weir/weir.h>

enum { SOON = 20000, ROOM = 4096 }; /* ms; octets of any message */

extern weir_context context;
extern weir_socket push, pull;

/* Around each test, as cmocka wants it. */
int pushpull_begin(void **state);
int pushpull_end(void **state);

weir_socket pushpull_open(int type);

/* Bind the one to `url`, connect the other, and wait until they have met. */
void pushpull_join(weir_socket near, weir_socket far, const char *url);

/* The context's I/O thread stands still until it is let go, which
 * pushpull_end() does if need be: what is the reactor's is the caller's. */
void pushpull_hold(void);
void pushpull_let_go(void);

/* Does a thread sleep in a receive? */
bool pushpull_is_asleep(weir_socket socket);

/* Receive that, the long way if need be, which also has what comes next looked
 * at. */
void pushpull_hear(weir_socket socket, const char *text);

#endif
