/*
 * flow.h - what the tests of whole conversations share: contexts, sockets,
 * addresses, and messages whose content can be checked.
 *
 * Above: the tests of this folder.  Below: the public interface alone.
 * Every function fails the running test when something is not as it should
 * be, and none waits longer than FLOW_SOON.
 */
#ifndef WEIR_TESTS_FLOW_H
#define WEIR_TESTS_FLOW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <weir/weir.h>

enum {
    FLOW_SOON = 20000, /* ms: what must happen happens by then */
    FLOW_NOT = 50,     /* ms: what must not happen has not by then */
    FLOW_URL = 256
};

/* A call that must succeed; the sentence is shown when it does not. */
#define flow_ok(call) flow_check((call), #call, __FILE__, __LINE__)
int flow_check(int result, const char *call, const char *file, int line);

/* A call that must fail in this way (code is positive). */
#define flow_fails(call, code) \
    flow_check_failure((call), (code), #call, __FILE__, __LINE__)
void flow_check_failure(int result, int code, const char *call,
                        const char *file, int line);

/* Open a context with that many I/O threads. */
weir_context flow_context(int io_threads);

/* Close it; nothing may be open in it. */
void flow_end(weir_context context);

/* Open a socket. */
weir_socket flow_open(weir_context context, int type);

/* Close a socket; nothing may be left unsent. */
void flow_close(weir_socket socket);

/* Close a socket, left-over messages or not. */
void flow_drop(weir_socket socket);

/* An address of that transport ("tcp", "ipc", "inproc") that nobody uses,
 * the same for bind and connect. */
void flow_url(const char *transport, char url[FLOW_URL]);

/* Bind to a free address of the transport; `url` gets it. */
weir_endpoint flow_bind(weir_socket socket, const char *transport,
                        char url[FLOW_URL]);

/* Connect `far` to `near`, which binds, and wait until both are ready. */
void flow_join(weir_socket near, weir_socket far, const char *transport);

/* Fill `data` with octets that depend on the seed and the place. */
void flow_fill(void *data, size_t size, uint32_t seed);

/* Fail unless the frame is what flow_fill makes. */
void flow_check_frame(weir_message *message, uint32_t index, size_t size,
                      uint32_t seed);

/* Add a frame that flow_fill made. */
void flow_add(weir_message *message, size_t size, uint32_t seed);

/* Send a text as a message of one frame; receive one and compare. */
void flow_say(weir_socket socket, const char *text);
void flow_hear(weir_socket socket, const char *text);

/* Nothing comes within FLOW_NOT. */
void flow_silence(weir_socket socket);

/* Send, receive a message given as texts; the list ends with NULL. */
void flow_say_all(weir_socket socket, ...);
void flow_hear_all(weir_socket socket, ...);

/* Send and receive a number. */
void flow_send_number(weir_socket socket, uint32_t number);
uint32_t flow_recv_number(weir_socket socket);

/* Read a socket's counters and check that they add up. */
weir_stats flow_stats(weir_socket socket);

/* Fail unless the counters add up: accepted = written + queued + dropped,
 * decoded = delivered + queued + dropped. */
void flow_check_sums(const weir_stats *stats);

/* Wait for an event of that kind, passing over others. */
weir_event flow_event(weir_socket socket, uint32_t kind);

/* Wait until the socket has that many peers, fewer than now included. */
void flow_await_peers(weir_socket socket, uint32_t n);

/* Milliseconds on the monotonic clock. */
int64_t flow_now(void);

#endif
