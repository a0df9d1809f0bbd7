# Prints what certificates there are, and never a private key. Arguments: absolute paths of files and folders.
# Each line is a letter and what it says: P a listening address, as /proc/net/tcp has it; M a path that is not there; E what went wrong;
# L a symbolic link and, in the next line, T the file that it leads to; F a file with PEM certificates and, in the next lines, C their text;
# K a kubeconfig that may hold some; D a file that may be DER.
LC_ALL=C
export LC_ALL
awk 'FNR > 1 && $4 == "0A" { print "P " $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
count=$#
while [ "$count" -gt 0 ]; do
    path=$1
    shift
    count=$((count - 1))
    if error=$(ls -d -- "$path" 2>&1 >/dev/null); then
        set -- "$@" "$path"
        continue
    fi
    case $error in
        *': No such file or directory' | *': Not a directory') printf 'M %s\n' "$path" ;;
        *) printf 'E %s\n' "$error" ;;
    esac
done
[ "$#" -gt 0 ] || exit 0
break='
'
{
    # A certificate is small: what is larger than 2 MiB is none.
    find -H "$@" -path "*$break*" -prune -printf 'E a name with a line break was passed over\n' -o \
        -type l -xtype f -exec sh -c 'for link; do printf "L %s\nT %s\n" "$link" "$(readlink -f -- "$link")"; done' sh {} +
    {
        find -H "$@" -path "*$break*" -prune -o -type f -size -4097 -print0
        find -H "$@" -path "*$break*" -prune -o -type l -xtype f -exec readlink -f -z -- {} +
    } 2>/dev/null | sort -z -u | xargs -0 -r awk '
        FNR == 1 {
            inside = told = config = 0
            if (substr($0, 1, 1) == "0" && FILENAME ~ /\.(der|cer|crt)$/) print "D " FILENAME
        }
        { line = $0; gsub(/^(\357\273\277)?[ \t]+|[ \t\r]+$/, "", line) }
        inside && line ~ /^[A-Za-z0-9+\/=]*$/ { print "C " line; next }
        inside { inside = 0; if (line ~ /^-----END /) { print "C " line; next } }
        line ~ /^(\357\273\277)?-----BEGIN (X509 )?CERTIFICATE-----$/ {
            if (!told) print "F " FILENAME
            inside = told = 1
            print "C " line
            next
        }
        !config && /(certificate-authority|client-certificate)-data/ { print "K " FILENAME; config = 1 }
    '
} 2>&1 | sed '/^[PMELTFCKD] /!s/^/E /'
