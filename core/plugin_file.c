#include "config.h"

#include "plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_ELF_H
#include <elf.h>
#endif

#include <weir/weir.h>

#include "base/error.h"
#include "base/outsider.h"

static const char *const kinds[] = {"transport", "store", "mechanism",
                                    "pattern"};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *name)
{
    size_t i;

    for (i = 0; name[i]; i++) {
        if (!is_alnum(name[i]) && !(i && strchr("+-._", name[i])))
            return false;
    }
    return i > 0;
}

size_t weir_plugin_file_kind(const char *stem)
{
    size_t size = strcspn(stem, "_");
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (size == strlen(kinds[i]) && strncmp(stem, kinds[i], size) == 0)
            return stem[size] && is_name(stem + size + 1) ? size : 0;
    }
    return 0;
}

bool weir_plugin_file_stem(const char *path, const char *suffix,
                           char stem[WEIR_STEM_ROOM])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t size = strlen(name), tail = strlen(suffix);

    if (size <= tail || size - tail >= WEIR_STEM_ROOM ||
        strcmp(name + size - tail, suffix) != 0)
        return false;
    memcpy(stem, name, size - tail);
    stem[size - tail] = '\0';
    return weir_plugin_file_kind(stem) != 0;
}

/* errno as an answer about a path.  What passes is told from what is wrong
 * with the file. */
static int cannot(const char *path, const char *what)
{
    bool passes = errno == ENOMEM || errno == EMFILE || errno == ENFILE;

    return weir_fail(passes ? errno : WEIR_EPLUGIN, "%.256s: cannot %s it: %s",
                     path, what, weir_strerror(errno));
}

static int check_owner(const char *path, const struct stat *state)
{
    if (state->st_uid != 0 && state->st_uid != geteuid() &&
        !weir_outsider(state->st_uid))
        return weir_fail(
            WEIR_EPLUGIN,
            "%.256s is refused: its owner is user %ld, neither root "
            "nor user %ld, who runs this",
            path, (long)state->st_uid, (long)geteuid());
    if (state->st_mode & S_IWOTH)
        return weir_fail(
            WEIR_EPLUGIN,
            "%.256s is refused: everybody may write it (mode %04o)", path,
            (unsigned)state->st_mode & 07777);
    if ((state->st_mode & S_IWGRP) && state->st_gid != 0 &&
        state->st_gid != getegid())
        return weir_fail(
            WEIR_EPLUGIN,
            "%.256s is refused: group %ld may write it (mode %04o)", path,
            (long)state->st_gid, (unsigned)state->st_mode & 07777);
    return 0;
}

/* The folder that a path names its file in. */
static int check_folder(const char *path)
{
    char folder[WEIR_FILE_ROOM];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    struct stat state;

    if (size >= sizeof folder)
        return weir_fail(WEIR_EPLUGIN, "%.64s...: the path is too long", path);
    memcpy(folder, path, size);
    folder[size] = '\0';
    if (size == 0)
        strcpy(folder, slash ? "/" : ".");
    if (stat(folder, &state) < 0)
        return cannot(folder, "look at");
    return check_owner(folder, &state);
}

static int check_modes(const char *path)
{
    struct stat state;
    int rc = check_folder(path);

    if (rc < 0)
        return rc;
    if (stat(path, &state) < 0)
        return cannot(path, "look at");
    if (!S_ISREG(state.st_mode))
        return weir_fail(WEIR_EPLUGIN, "%.256s is refused: not a plain file",
                         path);
    return check_owner(path, &state);
}

static int resolve(const char *path, char real[WEIR_FILE_ROOM])
{
    char *text = realpath(path, NULL);
    size_t size;

    if (!text)
        return cannot(path, "find");
    size = strlen(text) + 1;
    if (size > WEIR_FILE_ROOM) {
        free(text);
        return weir_fail(WEIR_EPLUGIN, "%.64s...: the path is too long", path);
    }
    memcpy(real, text, size);
    free(text);
    return 0;
}

#ifdef HAVE_ELF_H

#if UINTPTR_MAX > UINT32_MAX
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
#define NATIVE_CLASS ELFCLASS64
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
#define NATIVE_CLASS ELFCLASS32
#endif

static bool read_at(int fd, void *data, size_t size, uint64_t at)
{
    return at <= INT64_MAX && pread(fd, data, size, (off_t)at) == (ssize_t)size;
}

/* Whether this machine's loader would take it for its own: if not, it says so
 * better than we do. */
