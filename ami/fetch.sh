# shellcheck shell=sh disable=SC2154 # the assignments stand before it
# The user-data of a builder whose recipe is too large for user-data: fetches it, and runs it if it is the one meant.
recipe=/run/mayfly-recipe

fail() {
	echo "mayfly: bake failed: payload ($1)" >/dev/console
	sync
	poweroff -f
	exit 1
}

curl -gfsSL --proto =https --retry 8 --retry-all-errors --connect-timeout 10 -m 600 -o $recipe -- "$MAYFLY_PAYLOAD_URL" ||
	fail "curl: exit $?"
echo "$MAYFLY_PAYLOAD_SHA256  $recipe" | sha256sum -c - || fail "its SHA-256 is another"
gunzip <$recipe >$recipe.sh || fail "gunzip: exit $?"
exec sh $recipe.sh
