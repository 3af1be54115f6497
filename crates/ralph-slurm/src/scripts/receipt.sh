# Looks for one submission without submitting. Arguments: the token, and how many seconds ago its intent was made.
token=$1
seconds=$2
folder=$receipts/$token

marker() {
  # What was claimed cannot be seen without the folder that it was claimed in.
  [ -d "$root" ] || { printf 'rootless\n' && return; }
  [ -e "$folder/claim" ] || { printf 'absent\n' && return; }
  code=$(cat "$folder/rc" 2>/dev/null)
  since=$(stat -c %Y "$folder/claim" 2>/dev/null || printf 0)
  if [ -n "$code" ]; then printf 'ran %s\n' "$code"; else printf 'claimed %s\n' "$since"; fi
  [ ! -s "$folder/out" ] || sed 's/^/out /' "$folder/out"
  [ ! -s "$folder/err" ] || sed 's/^/err /' "$folder/err"
}

matching() { # COMMAND...: its lines that name the token; its own exit code
  lines=$("$@") || return
  printf '%s\n' "$lines" | awk -F "$us" -v token="$token" '
    index($0, token) { print; found = 1 }
    # Accounting has the end of a job before its name and its command line; it may be the one that is looked for.
    $3 == "" && $4 == "allocation" { nameless = $1 }
    END {
      if (found || nameless == "") exit 0
      print "the command line of job " nameless " is not in accounting yet" >"/dev/stderr"
      exit 1
    }'
}

part marker marker
part queue matching within 20 squeue --me -h -t all -o "%i$us%k$us%o"
part accounting matching within 30 sacct -n -P -X "--delimiter=$us" -u "$(id -un)" -S "now-${seconds}seconds" -E now \
  -o JobID,Comment,SubmitLine,JobName
finish 0
