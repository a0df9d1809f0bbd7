# PATH
kb_at "$1"
kb_there "$kb_at" || exit 10
find "$kb_at" -maxdepth 0 -printf '%y\0%m\0%U\0%G\0%s\0%T@\0%l\0'
