# PATH NONCE SIZE MODE OWNER CREATE_NEW OTHERS: the content comes on standard input
kb_target "$1" "$6"
kb_temporary "$2"
kb_sweep "$7"
trap 'rm -f -- "$kb_temp"' EXIT
trap 'exit 1' HUP INT PIPE TERM
set -C
cat >"$kb_temp" || exit 1
set +C
kb_finish "$1" "$kb_temp" "$3" "$4" "$5" "$6"
