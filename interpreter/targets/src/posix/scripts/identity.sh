# Prints the clock (seconds and nanoseconds since 1970), the host name and the machine id
kb_host= kb_machine=
read -r kb_host </proc/sys/kernel/hostname || kb_host=$(uname -n)
if [ -f "$KB_ROOT/etc/machine-id" ]; then read -r kb_machine <"$KB_ROOT/etc/machine-id"; fi
printf '%s\0%s\0%s\0' "$(date +%s.%N)" "$kb_host" "$kb_machine"
