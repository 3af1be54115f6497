# Adds a piece to a file that is too large for one call; with the last one the whole takes its place. Arguments: the name
# of the part, its size so far, the path below the repository's folder (or nothing, when more is to come), mode, time.
missing=$(have_root) || { part missing printf '%s\n' "$missing" && finish 0; }
parts=$root/.ralph/parts
add() { # NAME OFFSET PATH MODE SECONDS
  if [ "$2" = 0 ]; then
    mkdir -p "$parts" || return
    # What a broken connection left, and nobody comes back for, becomes this one: it takes no room for ever.
    left=$(find "$parts" -type f -mmin +1440 | head -n 1)
    [ -z "$left" ] || mv -f "$left" "$parts/$1" || return
    : >"$parts/$1" || return
  fi
  [ "$(stat -c %s "$parts/$1")" = "$2" ] || { printf 'a piece at %s does not follow what has arrived\n' "$2" >&2 && return 1; }
  cat >>"$parts/$1" || return
  [ -n "$3" ] || return 0
  mkdir -p "$(dirname "$root/$3")" && chmod "$4" "$parts/$1" && touch -d "@$5" "$parts/$1" && mv -f "$parts/$1" "$root/$3"
}
part piece add "$@"
finish 0
