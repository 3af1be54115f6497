# What each repository asks of itself before anything is merged.
set -eu
for script in *.sh; do sh -n "$script"; done
[ ! -e fahrenheit.sh ] || [ "$(sh fahrenheit.sh 100)" = 212 ]
