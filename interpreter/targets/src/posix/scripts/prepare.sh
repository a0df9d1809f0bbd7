# PATH CREATE_NEW: prints the directory that the temporary file belongs in
kb_target "$1" "$2"
printf '%s\0' "$kb_parent"
