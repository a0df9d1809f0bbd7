# A login's PATH may lack where the tools of an administrator are.
PATH=${PATH:-}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
