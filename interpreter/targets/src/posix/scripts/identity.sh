# Prints the clock (seconds and nanoseconds since 1970), the host name and the machine id
date +%s.%N | tr '\n' '\0'
uname -n | tr '\n' '\0'
if [ -f "$KB_ROOT/etc/machine-id" ]; then tr -d '\n' <"$KB_ROOT/etc/machine-id"; fi
printf '\0'
