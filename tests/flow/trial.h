/*
 * trial.h - the store "trial" and its folder, for tests of swaps: the store
 * does as files in its folder say, see tests/fixtures/plugins/store_trial.c.
 *
 * Above: the tests of this folder.  Below: flow.h.
 * Every function fails the running test when something is not as it should
 * be, and none waits longer than FLOW_SOON.
 */
#ifndef WEIR_TESTS_TRIAL_H
#define WEIR_TESTS_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

enum { TRIAL_DIR = 512, TRIAL_PATH = TRIAL_DIR + 16 };

/* Make a folder of one's own, for the store or for another. */
void trial_folder(char dir[TRIAL_DIR]);

/* The path of a file in it. */
void trial_name(const char *dir, const char *name, char path[TRIAL_PATH]);

/* Have the store do something, and no more. */
void trial_command(const char *dir, const char *name);
void trial_recall(const char *dir, const char *name);

/* Octets that the store says it keeps; -1: it is not open, or never kept
 * any. */
long long trial_kept(const char *dir);

/* Wait until it keeps so many, or any. */
void trial_await(const char *dir, long long octets);
void trial_await_some(const char *dir);

/* Wait until no store is open, and remove the folder, which is empty then. */
void trial_end(const char *dir);

/* Octets of memory that are ours; 0: who knows. */
uint64_t trial_resident(void);

/* Is WEIR_TEST_FULL set?  Then tests may take minutes. */
bool trial_is_full(void);

/* ---- messages whose number and size say what is in them ---- */

enum { TRIAL_LEAST = 9, TRIAL_LARGEST = 30000 }; /* octets */

/* Fill one.  Fail unless one is as it was filled; returns its number. */
void trial_fill(void *data, size_t size, uint32_t number);
uint32_t trial_check(const void *data, size_t size);

/* Send one; returns what weir_send() says.  Receive one; returns its number. */
int trial_send(weir_socket socket, uint32_t number, size_t size, int deadline);
uint32_t trial_receive(weir_socket socket);

/* Messages of which some may be missing.  All zero: none came yet. */
struct trial_tally {
    uint32_t last; /* number */
    uint32_t got;
};

/* Receive one, whose number is beyond the last one's. */
void trial_take(weir_socket socket, struct trial_tally *tally);

/* The same, if there is one within so many ms.  Returns whether. */
bool trial_take_within(weir_socket socket, struct trial_tally *tally, int ms);

/* ---- others ---- */

/* Send, and receive, a message of a short frame and a longer one.  Such
 * messages seldom begin where memory does; they are swapped as others are. */
void trial_send_pair(weir_socket socket, uint32_t number, size_t size);
void trial_receive_pair(weir_socket socket, uint32_t number, size_t size);

/* A millisecond. */
void trial_pause(void);

/* Is there a shared plugin?  Then it can be loaded, as a set-up of cmocka. */
bool trial_find(void);
int trial_load(void **state);

#endif
