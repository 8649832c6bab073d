#!/usr/bin/env bash
# tests/pre-commit as git's hook, in a repository whose lint and unit tests say what they saw.
. "$(dirname "$0")/../e2e/lib.sh"
export GIT_CONFIG_GLOBAL=$tmp/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global user.name committer
git config --global user.email committer@example.com
git init -q "$tmp/work" && cd "$tmp/work" || exit
mkdir -p tests/lint tests/unit src
cp "$top/tests/pre-commit" tests/
printf '#!/bin/sh\nfor f in $(git ls-files -co src); do ! grep -H WRONG "$f" || exit; done | { ! grep . ; }\n' >tests/lint/run
printf '#!/bin/sh\n! grep BROKEN "$MAYFLY_BUILD/seen"\n' >tests/unit/run
cat >autogen.sh <<'END'
#!/bin/sh
sleep 0.01
cat >configure <<'CONFIGURE'
#!/bin/sh
printf 'mayfly:\n\tcat %s/src/* >seen\ncheck:\n.PHONY: mayfly check\n' "$(dirname "$0")" >Makefile
touch config.status
CONFIGURE
chmod +x configure
touch Makefile.in
END
touch Makefile.am configure.ac
chmod +x autogen.sh tests/lint/run tests/unit/run
printf 'build/\nconfigure\nMakefile.in\n' >.gitignore
ln -s ../../tests/pre-commit .git/hooks/pre-commit

commit() { run git commit -q -m "$1"; }
echo fine >src/one
git add -A
commit one
expect 'what is right is committed' 0
echo WRONG >src/one
git add src/one
echo fine again >src/one
commit two
expect 'what is staged is judged, not what was mended since' 1 err 'src/one:WRONG' err 'lint failed'
git add src/one
echo WRONG >src/one
commit three
expect 'nor what was spoiled since' 0
git checkout -q src/one
echo WRONG >src/new
echo '*.log' >>.gitignore
git add .gitignore
commit four
expect 'nor what git does not have yet' 0
rm src/new
echo BROKEN >src/two
git add src/two
commit five
expect 'unit tests are those of what is staged' 1 err 'unit tests failed'
run git commit -q --no-verify -m six
expect 'who insists is let past' 0
exit $((failures > 0))
