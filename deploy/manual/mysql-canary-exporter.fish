# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mysql_canary_exporter_global_optspecs
    string join \n config.check config.file= target.name= mysql.address= mysql.username= mysql.password-file= mysql.defaults-file= mysql.defaults-group= mysql.tls-mode= mysql.tls-ca= mysql.get-server-public-key= canary.max-connections= canary.probe-timeout= canary.precision= canary.kill-ghosts= pool= server.interval= server.exclude-users= canary.ages= state.file= web.listen-address= web.systemd-socket web.telemetry-path= web.config.file= log.level= log.format= h/help V/version
end

function __fish_mysql_canary_exporter_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mysql_canary_exporter_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mysql_canary_exporter_using_subcommand
    set -l cmd (__fish_mysql_canary_exporter_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l config.file -d 'A file that names several servers and several ways to each, instead of the flags --target, --mysql, --canary, --pool and --server' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l target.name -d 'The name of the server on the pages and in the log: the label `target` [default: the address]' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.address -d 'The MySQL or MariaDB server, as the applications reach it' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.username -d 'The user to log in as; or `user` in --mysql.defaults-file' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.password-file -d 'A file whose first line is the password. Without it: the variable MYSQL_CANARY_PASSWORD, then --mysql.defaults-file' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.defaults-file -d 'A MySQL option file (my.cnf) with user and password' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.defaults-group -d 'The group of the option file to read' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.tls-mode -d 'Whether and how sessions are encrypted' -r -f -a "disabled\t'Never'
preferred\t'Where the server offers it; its certificate is not checked'
required\t'Always; the certificate is not checked'
verify-ca\t'Always; the certificate must come from a trusted authority'
verify-identity\t'Always; and it must name the host'"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.tls-ca -d 'A PEM file of the authorities to trust with verify-ca and verify-identity [default: the well-known ones]' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l mysql.get-server-public-key -d 'Let the password go to a server that nobody verified: encrypted with the key it sends, or under TLS with any certificate' -r -f -a "true\t''
false\t''"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l canary.max-connections -d 'The most connections to open, the server view\'s and the witness\'s included' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l canary.probe-timeout -d 'How long connects and answers may take' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l canary.precision -d 'How sharp the idle limit is wanted' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l canary.kill-ghosts -d 'Whether to KILL sessions of our own whose client is dead, where they are proved to be ours' -r -f -a "true\t''
false\t''"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l pool -d 'A declared connection pool, such as name=api,user=api,framework=sqlalchemy,recycle=1800s,read_timeout=30s; may be given several times' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l server.interval -d 'How often the server view is read' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l server.exclude-users -d 'Users whose sessions are no application\'s, such as monitoring and consoles, separated by commas; may be given several times' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l canary.ages -d 'Idle ages to probe at, in rising order, such as 30s,5m,1h [default: 25s to 30000s in 18 rungs]' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l state.file -d 'Where to keep observations across restarts [default: nowhere]' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l web.listen-address -d 'Where to listen for scrapes; may be given several times' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l web.telemetry-path -d 'The path of the metrics page' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l web.config.file -d 'A file with TLS, users and headers of the pages, in the format of Prometheus\' exporter-toolkit; read anew when it changes [default: plain HTTP for everybody]' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l log.level -d 'The least severe log lines to write' -r -f -a "debug\t'Survivals too'
info\t'Deaths, voids, suspensions, and what the exporter does'
warn\t'Deaths and what went wrong'
error\t'Only the exporter\'s own faults'"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l log.format -d 'How log lines are written' -r -f -a "logfmt\t'`time=… level=INFO msg="…" key=value`'
json\t'One JSON object a line'"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l config.check -d 'Say what would run, and end: with code 0, or with 2 and what is wrong'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -l web.systemd-socket -d 'Listen on the sockets that systemd hands over (socket activation), instead of --web.listen-address'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -s V -l version -d 'Print version'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -f -a "check" -d 'Walk the ladder once on one server, and print the verdict. Ends with code 0: sound up to --max-age, 1: a limit or a contradiction was found, 2: it could not be measured, 130: interrupted'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -f -a "demo" -d 'Start a private MariaDB and three ways to it, tell apart what ends idle connections on each, clean up on Ctrl-C'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -f -a "hash-password" -d 'Print the bcrypt hash of the password that standard input holds, for basic_auth_users in --web.config.file'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l max-age -d 'Up to which idle age to look; 0s tells at once what can be told without waiting' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l format -d 'How to write the verdict on standard output' -r -f -a "text\t'For people'
json\t'One JSON document, as docs/check.schema.json describes it'"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l config.file -d 'A file that names several servers and several ways to each, instead of the flags --target, --mysql, --canary, --pool and --server' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l target.name -d 'The name of the server on the pages and in the log: the label `target` [default: the address]' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.address -d 'The MySQL or MariaDB server, as the applications reach it' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.username -d 'The user to log in as; or `user` in --mysql.defaults-file' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.password-file -d 'A file whose first line is the password. Without it: the variable MYSQL_CANARY_PASSWORD, then --mysql.defaults-file' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.defaults-file -d 'A MySQL option file (my.cnf) with user and password' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.defaults-group -d 'The group of the option file to read' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.tls-mode -d 'Whether and how sessions are encrypted' -r -f -a "disabled\t'Never'
preferred\t'Where the server offers it; its certificate is not checked'
required\t'Always; the certificate is not checked'
verify-ca\t'Always; the certificate must come from a trusted authority'
verify-identity\t'Always; and it must name the host'"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.tls-ca -d 'A PEM file of the authorities to trust with verify-ca and verify-identity [default: the well-known ones]' -r -F
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l mysql.get-server-public-key -d 'Let the password go to a server that nobody verified: encrypted with the key it sends, or under TLS with any certificate' -r -f -a "true\t''
false\t''"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l canary.max-connections -d 'The most connections to open, the server view\'s and the witness\'s included' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l canary.probe-timeout -d 'How long connects and answers may take' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l canary.precision -d 'How sharp the idle limit is wanted' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l canary.kill-ghosts -d 'Whether to KILL sessions of our own whose client is dead, where they are proved to be ours' -r -f -a "true\t''
false\t''"
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l pool -d 'A declared connection pool, such as name=api,user=api,framework=sqlalchemy,recycle=1800s,read_timeout=30s; may be given several times' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l server.interval -d 'How often the server view is read' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -l server.exclude-users -d 'Users whose sessions are no application\'s, such as monitoring and consoles, separated by commas; may be given several times' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -s q -l quiet -d 'Say nothing while it runs'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand demo" -s h -l help -d 'Print help'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand hash-password" -l cost -d 'How much a check costs: each one more doubles its time' -r
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand hash-password" -s h -l help -d 'Print help'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand help; and not __fish_seen_subcommand_from check demo hash-password help" -f -a "check" -d 'Walk the ladder once on one server, and print the verdict. Ends with code 0: sound up to --max-age, 1: a limit or a contradiction was found, 2: it could not be measured, 130: interrupted'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand help; and not __fish_seen_subcommand_from check demo hash-password help" -f -a "demo" -d 'Start a private MariaDB and three ways to it, tell apart what ends idle connections on each, clean up on Ctrl-C'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand help; and not __fish_seen_subcommand_from check demo hash-password help" -f -a "hash-password" -d 'Print the bcrypt hash of the password that standard input holds, for basic_auth_users in --web.config.file'
complete -c mysql-canary-exporter -n "__fish_mysql_canary_exporter_using_subcommand help; and not __fish_seen_subcommand_from check demo hash-password help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
