#include "mayfly/util/home.h"

#include <pwd.h>
#include <unistd.h>

#include "mayfly/util/strbuf.h"

char *home_directory(const char *(*getenv_fn)(const char *))
{
    const char *home = getenv_fn("HOME");
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (home && home[0] == '/') /* a relative one would be of a checkout, whose credential_process is a command */
        return xstrdup(home);
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) != 0 || !found || str_empty(found->pw_dir))
        return NULL;
    return xstrdup(found->pw_dir);
}

/* Bytes of the variable that begins at s, "$NAME" or "${NAME}", whose name *ret takes, owned; 0: none does. */
static size_t variable(const char *s, char **ret)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    const bool braces = s[0] == '$' && s[1] == '{';
    const char *name = s + (braces ? 2 : 1);
    size_t n = s[0] == '$' ? strspn(name, letters) : 0;
    if (n == 0 || (braces && name[n] != '}'))
        return 0;
    *ret = xstrndup(name, n);
    return n + (braces ? 3 : 1);
}

char *home_expand(const char *path, const char *(*getenv_fn)(const char *))
{
    AUTO_STRBUF out = STRBUF_INIT;
    while (*path) {
        AUTO_FREE char *name = NULL;
        size_t n = variable(path, &name);
        const char *value = n ? getenv_fn(name) : NULL;
        if (value)
            strbuf_adds(&out, value);
        else
            strbuf_add(&out, path, n ? n : 1);
        path += n ? n : 1;
    }
    AUTO_FREE char *home = str_starts(strbuf_str(&out), "~/") ? home_directory(getenv_fn) : NULL;
    return home ? xasprintf("%s%s", home, strbuf_str(&out) + 1) : strbuf_steal(&out);
}
