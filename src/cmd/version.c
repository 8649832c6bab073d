#include "mayfly/cmd/version.h"

#include <curl/curl.h>
#include <json-c/json_c_version.h>
#include <libxml/parser.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "commit.h" /* made by the build; no other file includes it, so that a commit compiles this one alone again */
#include "mayfly/version.h"

void version_print(void)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const long xml = strtol(xmlParserVersion, NULL, 10); /* 20914, or 20914-GIT… */
    printf("mayfly %s%s\n", MAYFLY_VERSION, MAYFLY_COMMIT[0] ? " (" MAYFLY_COMMIT ")" : "");
    printf("libcurl %s (%s)\n", curl->version, curl->ssl_version ? curl->ssl_version : "no TLS");
    printf("OpenSSL %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    printf("libxml2 %ld.%ld.%ld\n", xml / 10000, xml / 100 % 100, xml % 100);
    printf("json-c %s\n", json_c_version());
    printf("zlib %s\n", zlibVersion());
}
