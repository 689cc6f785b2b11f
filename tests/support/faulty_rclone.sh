#!/bin/bash
# An rclone with a server over HTTP in place of any remote: the helper is that server, processes ask it. --home=FOLDER among the
# arguments says where `address` is, that of the server, and `script`: what it says is done first, once. `served` gets a line for each helper.
for word; do
    case $word in --home=*) here=${word#--home=} ;; esac
done
read -r address <"$here/address"
if [ -e "$here/script" ]; then
    mv "$here/script" "$here/done"
    # shellcheck source=/dev/null
    . "$here/done"
fi
target=${*: -1}

# call METHOD TARGET: the body of a success on standard output; ends this process with what is no success.
call() {
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || exit 1
    printf '%s %s HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n' "$1" "$2" >&3
    read -r _ status _ <&3
    length=0
    while read -r name value <&3; do
        case ${name,,} in
        content-length:) length=${value%$'\r'} ;;
        $'\r' | '') break ;;
        esac
    done
    if [ "${status:-0}" = 404 ]; then
        echo '1 ERROR : error listing: directory not found' >&2
        exit 3
    elif [ "${status:-0}" != 200 ]; then
        echo "1 NOTICE: Failed: status $status" >&2
        exit 1
    fi
    head -c "$length" <&3
}

case "$1 $2" in
serve*)
    echo >>"$here/served"
    echo "1 NOTICE: x: Serving restic REST API on [http://$address/]" >&2
    exec sleep 3600
    ;;
"lsjson --stat")
    case $target in
    */d) call GET '/?list' >/dev/null && echo '{"Path":"","Name":"","Size":-1,"ModTime":"","IsDir":true}' ;;
    *) call OPTIONS "/${target##*/}" ;;
    esac
    ;;
lsjson*)
    echo '['
    call GET '/?list'
    echo ']'
    ;;
mkdir*) call PUT '/?mkdir' ;;
*)
    echo "1 CRITICAL: unknown command \"$1\"" >&2
    exit 1
    ;;
esac
