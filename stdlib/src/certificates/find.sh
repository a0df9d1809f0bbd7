# Prints what certificates there are, and never a private key. Arguments: how many paths follow; absolute paths of files and folders; those of
# what is left out. Each line is a letter and what it says: P a listening address, as /proc/net/tcp has it; M a path that is not there; E what
# went wrong; L a symbolic link and, in the next line, T the file that it leads to; F a file with PEM certificates and, in the next lines, C
# their text; K a kubeconfig that may hold some; D a file that may be DER.
LC_ALL=C
export LC_ALL
awk 'FNR > 1 && $4 == "0A" { print "P " $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
count=$1
shift
exclude=$(($# - count))
while [ "$count" -gt 0 ]; do
    path=$1
    shift
    count=$((count - 1))
    if error=$(ls -d -- "$path" 2>&1 >/dev/null); then
        # A certificate is small: what is larger than 2 MiB is none. Who names such a file hears of it.
        find -H "$path" -maxdepth 0 -type f -size +4096 -printf 'E %p is larger than 2 MiB, and was not read\n'
        set -- "$@" "$path"
        continue
    fi
    case $error in
        *': No such file or directory' | *': Not a directory') printf 'M %s\n' "$path" ;;
        *) printf 'E %s\n' "$error" ;;
    esac
done
[ "$#" -gt "$exclude" ] || exit 0
break='
'
# The paths first, then what find does not enter.
while [ "$exclude" -gt 0 ]; do
    path=$1
    shift
    exclude=$((exclude - 1))
    set -- "$@" -path "$path" -prune -o
done
set -- "$@" -path "*$break*" -prune -o
{
    find -H "$@" -type f ! -readable -printf 'E %p cannot be read\n' -o \
        -type l -xtype l -printf 'E %p is a link that leads nowhere\n' -o \
        -type l -xtype d -printf 'E %p is a link to a folder, which was not followed: name that folder\n' -o \
        -type l -xtype f ! -readable -printf 'E %p cannot be read\n' -o \
        -type l -xtype f -exec sh -c 'for link; do printf "L %s\nT %s\n" "$link" "$(readlink -f -- "$link")"; done' sh {} +
    {
        find -H "$@" -type f -readable -size -4097 -print0
        find -H "$@" -type l -xtype f -readable -exec readlink -f -z -- {} + |
            xargs -0 -r sh -c 'for file; do find "$file" -maxdepth 0 -type f -size -4097 -print0; done' sh
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
        !config && /(certificate-authority|client-certificate)-data["\047]?[ \t]*:/ { print "K " FILENAME; config = 1 }
    '
} 2>&1 | sed '/^[PMELTFCKD] /!s/^/E /'
