# Before a script of ours that runs in the shell that reads it: says on both streams when it begins and how it ends.
# A process group is what can be ended, so without one of its own nothing is run. Set before: kb_nonce.
exec </dev/null
kb_say() {
    printf '\036%s:%s\n' "$kb_nonce" "$1"
    printf '\036%s:%s\n' "$kb_nonce" "$1" >&2
}
read -r kb_line <"/proc/$$/stat" || kb_line=
# shellcheck disable=SC2086 # fields
set -- ${kb_line##*) }
# Of proc(5), these are fields 5 and 22.
if [ "${3:-}" != "$$" ]; then kb_say refused:group; exit 125; fi
trap 'kb_say "end:$?"' EXIT
trap 'exit 143' TERM
kb_say "begin:$$:${20}"
