# Version and limits of this cluster.
for command in sbatch squeue sacct scancel; do
  command -v "$command" >/dev/null 2>&1 || { part absent printf '%s\n' "$command" && finish 0; }
done
[ "$1" = all ] || missing=$(can_have_root) || { part missing printf '%s\n' "$missing" && finish 0; }
part version sbatch --version
if [ "$1" = all ]; then
  part config within 20 scontrol show config
  part accounting within 30 sacct -n -P -X -S now -E now -o JobID,SubmitLine
fi
finish 0
