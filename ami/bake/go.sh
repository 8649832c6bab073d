#!/bin/sh
# Optional: Go, in the PATH of every job.
fetch go.tar.gz "https://go.dev/dl/go$GO_VERSION.linux-$MAYFLY_ARCH.tar.gz" "$(pick "$GO_SHA256_AMD64" "$GO_SHA256_ARM64")"
rm -rf /usr/local/go
tar --no-same-owner -xzf go.tar.gz -C /usr/local
rm go.tar.gz
ln -sf ../go/bin/go ../go/bin/gofmt /usr/local/bin
