# Looks for submissions without submitting. Arguments: how many seconds ago the oldest intent was made, the tokens.
seconds=$1
shift

marker() { # TOKEN
  folder=$receipts/$1
  # What was claimed cannot be seen without the folder that it was claimed in.
  [ -d "$root" ] || { printf 'rootless\n' && return; }
  [ -e "$folder/claim" ] || { printf 'absent\n' && return; }
  code=$(cat "$folder/rc" 2>/dev/null)
  since=$(stat -c %Y "$folder/claim" 2>/dev/null || printf 0)
  if [ -n "$code" ]; then printf 'ran %s\n' "$code"; else printf 'claimed %s\n' "$since"; fi
  [ ! -s "$folder/out" ] || sed 's/^/out /' "$folder/out"
  [ ! -s "$folder/err" ] || sed 's/^/err /' "$folder/err"
}

# The lines of a command that name a token, each after the token; its own exit code. Accounting has the end of a job
# before its name and its command line: such a one may be any that is looked for, and stands after `?`.
matching() { # COMMAND...
  lines=$("$@") || return
  { printf '%s\n=\n' "$tokens" && printf '%s\n' "$lines"; } | awk -F "$us" '
    !listed && $0 == "=" { listed = 1; next }
    !listed { token[++count] = $0; next }
    { for (i = 1; i <= count; i++) if (index($0, token[i])) print token[i], $1 }
    $3 == "" && $4 == "allocation" { print "?", $1 }'
}

tokens=$(printf '%s\n' "$@")
for token in "$@"; do part "marker.$token" marker "$token"; done
part queue matching within 20 squeue --me -h -t all -o "%i$us%k$us%o"
part accounting matching within 30 sacct -n -P -X "--delimiter=$us" -u "$(id -un)" -S "now-${seconds}seconds" -E now \
  -o JobID,Comment,SubmitLine,JobName
finish 0
