# A login's PATH may lack where the tools of an administrator are. An empty one must not begin with a colon: that
# would be the current directory.
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
