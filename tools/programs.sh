#!/bin/sh
# Make sure that programs from Debian's packages are there: tools/programs.sh nginx wrk ...
# Installs what is missing when it may (root, or sudo that asks for no password), else says what to type.
set -eu

package_of() {
    case "$1" in
        h2load) echo nghttp2-client ;;
        nginx-set-misc) echo libnginx-mod-http-set-misc ;;
        nginx-njs) echo libnginx-mod-http-js ;;
        apache-oauth2) echo libapache2-mod-oauth2 ;; # brings the program and no service
        *) echo "$1" ;;
    esac
}

is_there() {
    case "$1" in # some are no programs
        nginx-set-misc) [ -e /usr/lib/nginx/modules/ngx_http_set_misc_module.so ] ;;
        nginx-njs) [ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] ;;
        apache-oauth2) [ -e /usr/lib/apache2/modules/mod_oauth2.so ] ;;
        postgresql) ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ;; # not on the PATH
        *) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] ;;
    esac
}

missing=""
for program in "$@"; do
    is_there "$program" || missing="$missing $(package_of "$program")"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing. Install them with this system's package manager, then try again." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "missing:$missing. Type: sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # several words on purpose
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
