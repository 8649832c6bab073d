/* The version, for --version, tags and the User-Agent. config.h does not exist here: configure passes it along. */
#ifndef MAYFLY_VERSION_H
#define MAYFLY_VERSION_H

#ifdef PACKAGE_VERSION
#define MAYFLY_VERSION PACKAGE_VERSION
#else
#define MAYFLY_VERSION "unknown"
#endif

#endif
