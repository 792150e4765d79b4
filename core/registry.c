#include "config.h"

#include "registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "base/error.h"
#include "endpoint.h"
#include "plugin_file.h"
#include "plugin_module.h"
#include "plugin_search.h"
#include "plugin_table.h"
#include "url.h"

static struct {
    pthread_mutex_t mutex;
    bool started;
    const weir_host *host;
    struct weir_list loaded;
} registry = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .host = &weir_the_host,
    .loaded = {&registry.loaded, &registry.loaded},
};

/* ---- the lock ---- */

static void take(void)
{
    pthread_mutex_lock(&registry.mutex);
}

void weir_registry_leave(void)
{
    pthread_mutex_unlock(&registry.mutex);
}

/* Once: libltdl, and forks that wait until no plugin is half loaded. */
static int start(void)
{
    int rc;

    if (registry.started)
        return 0;
    rc = weir_plugin_module_start();
    if (rc < 0)
        return rc;
    if (pthread_atfork(take, weir_registry_leave, weir_registry_leave) != 0)
        return weir_fail(ENOMEM, "no memory for a fork handler");
    registry.started = true;
    return 0;
}

int weir_registry_enter(void)
{
    int rc;

    take();
    rc = start();
    if (rc < 0)
        weir_registry_leave();
    return rc;
}

void weir_registry_set_host(const weir_host *host)
{
    take();
    registry.host = host;
    weir_registry_leave();
}

/* ---- what is loaded ---- */

struct weir_loaded *weir_registry_next(const struct weir_loaded *loaded)
{
    const struct weir_list *node = loaded ? &loaded->node : &registry.loaded;

    if (node->next == &registry.loaded)
        return NULL;
    return WEIR_CONTAINER(node->next, struct weir_loaded, node);
}

struct weir_loaded *weir_registry_find(const char *stem)
{
    struct weir_loaded *loaded = NULL;

    while ((loaded = weir_registry_next(loaded))) {
        if (strcmp(loaded->table->name, stem) == 0)
            break;
    }
    return loaded;
}

static struct weir_loaded *find_file(const char *real)
{
    struct weir_loaded *loaded = NULL;

    while ((loaded = weir_registry_next(loaded))) {
        if (strcmp(loaded->file, real) == 0)
            break;
    }
    return loaded;
}

const weir_provider *weir_registry_provider(const weir_plugin *table,
                                            uint32_t *i)
{
    while (*i < table->n_providers) {
        const weir_provider *provider = &table->providers[(*i)++];

        if (provider->kind == WEIR_TRANSPORT || provider->kind == WEIR_STORE)
            return provider;
    }
    return NULL;
}

const weir_option *weir_registry_options(const weir_provider *provider,
                                         uint32_t *n)
{
    if (provider->kind == WEIR_STORE) {
        const weir_store_ops *store = provider->ops;

        *n = store->n_options;
        return store->options;
    } else {
        const weir_transport_ops *transport = provider->ops;

        *n = transport->n_options;
        return transport->options;
    }
}

static bool is_store(const weir_provider *provider, const char *name)
{
    return provider->kind == WEIR_STORE && strcmp(provider->id, name) == 0;
}

static bool has_scheme(const weir_provider *provider, const char *scheme)
{
    const weir_transport_ops *ops = provider->ops;
    const char *at;
    size_t size;

    if (provider->kind != WEIR_TRANSPORT)
        return false;
    at = ops->schemes;
    do {
        size = strcspn(at, " ");
        if (size == strlen(scheme) && memcmp(at, scheme, size) == 0)
            return true;
        at += size;
    } while (*at++);
    return false;
}

/* What is wanted: a transport by scheme, a store by name. */
struct want {
    bool (*matches)(const weir_provider *provider, const char *name);
    const char *kind, *what; /* "transport", "scheme" */
};

static const struct want want_transport = {has_scheme, "transport", "scheme"};
static const struct want want_store = {is_store, "store", "store"};

