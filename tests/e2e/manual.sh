#!/usr/bin/env bash
# The manual pages and the completions, which are made of the option tables.
. "$(dirname "$0")/lib.sh"

equal '`mayfly help start` is `mayfly start --help`' "$("$mayfly" help start)" "$("$mayfly" start --help)"
mapfile -t commands < <("$mayfly" --help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')
check 'there are commands' test ${#commands[@]} -ge 6
wanted=$(printf 'man/mayfly-%s.1\n' "${commands[@]}" | sort | tr '\n' ' ')
installed=$(sed -n '/^man1_MANS = /,/[^\\]$/p' "$top/Makefile.am" | tr -s ' \\\t' '\n' | grep 'mayfly-' | sort | tr '\n' ' ')
equal 'each command has a page that is installed' "$installed" "$wanted"

for command in '' "${commands[@]}"; do
	# shellcheck disable=SC2086
	"$mayfly" --manual $command >"$tmp/page.1"
	if command -v mandoc >/dev/null; then
		# The date is left out, so that a page does not change from day to day.
		problems=$(mandoc -T lint -W warning "$tmp/page.1" 2>&1 | grep -v 'missing date')
		equal "mandoc takes the page of mayfly $command" "$problems" ''
		MANWIDTH=80 mandoc -T utf8 "$tmp/page.1" | col -b >"$tmp/text"
	else
		echo 'skip - mandoc: judge: it could not be installed'
		cp "$tmp/page.1" "$tmp/text"
	fi
	# shellcheck disable=SC2086
	missing=$("$mayfly" ${command:-stop} --help | if [ "$command" ]; then cat; else sed -n '/options of every command/,$p'; fi |
		sed -n 's/^  \(--[a-z-]*\).*/\1/p' | while read -r option; do
		grep -qF -- " $option" "$tmp/text" || echo "$option"
	done)
	equal "the page of mayfly $command has every option" "$missing" ''
done
run "$mayfly" --manual nonsense
expect 'no page of no command' 2 err 'there is no command `--manual`'
run "$mayfly" --completion tcsh
expect 'no completion for another shell' 2

# --- what the shells make of them ---
complete_bash() { # WORD…: what is offered for the last one
	bash --norc -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mayfly; printf "%s\n" "${COMPREPLY[@]}"' \
		"$tmp/bash" "$@" | tr '\n' ' '
}
"$mayfly" --completion bash >"$tmp/bash"
equal 'bash: commands' "$(complete_bash mayfly st)" 'start stop status '
has 'bash: options of a command' "$(complete_bash mayfly start --vol)" '--volume-size --volume-type'
equal 'bash: not those of another' "$(complete_bash mayfly stop --vol)" ' '
equal 'bash: values' "$(complete_bash mayfly start --log-format '')" 'text json '
"$mayfly" --completion zsh >"$tmp/_mayfly"
if command -v zsh >/dev/null; then
	check 'zsh: it parses' zsh -n "$tmp/_mayfly"
	# The functions of the completion system, replaced by ones that print what they are given.
	out=$(cd "$tmp" && zsh -f -c '_describe() { print -l $commands }; _arguments() { print -l -- "$@" }
		words=(mayfly start); CURRENT=3; . ./_mayfly')
	has 'zsh: options of a command' "$out" '--subnets['
	has 'zsh: values' "$out" '--order['
else
	echo 'skip - zsh: judge: it could not be installed'
fi
"$mayfly" --completion fish >"$tmp/mayfly.fish"
if command -v fish >/dev/null; then
	offer() { fish --no-config -c "source '$tmp/mayfly.fish'; complete -C'$1'"; }
	has 'fish: commands' "$(offer 'mayfly st')" 'stop'
	has 'fish: options of a command' "$(offer 'mayfly start --subn')" '--subnets'
	has 'fish: values' "$(offer 'mayfly start --log-format ')" 'json'
else
	echo 'skip - fish: judge: it could not be installed'
fi
[ "$failures" -eq 0 ]
