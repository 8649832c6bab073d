# Every source of libmayfly and the harnesses by clang, with libFuzzer's counters and the sanitizers; made by run, in a
# folder of its own: make -f build.mk TOP=… GENERATED=… (where boot_sh.h and recipe.h are).
CC = clang
MODULES = libcurl openssl libxml-2.0 json-c zlib libmicrohttpd
LIBS = $(shell pkg-config --libs $(MODULES))
CFLAGS = -std=gnu11 -g1 -O1 -Wall -Wextra -D_GNU_SOURCE -DPACKAGE_VERSION='"fuzz"' \
	-I$(TOP)/include -I$(GENERATED) $(shell pkg-config --cflags $(MODULES)) \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -MMD -MP
sources = $(wildcard $(addprefix $(TOP)/src/,$(addsuffix /*.c,util net codec crypto aws github runner))) \
	$(TOP)/src/cmd/start_opts.c
harnesses = $(wildcard $(TOP)/tests/fuzz/fuzz*.c)
quote = $(TOP)/tests/fuzz/quote.c
object = $(patsubst $(TOP)/%.c,%.o,$(1))

all: fuzz quote
fuzz: $(call object,$(sources) $(harnesses))
	$(CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)
quote: $(call object,$(sources) $(quote))
	$(CC) -fsanitize=fuzzer-no-link,address,undefined -o $@ $^ $(LIBS)

objects = $(call object,$(sources) $(harnesses) $(quote))
$(objects): %.o: $(TOP)/%.c
	@mkdir -p $(@D)
	@echo $@
	@$(CC) $(CFLAGS) -c -o $@ $<

-include $(objects:.o=.d)
