# Asks for jobs to be cancelled. Standard input: one job per line.
# shellcheck disable=SC2046 # ids hold no blanks, and each is an argument of its own
set -- $(cat)
part cancel within 30 scancel "$@"
finish 0