/* The first provider that is wanted, if it is loaded; *plugin is its name. */
static const void *find_ops(const struct want *want, const char *name,
                            const char **plugin)
{
    const struct weir_loaded *loaded = NULL;
    const weir_provider *provider;

    while ((loaded = weir_registry_next(loaded))) {
        uint32_t i = 0;

        while ((provider = weir_registry_provider(loaded->table, &i))) {
            if (want->matches(provider, name)) {
                *plugin = loaded->table->name;
                return provider->ops;
            }
        }
    }
    return NULL;
}

/* ---- loading one ---- */

static int run_init(const weir_plugin *table)
{
    char text[256] = "";
    weir_error error = {
        .size = sizeof error, .text = text, .room = sizeof text};
    int rc;

    if (!table->init)
        return 0;
    if (!registry.host)
        return weir_fail(WEIR_EPLUGIN, "there is no host for its init yet");
    rc = table->init(registry.host, &error);
    if (rc >= 0)
        return 0;
    return weir_fail(rc == -ENOMEM ? ENOMEM : WEIR_EPLUGIN,
                     "its init failed: %s", text[0] ? text : weir_strerror(rc));
}

static struct weir_loaded *new_loaded(const char *file)
{
    struct weir_loaded *loaded = calloc(1, sizeof *loaded);

    if (loaded)
        snprintf(loaded->file, sizeof loaded->file, "%s", file);
    else
        weir_fail(ENOMEM, "no memory for the plugin");
    return loaded;
}

/* From here on the module stays, whatever its init says. */
static int start_plugin(struct weir_plugin_module *module,
                        struct weir_loaded *loaded)
{
    int rc;

    weir_plugin_module_keep(module);
    rc = run_init(loaded->table);
    if (rc < 0)
        free(loaded);
    else
        weir_list_append(&registry.loaded, &loaded->node);
    return rc;
}

/* Take what an open module has.  What fails before init is closed again, so
 * that a mended file can be loaded; after it nothing is. */
static int take_module(struct weir_plugin_module *module, const char *stem,
                       const char *file, uint32_t *abi)
{
    struct weir_loaded *loaded;
    const weir_plugin *table;
    int rc = weir_plugin_module_table(module, stem, &table, abi);

    if (rc == 0)
        rc = weir_plugin_table_check(table, stem);
    loaded = rc == 0 ? new_loaded(file) : NULL;
    if (!loaded) {
        weir_plugin_module_close(module);
        return rc < 0 ? rc : -ENOMEM;
    }
    loaded->table = table;
    return start_plugin(module, loaded);
}

static int load_checked(const char *real, const char *stem, uint32_t *abi)
{
    struct weir_plugin_module module;
    int rc = weir_plugin_module_open(&module, real);

    return rc < 0 ? rc : take_module(&module, stem, real, abi);
}

int weir_registry_load_file(const char *path, const char *stem, uint32_t *abi)
{
    char real[WEIR_FILE_ROOM];
    int rc = weir_plugin_file_check(path, real);

    *abi = 0;
    if (rc < 0)
        return weir_fail(-rc, "plugin %s does not load: %.400s", stem,
                         weir_error_text());
    rc = load_checked(real, stem, abi);
    if (rc < 0)
        return weir_fail(-rc, "plugin %s does not load: %s (file %.128s)", stem,
                         weir_error_text(), path);
    return 0;
}

/* A module within this program.  -ENOENT if there is none. */
static int load_inside(const char *stem)
{
    struct weir_plugin_module module;
    uint32_t abi;
    int rc = weir_plugin_module_open_inside(&module, stem);

    if (rc < 0)
        return rc;
    rc = take_module(&module, stem, WEIR_INSIDE, &abi);
    if (rc < 0)
        return weir_fail(-rc, "plugin %s does not load: %s (in %s)", stem,
                         weir_error_text(), WEIR_INSIDE);
    return 0;
}

/* ---- finding one ---- */

