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
  printf '%s\n' "$lines" | awk -v token="$token" 'index($0, token)'
}

part marker marker
part queue matching within 20 squeue --me -h -t all -o "%i$us%k$us%o"
part accounting matching within 30 sacct -n -P -X "--delimiter=$us" -u "$(id -un)" -S "now-${seconds}seconds" -E now \
  -o JobID,Comment,SubmitLine
finish 0
