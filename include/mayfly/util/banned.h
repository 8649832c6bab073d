/* Functions that have a safer or purer sibling are compile errors. */
#ifndef MAYFLY_UTIL_BANNED_H
#define MAYFLY_UTIL_BANNED_H

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Fixed buffers: use struct strbuf or xasprintf. */
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef gets
/* Static storage: use the _r functions. */
#undef strtok
#undef gmtime
#undef localtime
#undef ctime
#undef asctime
/* No way to see an error: use parse_uint. */
#undef atoi
#undef atol
#undef atoll
/* A shell: nothing here is ever given to one. */
#undef system
#undef popen
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok gmtime localtime ctime asctime
#pragma GCC poison atoi atol atoll system popen

#endif
