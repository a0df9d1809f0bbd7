# Our own scripts read what tools print, so the tools speak one language; and what they make is private.
LC_ALL=C
export LC_ALL
umask 077
set -u
