# PATH NONCE SIZE MODE OWNER CREATE_NEW: the temporary file was uploaded
kb_target "$1" "$6"
kb_temporary "$2"
trap 'rm -f -- "$kb_temp"' EXIT
trap 'exit 1' HUP INT PIPE TERM
kb_finish "$1" "$kb_temp" "$3" "$4" "$5" "$6"
