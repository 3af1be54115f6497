# What the synchronised folders of a project hold there: size, time and path of each file. Arguments: project, folders.
project=$root/projects/$1
shift
missing=$(have_root) || { part missing printf '%s\n' "$missing" && finish 0; }
list() {
  [ -d "$project" ] || return 0
  cd "$project" || return
  for folder in "$@"; do
    [ ! -d "$folder" ] || find "$folder" -type f -printf '%s %T@ %p\n' || return
  done
}
part listing list "$@"
finish 0
