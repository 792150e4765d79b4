/*
 * storehost.h - the host that stores are tried with: it takes sentences, and
 * which descriptors are a store's.
 * Above: the tests of stores.  Below: <weir/store.h>.
 */
#ifndef TESTS_PLUGINS_STOREHOST_H
#define TESTS_PLUGINS_STOREHOST_H

#include <stdbool.h>

#include <weir/store.h>

/* Open the queue "a-queue" of a folder.  error->text is empty unless the store
 * fills it.  Returns what the store says. */
int storehost_open(const weir_store_ops *ops, const char *folder,
                   uint64_t budget, uint32_t mode, void **store,
                   weir_error *error);

/* Has a store said that the descriptor is its own? */
bool storehost_owns(int fd);

#endif
