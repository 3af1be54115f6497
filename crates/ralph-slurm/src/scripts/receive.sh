# Unpacks synchronised files into the repository's folder; what is there and not in the archive stays.
missing=$(have_root) || { part missing printf '%s\n' "$missing" && finish 0; }
part receive tar -xf - -C "$root"
finish 0