static bool is_native(const elf_header *header)
{
    const uint16_t one = 1;
    int order = *(const unsigned char *)&one ? ELFDATA2LSB : ELFDATA2MSB;

    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == NATIVE_CLASS &&
           header->e_ident[EI_DATA] == order &&
           header->e_phentsize == sizeof(elf_segment);
}

/* This file's own header, where the linker can name it. */
extern const elf_header __ehdr_start
    __attribute__((weak, visibility("hidden")));

/* Of a file for another machine the loader says that there is none. */
static int check_machine(const char *path, const elf_header *header)
{
    if (!&__ehdr_start || header->e_machine == __ehdr_start.e_machine)
        return 0;
    return weir_fail(WEIR_EPLUGIN,
                     "%.256s is for another kind of machine: ELF calls it %u, "
                     "and this one %u",
                     path, (unsigned)header->e_machine,
                     (unsigned)__ehdr_start.e_machine);
}

/* The loader maps what the segments say; to touch a page beyond the end of
 * the file is a SIGBUS. */
static int check_segments(const char *path, int fd, const elf_header *header,
                          uint64_t size)
{
    elf_segment segment;
    unsigned i;

    for (i = 0; i < header->e_phnum; i++) {
        if (!read_at(fd, &segment, sizeof segment,
                     header->e_phoff + i * sizeof segment))
            return weir_fail(
                WEIR_EPLUGIN,
                "%.256s is cut short: its program header is missing", path);
        if (segment.p_type == PT_LOAD && segment.p_filesz &&
            (segment.p_offset > size ||
             segment.p_filesz > size - segment.p_offset))
            return weir_fail(WEIR_EPLUGIN,
                             "%.256s is cut short: it has %llu octets, and a "
                             "segment of %llu at %llu",
                             path, (unsigned long long)size,
                             (unsigned long long)segment.p_filesz,
                             (unsigned long long)segment.p_offset);
    }
    return 0;
}

/* It comes last in most files, and is of no use to the loader: a file without
 * it is one that was not copied to its end. */
static int check_sections(const char *path, const elf_header *header,
                          uint64_t size)
{
    uint64_t need = (uint64_t)header->e_shnum * header->e_shentsize;

    if (!header->e_shoff ||
        (header->e_shoff <= size && need <= size - header->e_shoff))
        return 0;
    return weir_fail(WEIR_EPLUGIN,
                     "%.256s is cut short: it has %llu octets, and a table of "
                     "sections at %llu",
                     path, (unsigned long long)size,
                     (unsigned long long)header->e_shoff);
}

static int check_content(const char *path, int fd, uint64_t size)
{
    elf_header header;
    int rc;

    if (!read_at(fd, &header, sizeof header, 0) || !is_native(&header))
        return 0;
    rc = check_machine(path, &header);
    if (rc == 0)
        rc = check_segments(path, fd, &header, size);
    if (rc == 0)
        rc = check_sections(path, &header, size);
    return rc;
}

#else

static int check_content(const char *path, int fd, uint64_t size)
{
    (void)path, (void)fd, (void)size;
    return 0;
}

#endif

static int check_whole(const char *path)
{
    struct stat state;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return cannot(path, "open");
    if (fstat(fd, &state) < 0)
        rc = cannot(path, "look at");
    else
        rc = check_content(path, fd, (uint64_t)state.st_size);
    close(fd);
    return rc;
}

int weir_plugin_file_check(const char *path, char real[WEIR_FILE_ROOM])
{
    int rc = check_modes(path);

    if (rc == 0)
        rc = resolve(path, real);
    if (rc == 0 && strcmp(path, real) != 0)
        rc = check_modes(real);
    if (rc == 0)
        rc = check_whole(real);
    return rc;
}

static int read_line(const char *path, char *line, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size;

    if (fd < 0)
        return cannot(path, "open");
    size = read(fd, line, room - 1);
    close(fd);
    if (size < 0)
        return cannot(path, "read");
    line[size] = '\0';
    if (size && line[size - 1] == '\n')
        line[size - 1] = '\0';
    return 0;
}

int weir_plugin_file_alias(const char *path, char stem[WEIR_STEM_ROOM])
{
    char real[WEIR_FILE_ROOM], line[WEIR_STEM_ROOM + 2];
    int rc = weir_plugin_file_check(path, real);

    if (rc == 0)
        rc = read_line(real, line, sizeof line);
    if (rc < 0)
        return rc;
    if (strlen(line) >= WEIR_STEM_ROOM || !weir_plugin_file_kind(line))
        return weir_fail(WEIR_EPLUGIN,
                         "%.256s: \"%s\" is not the name of a plugin; want one "
                         "line such as \"transport_tcp\"",
                         path, line);
    strcpy(stem, line);
    return 0;
}
