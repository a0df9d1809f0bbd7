# PATH CREATE_NEW NONCE OTHERS: prints the place for the temporary file; OTHERS are nonces in use
kb_target "$1" "$2"
kb_temporary "$3"
kb_sweep "$4"
printf '%s\0' "$kb_temp"
