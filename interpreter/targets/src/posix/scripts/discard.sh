# PLACE: removes a temporary file; prints how many bytes its file system has left
rm -f -- "$1" || exit 1
kb_parent "$1"
# shellcheck disable=SC2046 # two numbers
set -- $(stat -f -c '%a %S' -- "$kb_parent")
printf '%s\0' "$(($1 * $2))"
