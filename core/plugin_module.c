#include "config.h"

#include "plugin_module.h"

#include <errno.h>
#include <ltdl.h>
#include <stdio.h>
#include <string.h>
#ifdef HAVE_DLOPEN
#include <dlfcn.h>
#endif

#include <weir/error.h>

#include "base/error.h"

#define NEWEST_ABI  9 /* that we look for, to say which one a plugin has */
#define SYMBOL_ROOM (WEIR_STEM_ROOM + 32)

#ifdef WEIR_PRELOADED
/* Made by libtool where it puts the modules into libweir. */
extern LT_DLSYM_CONST lt_dlsymlist lt_libweir_LTX_preloaded_symbols[];
#define INSIDE lt_libweir_LTX_preloaded_symbols
#else
static const lt_dlsymlist no_symbols[] = {{NULL, NULL}};
#define INSIDE no_symbols
#endif

/* Neither loader has codes, only texts, of which some are the system's.  When
 * there was no memory, errno often is all that says so; it was 0 before. */
static int code_of(const char *text, int left)
{
    static const int passing[] = {ENOMEM, EMFILE, ENFILE};

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        if (strstr(text, weir_strerror(passing[i])))
            return passing[i];
    }
    return left == ENOMEM || strstr(text, "memory") ? ENOMEM : WEIR_EPLUGIN;
}

static int says(const char *who, const char *text, int left)
{
    int code;

    if (!text)
        text = "nothing";
    code = code_of(text, left);
    return weir_fail(code, "%s says: %.300s%s", who, text,
                     code == ENOMEM ? " (for want of memory)" : "");
}

static int libltdl_says(void)
{
    int left = errno;

    return says("libltdl", lt_dlerror(), left);
}

int weir_plugin_module_start(void)
{
    int rc = 0;

    errno = 0;
    if (lt_dlinit() != 0 || (INSIDE[0].name && lt_dlpreload(INSIDE) != 0)) {
        rc = libltdl_says();
        lt_dlexit(); /* or it takes itself for begun, and crashes later */
    }
    return rc;
}

/* "<stem>_LTX_weir_plugin_v<abi>", in octets that names in C have. */
static void symbol_name(const char *stem, int abi, char symbol[SYMBOL_ROOM])
{
    char *at;

    snprintf(symbol, SYMBOL_ROOM, "%s_LTX_weir_plugin_v%d", stem, abi);
    for (at = symbol; *at; at++) {
        if (strchr("+-.", *at))
            *at = '_';
    }
}

/* libltdl has one text for a missing dependency, an undefined symbol and more;
 * the system's loader has a good one for each. */
static int probe(const char *file, struct weir_plugin_module *module)
{
#ifdef HAVE_DLOPEN
    size_t size = strlen(file);
    const char *text;
    int left;

    errno = 0;
    module->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (module->handle)
        return 0;
    left = errno;
    text = dlerror();
    if (text && strncmp(text, file, size) == 0 && text[size] == ':')
        text += size + 1 + (text[size + 1] == ' ');
    return says("the loader", text, left);
#else
    module->handle = NULL;
    return 0;
#endif
}

void weir_plugin_module_close(struct weir_plugin_module *module)
{
    if (module->lt)
        lt_dlclose(module->lt);
#ifdef HAVE_DLOPEN
    if (module->handle)
        dlclose(module->handle);
#endif
}

/* `name` is an absolute path or, with preloaded, a module's stem. */
static int open_with_libltdl(const char *name, bool preloaded,
                             struct weir_plugin_module *module)
{
    lt_dladvise advise;

    int rc = 0;

    if (lt_dladvise_init(&advise) != 0)
        return weir_fail(ENOMEM, "no memory for libltdl");
    lt_dladvise_local(&advise);
    if (preloaded)
        lt_dladvise_preload(&advise);
    errno = 0;
    module->lt = lt_dlopenadvise(name, advise);
    if (!module->lt)
        rc = libltdl_says();
    lt_dladvise_destroy(&advise);
    return rc;
}

int weir_plugin_module_open(struct weir_plugin_module *module, const char *path)
{
    int rc = probe(path, module);

    module->lt = NULL;
    if (rc == 0)
        rc = open_with_libltdl(path, false, module);
    if (rc < 0)
        weir_plugin_module_close(module);
    return rc;
}

/* libltdl would make a '_' of such octets, or cut the stem at them, and so
 * find another's module. */
int weir_plugin_module_open_inside(struct weir_plugin_module *module,
                                   const char *stem)
{
    int rc;

    if (strpbrk(stem, "+-."))
        return -ENOENT;
    module->handle = NULL;
    rc = open_with_libltdl(stem, true, module);
    return rc == -WEIR_EPLUGIN ? -ENOENT : rc;
}

int weir_plugin_module_table(const struct weir_plugin_module *module,
                             const char *stem, const weir_plugin **table,
                             uint32_t *abi)
{
    char symbol[SYMBOL_ROOM];
    int i;

    *abi = 0;
    for (i = WEIR_ABI + 1; i <= NEWEST_ABI; i++) {
        symbol_name(stem, i, symbol);
        if (lt_dlsym(module->lt, symbol))
            *abi = (uint32_t)i;
    }
    symbol_name(stem, WEIR_ABI, symbol);
    *table = lt_dlsym(module->lt, symbol);
    if (*table) {
        *abi = WEIR_ABI;
        return 0;
    }
    if (*abi)
        return weir_fail(WEIR_EPLUGIN, "it is of ABI %u, and ABI %d is wanted",
                         *abi, WEIR_ABI);
    return weir_fail(WEIR_EPLUGIN,
                     "ABI %d is wanted and none found: it has no symbol %s",
                     WEIR_ABI, symbol);
}

void weir_plugin_module_keep(struct weir_plugin_module *module)
{
    lt_dlmakeresident(module->lt);
}

/* In the list a module is an entry without an address, named like its
 * archive. */
bool weir_plugin_module_inside(size_t *at, char stem[WEIR_STEM_ROOM])
{
    const lt_dlsymlist *symbol;

    while ((symbol = &INSIDE[*at])->name) {
        ++*at;
        if (!symbol->address && weir_plugin_file_stem(symbol->name, ".a", stem))
            return true;
    }
    return false;
}
