#!/usr/bin/env bash
# The README's first command, and that the README shows what it prints.
. "$(dirname "$0")/lib.sh"

run "$top/examples/quickstart.sh"
expect 'quickstart runs the main job' 0 out 'ec2-instance-id=i-' out '  | working 3' out ': terminated' \
	out 'runner records at GitHub: 0' out '| online |' out 'The same on AWS'
leftovers=$(pgrep -f "$top/build/quickstart/mayfly" || true)
equal 'it leaves nothing running' "$leftovers" ''

# Every line of the README's picture, but for ids, names and times, is printed.
shape() { sed -E -e 's/^\[ *[0-9.]+ s\]/[T s]/' -e 's/i-[0-9a-f]{17}/i-X/g' -e 's/mf-[a-z0-9-]+/mf-X/g'; }
missing=$(sed -n '/<!-- quickstart -->/,/^```sh/p' "$top/README.md" | grep -v -e '^```' -e '^<!--' -e '^…$' -e '^$' | shape |
	grep -vxFf <(shape <<<"$out") || true)
equal 'the README shows what it prints' "$missing" ''
exit $((failures > 0))
