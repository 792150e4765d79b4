#include "config.h"

#include "base/privileged.h"

#include <unistd.h>
#ifdef HAVE_SYS_AUXV_H
#include <sys/auxv.h>
#endif

/* Alone in its file, so that a test can put another in its place. */
bool weir_privileged(void)
{
#if defined(HAVE_GETAUXVAL) && defined(AT_SECURE)
    return getauxval(AT_SECURE) != 0;
#elif defined(HAVE_ISSETUGID)
    return issetugid() != 0;
#else
    return getuid() != geteuid() || getgid() != getegid();
#endif
}