static int load_alias(const char *path)
{
    char stem[WEIR_STEM_ROOM], other[WEIR_FILE_ROOM];
    bool again;
    int rc = weir_plugin_file_alias(path, stem);

    if (rc < 0)
        return rc;
    if (!weir_registry_find(stem) &&
        weir_plugin_search_find(stem, other, &again) && again)
        return weir_fail(WEIR_EPLUGIN, "%.128s leads to another alias, %.128s",
                         path, other);
    rc = weir_registry_load(stem);
    if (rc < 0)
        return weir_fail(-rc, "%.400s (by way of %.64s)", weir_error_text(),
                         path);
    return 0;
}

int weir_registry_load(const char *stem)
{
    char path[WEIR_FILE_ROOM];
    uint32_t abi;
    bool alias;
    int rc;

    if (weir_registry_find(stem))
        return 0;
    rc = weir_plugin_search_enabled(stem);
    if (rc == 0)
        rc = load_inside(stem);
    if (rc != -ENOENT)
        return rc;
    if (!weir_plugin_search_find(stem, path, &alias))
        return weir_plugin_search_missing(stem);
    return alias ? load_alias(path) : weir_registry_load_file(path, stem, &abi);
}

int weir_registry_prefer(const char *path, const char *stem,
                         struct weir_loaded **out)
{
    char real[WEIR_FILE_ROOM];
    struct weir_loaded *loaded;
    uint32_t abi;
    int rc = weir_plugin_search_enabled(stem);

    if (rc == 0)
        rc = weir_plugin_file_check(path, real);
    if (rc < 0)
        return rc;
    loaded = find_file(real);
    if (!loaded) {
        rc = weir_registry_load_file(path, stem, &abi);
        if (rc < 0)
            return rc;
        loaded = find_file(real);
    }
    weir_list_remove(&loaded->node);
    weir_list_insert(&registry.loaded, &loaded->node);
    *out = loaded;
    return 0;
}

static int load_wanted(const struct want *want, const char *name,
                       const void **ops, const char **plugin)
{
    char stem[WEIR_STEM_ROOM];
    int rc;

    snprintf(stem, sizeof stem, "%s_%s", want->kind, name);
    rc = weir_registry_load(stem);
    if (rc < 0)
        return rc;
    *ops = find_ops(want, name, plugin);
    if (!*ops)
        return weir_fail(WEIR_EPLUGIN, "%s %s has no %s \"%s\"",
                         weir_registry_find(stem) ? "plugin"
                                                  : "what is loaded for",
                         stem, want->what, name);
    return 0;
}

/* Find it, or load and find it.  *plugin is set, if it is not NULL. */
static int get_ops(const struct want *want, const char *name, const void **ops,
                   const char **plugin)
{
    const char *owner;
    int rc = weir_registry_enter();

    if (rc < 0)
        return rc;
    *ops = find_ops(want, name, &owner);
    if (!*ops)
        rc = load_wanted(want, name, ops, &owner);
    weir_registry_leave();
    if (rc == 0 && plugin)
        *plugin = owner;
    return rc;
}

int weir_registry_transport(const char *scheme, const weir_transport_ops **ops,
                            const char **plugin)
{
    const void *found;
    int rc;

    if (!weir_url_is_scheme(scheme, strlen(scheme)))
        return weir_fail(EINVAL, "\"%.64s\" is not a scheme", scheme);
    rc = get_ops(&want_transport, scheme, &found, plugin);
    if (rc == 0)
        *ops = found;
    return rc;
}

int weir_registry_store(const char *name, const weir_store_ops **ops,
                        const char **plugin)
{
    char stem[WEIR_STEM_ROOM];
    const void *found;
    int rc, size = snprintf(stem, sizeof stem, "store_%s", name);

    if ((size_t)size >= sizeof stem || !weir_plugin_file_kind(stem))
        return weir_fail(EINVAL, "\"%.64s\" is not the name of a store", name);
    rc = get_ops(&want_store, name, &found, plugin);
    if (rc == 0)
        *ops = found;
    return rc;
}
