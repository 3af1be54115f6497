# Which files exist. Argument: project. Standard input: one path per line, relative to the project's folder.
look() {
  cd "$root/projects/$1" || return
  while IFS= read -r path; do
    if [ -e "$path" ]; then echo yes; else echo no; fi
  done
}
[ -d "$root/projects/$1" ] || { part missing printf '%s\n' "$root/projects/$1" && finish 0; }
part existing look "$1"
finish 0
