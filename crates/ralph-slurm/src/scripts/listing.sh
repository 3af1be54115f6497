# What the synchronised folders of projects hold there: size, time and path of each file, relative to `projects/`.
# Arguments: the folders. Standard input: one project per line.
missing=$(have_root) || { part missing printf '%s\n' "$missing" && finish 0; }
list() {
  cd "$root/projects" 2>/dev/null || return 0
  while IFS= read -r project; do
    for folder in "$@"; do
      [ ! -d "$project/$folder" ] || find -H "$project/$folder" -type f -printf '%s %T@ %p\n' || return
    done
  done
}
part listing list "$@"
finish 0
