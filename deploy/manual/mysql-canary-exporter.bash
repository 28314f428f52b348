_mysql__canary__exporter() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="mysql__canary__exporter"
                ;;
            mysql__canary__exporter,check)
                cmd="mysql__canary__exporter__subcmd__check"
                ;;
            mysql__canary__exporter,demo)
                cmd="mysql__canary__exporter__subcmd__demo"
                ;;
            mysql__canary__exporter,hash-password)
                cmd="mysql__canary__exporter__subcmd__hash__subcmd__password"
                ;;
            mysql__canary__exporter,help)
                cmd="mysql__canary__exporter__subcmd__help"
                ;;
            mysql__canary__exporter__subcmd__help,check)
                cmd="mysql__canary__exporter__subcmd__help__subcmd__check"
                ;;
            mysql__canary__exporter__subcmd__help,demo)
                cmd="mysql__canary__exporter__subcmd__help__subcmd__demo"
                ;;
            mysql__canary__exporter__subcmd__help,hash-password)
                cmd="mysql__canary__exporter__subcmd__help__subcmd__hash__subcmd__password"
                ;;
            mysql__canary__exporter__subcmd__help,help)
                cmd="mysql__canary__exporter__subcmd__help__subcmd__help"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        mysql__canary__exporter)
            opts="-h -V --config.check --config.file --target.name --mysql.address --mysql.username --mysql.password-file --mysql.defaults-file --mysql.defaults-group --mysql.tls-mode --mysql.tls-ca --mysql.get-server-public-key --canary.max-connections --canary.probe-timeout --canary.precision --canary.kill-ghosts --pool --server.interval --server.exclude-users --canary.ages --state.file --web.listen-address --web.systemd-socket --web.telemetry-path --web.config.file --log.level --log.format --help --version check demo hash-password help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target.name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.username)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.password-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.defaults-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.defaults-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.tls-mode)
                    COMPREPLY=($(compgen -W "disabled preferred required verify-ca verify-identity" -- "${cur}"))
                    return 0
                    ;;
                --mysql.tls-ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.get-server-public-key)
                    COMPREPLY=($(compgen -W "true false" -- "${cur}"))
                    return 0
                    ;;
                --canary.max-connections)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.probe-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.precision)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.kill-ghosts)
                    COMPREPLY=($(compgen -W "true false" -- "${cur}"))
                    return 0
                    ;;
                --pool)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server.interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server.exclude-users)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.ages)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --state.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.listen-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.telemetry-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --web.config.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log.level)
                    COMPREPLY=($(compgen -W "debug info warn error" -- "${cur}"))
                    return 0
                    ;;
                --log.format)
                    COMPREPLY=($(compgen -W "logfmt json" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__check)
            opts="-q -h --max-age --format --quiet --config.file --target.name --mysql.address --mysql.username --mysql.password-file --mysql.defaults-file --mysql.defaults-group --mysql.tls-mode --mysql.tls-ca --mysql.get-server-public-key --canary.max-connections --canary.probe-timeout --canary.precision --canary.kill-ghosts --pool --server.interval --server.exclude-users --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --max-age)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text json" -- "${cur}"))
                    return 0
                    ;;
                --config.file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target.name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.username)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.password-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.defaults-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.defaults-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.tls-mode)
                    COMPREPLY=($(compgen -W "disabled preferred required verify-ca verify-identity" -- "${cur}"))
                    return 0
                    ;;
                --mysql.tls-ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mysql.get-server-public-key)
                    COMPREPLY=($(compgen -W "true false" -- "${cur}"))
                    return 0
                    ;;
                --canary.max-connections)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.probe-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.precision)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --canary.kill-ghosts)
                    COMPREPLY=($(compgen -W "true false" -- "${cur}"))
                    return 0
                    ;;
                --pool)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server.interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server.exclude-users)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__demo)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__hash__subcmd__password)
            opts="-h --cost --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --cost)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__help)
            opts="check demo hash-password help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__help__subcmd__check)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__help__subcmd__demo)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__help__subcmd__hash__subcmd__password)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        mysql__subcmd__canary__subcmd__exporter__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _mysql__canary__exporter -o nosort -o bashdefault -o default mysql-canary-exporter
else
    complete -F _mysql__canary__exporter -o bashdefault -o default mysql-canary-exporter
fi
