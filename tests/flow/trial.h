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
