# Prints the files of a bake's recipe as rows of a C table, { name, text }, without comments and blank lines: user-data is
# scarce. What looks like a comment inside a string or a here-document is lost too; only a `#!` further
# down stays. With bare=1: the text of the one file, not indented.
function begin(path) {
	sub(/^.*\/ami\//, "ami/", path)
	sub(/^.*\/src\/agent\//, "src/agent/", path)
	in_c = path ~ /^src\/agent\//
	in_comment = 0
	sub(/^src\//, "", path)
	sub(/^ami\/bake\/main/, "main", path)
	sub(/^ami\/bake\//, "steps/", path)
	sub(/^ami\//, "", path)
	printf "{ \"%s\",\n", path
}

FNR == 1 {
	if (NR > 1)
		print "},"
	if (!bare)
		begin(FILENAME)
	if (/^#!/)
		next
}

in_c && /^[ \t]*\/\*/ { in_comment = 1 }

in_comment {
	if (/\*\//)
		in_comment = 0
	next
}

/^[ \t]*$/ || (!in_c && /^[ \t]*#/ && !/^#!/) { next }

{
	if (in_c)
		sub(/^[ \t]+/, "")
	if (bare)
		sub(/^\t+/, "")
	gsub(/[\\"?]/, "\\\\&")
	print "\"" $0 "\\n\""
}

END {
	if (!bare)
		print "},"
}
